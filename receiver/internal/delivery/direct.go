package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// SendNow takes a notification's messages to the provider at once, past a
// store that does not work: a page beats a record of it. It returns nil when
// the provider has all of them; they are recorded when the store works again.
//
// What happened is kept in n.Messages. A caller that failed calls again with
// the same n: what was taken is not sent again, what may have been is asked for.
func (d *Delivery) SendNow(ctx context.Context, n *outbox.Entry) error {
	s := d.settings.Load()
	errs := make([]error, len(n.Messages))
	slots := make(chan struct{}, s.Concurrency)
	var sending sync.WaitGroup
	for i := range n.Messages {
		slots <- struct{}{}
		sending.Go(func() {
			if errs[i] = d.sendNow(ctx, *s, &n.Messages[i]); errs[i] == nil && n.Messages[i].State == outbox.Accepted {
				d.overtaken(n.Messages[i])
			}
			<-slots
		})
	}
	sending.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	kept := *n
	kept.Messages = slices.Clone(n.Messages)
	for _, page := range n.AllPages() {
		d.pages.Past(*page)
	}
	d.recorder.later(func(ctx context.Context) error { return d.keep(ctx, kept) })
	return nil
}

// overtaken keeps older messages from being sent after one that the provider has.
func (d *Delivery) overtaken(m outbox.Message) {
	if !d.leading.Load() {
		return // whoever leads finds it in the store
	}
	d.mu.Lock()
	d.inbox = append(d.inbox, m)
	d.mu.Unlock()
	signal(d.wake)
}

// sendNow sends one message and notes in it what became of it.
func (d *Delivery) sendNow(ctx context.Context, s Settings, m *outbox.Message) error {
	if m.State == outbox.Accepted || m.State == outbox.Superseded {
		return nil
	}
	lane := d.lanes.enter(*m)
	defer d.lanes.leave(lane)
	if err := lane.begin(ctx); err != nil {
		return err
	}
	defer lane.end()
	defer func() {
		if m.State == outbox.Accepted {
			lane.newest = max(lane.newest, m.ID)
		}
	}()
	note := func(c outbox.Change) {
		if c.Apply(m) && m.State == outbox.Accepted {
			d.metrics.changed(*m, c)
		}
	}
	doubt := m.State == outbox.Sending
	if lane.newest > m.ID && !doubt {
		note(outbox.Outdated(m.ID, lane.newest, time.Now()))
		return nil
	}
	if doubt {
		switch _, err := s.Gateway.StatusByClientID(ctx, m.ID); {
		case err == nil:
			note(outbox.Taken(m.ID, "", time.Now(), "the provider has it, says getstatus"))
			return nil
		case !hasCode(err, textinghouse.CodeUnknownClientID):
			return err
		case time.Since(m.AttemptedAt) >= resendWindow && time.Since(m.AttemptedAt) < s.Timeout:
			return fmt.Errorf("message %s may still be on its way to the provider", m.ID)
		}
	}
	note(outbox.Attempted(m.ID, time.Now(), "at once, as the outbox cannot be written"))
	apiID, err := s.Gateway.Send(ctx, textinghouse.SMS{To: string(m.To), Text: m.Text, ClientID: m.ID, From: s.SenderID})
	switch {
	case err == nil:
		note(outbox.Taken(m.ID, apiID, time.Now(), ""))
		return nil
	case doubt && hasCode(err, textinghouse.CodeFlood):
		note(outbox.Taken(m.ID, "", time.Now(), "the provider has it: it answered the second attempt with "+err.Error()))
		return nil
	case doubt || textinghouse.MayHaveBeenTaken(err):
		note(outbox.Doubted(m.ID, time.Now(), err.Error()))
	default:
		note(outbox.Returned(m.ID, time.Now(), err.Error()))
	}
	return err
}

// maxConflicts is how often an entry is made to fit at once.
const maxConflicts = 20

// keep stores what SendNow sent. The store may have it already, as queued, if
// it failed only in saying so. What was changed meanwhile stands.
func (d *Delivery) keep(ctx context.Context, n outbox.Entry) error {
	made := n.AllPages()
	added, err := outbox.Added{}, outbox.ErrConflict
	for tries := 0; tries < maxConflicts && errors.Is(err, outbox.ErrConflict); tries++ {
		if err := d.merge(ctx, &n, made); err != nil {
			return err
		}
		if tries > 0 {
			n.Marks = nil
		}
		added, err = d.store.Add(ctx, n)
	}
	if err != nil {
		return err
	}
	for _, m := range n.Messages {
		if added.Duplicate && slices.Contains(added.IDs, m.ID) && m.State == outbox.Accepted {
			if _, _, err := d.apply(ctx, outbox.Taken(m.ID, m.APIID, m.AcceptedAt, "sent past the outbox")); err != nil {
				return err
			}
		}
	}
	d.Handover(n.Messages...)
	for _, page := range made {
		d.pages.Recorded(*page)
	}
	return nil
}

// merge makes an entry's pages fit what is stored by now.
func (d *Delivery) merge(ctx context.Context, n *outbox.Entry, made []*outbox.Page) error {
	n.Page, n.Also = nil, nil
	for _, page := range made {
		switch merged, err := d.pages.Merge(ctx, *page); {
		case err != nil:
			return err
		case merged == nil:
		case n.Page == nil:
			n.Page = merged
		default:
			n.Also = append(n.Also, merged)
		}
	}
	if len(made) == 1 { // it may be another one by now, or none
		n.OfPage()
	}
	return nil
}

func hasCode(err error, code textinghouse.Code) bool {
	var refusal *textinghouse.Error
	return errors.As(err, &refusal) && refusal.Code == code
}
