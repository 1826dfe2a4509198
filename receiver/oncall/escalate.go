package oncall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// dueBatch is how many due pages are looked at before anything else is.
	dueBatch = 100
	// pageMessages is how many of a page's latest messages are looked at.
	pageMessages = 500
)

// Final takes in the end of a message. One of a page that did not arrive lets its
// escalation go on at once.
func (o *OnCall) Final(m outbox.Message) {
	if m.PageID == "" || !undelivered(m.State) {
		return
	}
	o.lookAgain(m.PageID)
}

// undelivered reports whether a message that ended thus is not known to have
// arrived.
func undelivered(s outbox.State) bool {
	return s == outbox.Failed || s == outbox.Expired || s == outbox.Unknown
}

// lookAgain has a page looked at whether it is due or not.
func (o *OnCall) lookAgain(id string) {
	o.mu.Lock()
	o.again[id] = true
	o.mu.Unlock()
	signal(o.wake)
}

// runPages does what is due until the context ends. All that it goes by is in the
// outbox, so that a restart changes nothing, and each step is guarded by the
// page's version, so that of several processes one takes it.
func (o *OnCall) runPages(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-o.wake:
		}
		wait, err := o.doDue(ctx)
		if err != nil && ctx.Err() == nil {
			o.logger.Error("cannot look after the pages; trying again", "err", err)
			wait = storeRetry
		}
		timer.Reset(wait)
	}
}

// doDue does what is due, and returns the time until more is.
func (o *OnCall) doDue(ctx context.Context) (time.Duration, error) {
	o.mu.Lock()
	again, all := o.again, o.reviewAll
	o.again, o.reviewAll = make(map[string]bool), false
	o.mu.Unlock()
	err := o.review(ctx, again, all)
	if err != nil { // none is forgotten
		o.mu.Lock()
		for id := range again {
			o.again[id] = true
		}
		o.reviewAll = o.reviewAll || all
		o.mu.Unlock()
		return 0, err
	}
	for {
		ps, err := o.store.Pages(ctx, outbox.PageQuery{DueBy: time.Now(), Limit: dueBatch})
		if err != nil {
			return 0, err
		}
		for _, stored := range ps {
			if err := o.lookAfter(ctx, stored.ID); err != nil {
				return 0, err
			}
		}
		if len(ps) < dueBatch {
			break
		}
	}
	next, err := o.store.Pages(ctx, outbox.PageQuery{DueBy: time.Now().Add(10 * pageFor), Limit: 1})
	if err != nil {
		return 0, err
	}
	wait := o.gap
	if len(next) > 0 {
		wait = min(wait, max(0, time.Until(next[0].DueAt)))
	}
	return wait, nil
}

// review looks at pages that may be due though their time has not come: some, or
// all that are current.
func (o *OnCall) review(ctx context.Context, ids map[string]bool, all bool) error {
	for before := ""; all; {
		ps, err := o.store.Pages(ctx, outbox.PageQuery{Current: true, Before: before, Limit: dueBatch})
		if err != nil {
			return err
		}
		for _, p := range ps {
			ids[p.ID] = true
			before = p.ID
		}
		all = len(ps) == dueBatch
	}
	for id := range ids {
		if err := o.lookAfter(ctx, id); err != nil {
			return err
		}
		delete(ids, id)
	}
	return nil
}

// lookAfter does what is due for a page.
func (o *OnCall) lookAfter(ctx context.Context, id string) error {
	return retrying(ctx, func() error {
		stored, err := o.store.Page(ctx, id)
		if errors.Is(err, outbox.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		p, err := load(stored)
		if err != nil {
			o.logger.Error("a page cannot be read; it is left alone", "page", id, "err", err)
			return nil
		}
		if !p.State.Current() {
			return nil
		}
		return o.step(ctx, p, time.Now())
	})
}

// step does the one thing that is due for a page that is current. The next is due
// at once, or at its time.
func (o *OnCall) step(ctx context.Context, p *page, now time.Time) error {
	s := o.settings.Load()
	r := s.receivers[p.Receiver]
	due := p.DueAt
	switch {
	case p.Silence != nil && !p.Silence.NextAt.IsZero() && !now.Before(p.Silence.NextAt):
		return o.attend(ctx, s, p, now)
	case now.Sub(p.HeardAt) >= pageFor:
		p.end(outbox.PageExpired, outbox.PageEventExpired, now, "nothing was heard of it for "+span(pageFor))
		return o.save(ctx, p, r, nil)
	case p.State != outbox.PageOpen || r == nil:
		p.schedule(r)
		if p.DueAt.Equal(due) {
			return nil
		}
		return o.save(ctx, p, r, nil)
	}
	unreached, err := o.unreached(ctx, p, now.Sub(p.StepAt) >= r.NoReceipt && r.NoReceipt > 0 && !p.Judged)
	if err != nil {
		return err
	}
	at, more := p.nextStep(r)
	switch {
	case more && !now.Before(at):
		return o.escalate(ctx, s, r, p, now, "No answer from")
	case more && unreached != "":
		p.note(now, outbox.PageEventUnreached, "", unreached)
		return o.escalate(ctx, s, r, p, now, "Not reached:")
	case r.Repeat > 0 && len(p.People) > 0 && now.Sub(p.RepeatAt) >= r.Repeat:
		return o.repeat(ctx, s, r, p, now)
	}
	if !p.Judged && (unreached != "" || r.NoReceipt > 0 && now.Sub(p.StepAt) >= r.NoReceipt) {
		p.Judged = true
		if unreached != "" {
			p.note(now, outbox.PageEventUnreached, "", unreached+"; nobody else is to be paged")
			o.logger.Error("a page reached nobody, and there is no further step", "page", p.ID, "receiver", p.Receiver, "why", unreached)
		}
		return o.save(ctx, p, r, nil)
	}
	if p.schedule(r); p.DueAt.Equal(due) {
		return nil
	}
	return o.save(ctx, p, r, nil)
}

// unreached says why nobody whom the last step paged can have the page: each one's
// latest text did not arrive, or, where no receipt is waited for any longer, has
// not arrived yet. It is "" where somebody has it or may get it.
func (o *OnCall) unreached(ctx context.Context, p *page, impatient bool) (string, error) {
	people := p.ofStep(p.Steps)
	if len(people) == 0 {
		return "", nil
	}
	ms, err := o.store.List(ctx, outbox.Query{Page: p.ID, Limit: pageMessages})
	if err != nil {
		return "", err
	}
	newest := make(map[e164.Number]outbox.Message)
	for _, m := range ms { // newest first
		if _, seen := newest[m.To]; !seen {
			newest[m.To] = m
		}
	}
	var why []string
	for _, person := range people {
		m, sent := newest[person.Number]
		switch {
		case o.contacts.stopped(person.Number):
			why = append(why, person.person().String()+" wants no more texts")
		case !sent: // before what is looked at
			return "", nil
		case undelivered(m.State):
			why = append(why, fmt.Sprintf("%s: %s", person.person(), lastDetail(m)))
		case impatient && m.State != outbox.Delivered && m.State != outbox.Superseded:
			why = append(why, person.person().String()+": no receipt")
		default:
			return "", nil
		}
	}
	return strings.Join(why, "; "), nil
}

func lastDetail(m outbox.Message) string {
	if len(m.Events) == 0 {
		return string(m.State)
	}
	return string(m.State) + " (" + m.Events[len(m.Events)-1].Detail + ")"
}

// escalate takes the next step.
func (o *OnCall) escalate(ctx context.Context, s *settings, r *config.Receiver, p *page, now time.Time, why string) error {
	step := r.Escalate[p.Steps]
	people := o.People(step.Recipients, templating.Severities(p.Notification), now)
	if names := p.names(p.Steps); names != "" {
		why += " " + names
	} else {
		why = ""
	}
	p.Steps++
	p.StepAt, p.Judged = now, false
	p.note(now, outbox.PageEventEscalated, "", fmt.Sprintf("step %d of %d: %s", p.Steps, len(r.Escalate), strings.Join(step.To, ", ")))
	if len(people) == 0 {
		p.note(now, outbox.PageEventUnreached, "", "the step names nobody who can be paged")
		o.logger.Error("a step of an escalation names nobody who can be paged; the next one is taken at once", "page", p.ID, "receiver", p.Receiver, "step", p.Steps)
		p.From = now.Add(-until(r, p.Steps)) // the next is due now
	}
	p.told(now, p.Steps, outbox.PageEventPaged, people)
	o.metrics.escalations.WithLabelValues(p.Receiver).Inc()
	return o.save(ctx, p, r, o.texts(s, p, people, now, why))
}

// until is when a step is due after the page opened; of one that is not there, 0.
func until(r *config.Receiver, step int) time.Duration {
	if step >= len(r.Escalate) {
		return 0
	}
	return r.Escalate[step].After
}

// repeat pages everybody again.
func (o *OnCall) repeat(ctx context.Context, s *settings, r *config.Receiver, p *page, now time.Time) error {
	people := o.withPaged(s, p, templating.Severities(p.Notification), nil, now)
	p.RepeatAt = now
	p.note(now, outbox.PageEventRepeated, "", "nobody has answered")
	return o.save(ctx, p, r, o.texts(s, p, people, now, ""))
}

// texts are a page's text, as of now, for people.
func (o *OnCall) texts(s *settings, p *page, people []outbox.Person, now time.Time, why string) []outbox.Message {
	r := s.receivers[p.Receiver]
	n := p.Notification
	n.NotificationReason = "repeat interval elapsed" // it fires still
	rendered := s.render[p.Receiver](n, p.tail(why))
	var ms []outbox.Message
	for _, person := range people {
		ms = append(ms, outbox.Message{
			ID: o.ids.New(now), To: person.Number, Receiver: p.Receiver, GroupKey: p.GroupKey, PageID: p.ID,
			Headline: p.Headline, Urgent: slices.Contains(r.Urgent, p.Severity),
			Text: rendered.Text, Encoding: rendered.Size.Encoding, Segments: rendered.Size.Segments, State: outbox.Queued,
			CreatedAt: now, UpdatedAt: now, NotBefore: person.NotBefore, ExpiresAt: latest(now, person.NotBefore).Add(r.MaxAge),
			Events: []outbox.Event{{At: now, Type: outbox.EventQueued, Detail: why}},
		})
	}
	return ms
}

// save stores a page with messages that tell of it.
func (o *OnCall) save(ctx context.Context, p *page, r *config.Receiver, ms []outbox.Message) error {
	p.schedule(r)
	return o.add(ctx, outbox.Entry{Messages: ms, Page: p.stored()})
}

// add stores an entry and hands its messages over.
func (o *OnCall) add(ctx context.Context, e outbox.Entry) error {
	_, err := o.addOnce(ctx, e)
	return err
}

// addOnce is add, and tells a repeat.
func (o *OnCall) addOnce(ctx context.Context, e outbox.Entry) (duplicate bool, err error) {
	added, err := o.store.Add(ctx, e)
	if err != nil || added.Duplicate {
		return added.Duplicate, err
	}
	for _, m := range e.Marks {
		if m.Kind == contactMark {
			if err := o.contacts.load(ctx, o.store); err != nil {
				o.logger.Error("cannot read what is known of contacts; trying again", "err", err)
			}
			o.reviewSoon() // one who wants no more texts has no page any more
			break
		}
	}
	o.sender.Handover(e.Messages...)
	signal(o.wake)
	return false, nil
}

// retrying does something again, from what is stored by then, where it was changed
// meanwhile.
func retrying(ctx context.Context, do func() error) error {
	for {
		if err := do(); !errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}
