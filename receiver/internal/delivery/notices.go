package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// lateGroup and lateReceiver are the group key and the receiver of notices about messages that were
// too old. No receiver in the configuration has this name.
const (
	lateGroup    = "smspager:late"
	lateReceiver = "smspager:late"
)

// listPatience is how long the store may take to list messages.
const listPatience = 2 * time.Second

// notices makes the messages that delivery itself sends.
type notices struct {
	spool    *spool.Spool
	ids      *outbox.IDs
	logger   *slog.Logger
	settings func() *Settings

	making chan struct{} // holds one value unless a notice is being made, so that a newer notice lists more

	mu sync.Mutex // never held while the store is read
	// unsent holds, by recipient, the messages that were too old to be sent and are not listed in a
	// notice that the provider has. If a recipient is missing here, the store is read.
	unsent map[e164.Number]*tally
}

func newNotices(o Options, settings func() *Settings) *notices {
	n := &notices{spool: o.Spool, ids: o.IDs, logger: o.Logger, settings: settings, making: make(chan struct{}, 1)}
	n.making <- struct{}{}
	return n
}

// notice returns a new notice.
func (n *notices) notice(to e164.Number, group, receiver string, at time.Time, text, detail string) outbox.Message {
	size := gsm7.Measure(text)
	return outbox.Message{
		ID: n.ids.New(at), To: to, Receiver: receiver, GroupKey: group, Headline: "digest", Urgent: true,
		Text: text, Encoding: size.Encoding, Segments: size.Segments, State: outbox.Queued,
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(digestAge),
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued, Detail: detail}},
	}
}

// tooLate sends the recipient of an expired message a notice, which arrives once sending works again.
// Each notice supersedes the unsent ones before it, and also lists what they list. If a notice
// expires, it is made again.
func (n *notices) tooLate(ctx context.Context, m *outbox.Message, term int64) {
	if m.GroupKey == outbox.DigestGroup || m.Receiver == outbox.ProbeReceiver {
		return
	}
	ctx = context.WithoutCancel(ctx)
	notice, ok := n.late(ctx, m)
	if !ok {
		return
	}
	e := outbox.Entry{Messages: []outbox.Message{notice}, Term: term}
	if _, err := n.spool.Try(ctx, spool.Later, e); err != nil {
		n.forget(m.To) // the next notice lists what this one would have listed
		n.logger.Error("cannot store a notice about expired messages", "err", err)
	}
}

// late returns a notice that lists m and the other expired messages of its recipient that no notice
// at the provider lists; false if there are none to list, or if an earlier notice lists m.
func (n *notices) late(ctx context.Context, m *outbox.Message) (outbox.Message, bool) {
	<-n.making
	defer func() { n.making <- struct{}{} }()
	n.mu.Lock()
	late := n.unsent[m.To]
	n.mu.Unlock()
	if late == nil {
		var err error
		reading, cancel := context.WithTimeout(ctx, listPatience)
		defer cancel()
		if late, err = n.expired(reading, m); err != nil {
			n.logger.Warn("cannot list expired messages; the next notice will include them", "to", m.To, "err", err)
		} else {
			n.mu.Lock()
			if n.unsent == nil {
				n.unsent = make(map[e164.Number]*tally)
			}
			n.unsent[m.To] = late
			n.mu.Unlock()
		}
	}
	switch {
	case m.GroupKey == lateGroup:
	case late.has(m.ID): // an earlier notice lists it: it had expired when that one was made
		return outbox.Message{}, false
	default:
		late.add(*m, 1, "")
	}
	text := late.text("NOT SENT in time: ", templating.Counted(late.messages, "message"))
	return n.notice(m.To, lateGroup, lateReceiver, n.spool.Now(), text, "messages were too old to be sent (max_age)"), late.messages > 0
}

// expired reads from the store the expired messages of m's recipient since the last notice that the
// provider has, without m.
func (n *notices) expired(ctx context.Context, m *outbox.Message) (*tally, error) {
	var since time.Time
	late := &tally{order: n.settings().Severities}
	q := outbox.Query{To: m.To, Receiver: lateReceiver}
	err := n.each(ctx, q, func(notice outbox.Message) bool {
		if !notice.AcceptedAt.IsZero() {
			since = notice.CreatedAt
		}
		return since.IsZero()
	})
	if err != nil {
		return late, err
	}
	q = outbox.Query{To: m.To, State: outbox.Expired}
	return late, n.each(ctx, q, func(old outbox.Message) bool {
		if old.ID != m.ID && old.UpdatedAt.After(since) && old.Receiver != lateReceiver && old.GroupKey != outbox.DigestGroup && old.Receiver != outbox.ProbeReceiver {
			late.add(old, 1, "")
		}
		return true
	})
}

// each calls do for each message that a query selects, newest first, until it returns false.
func (n *notices) each(ctx context.Context, q outbox.Query, do func(outbox.Message) bool) error {
	for q.Limit = 500; ; {
		ms, err := n.spool.List(ctx, q)
		if err != nil {
			return err
		}
		for _, m := range ms {
			if !do(m) {
				return nil
			}
			q.Before = m.ID
		}
		if len(ms) < q.Limit {
			return nil
		}
	}
}

// sent is called if the provider has a message. If it is a notice, what the notice lists is reported.
func (n *notices) sent(m *outbox.Message) {
	if m.GroupKey == lateGroup {
		n.forget(m.To)
	}
}

// forget drops the lists of these recipients, or of all if none is given; late reads the store again
// when it needs them.
func (n *notices) forget(of ...e164.Number) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(of) == 0 {
		clear(n.unsent)
	}
	for _, to := range of {
		delete(n.unsent, to)
	}
}
