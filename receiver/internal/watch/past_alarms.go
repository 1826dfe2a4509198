package watch

import (
	"context"
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// pastAlarms sends the alarm of a dead heartbeat although the store fails, from its second failure
// on, unless other processes may do the same. Only the loop of the heartbeats uses it.
type pastAlarms struct {
	outbox Outbox
	sender Sender
	shared bool
	sent   map[string]time.Time     // when the alarm of a heartbeat was sent without being stored
	unsent map[string]*outbox.Entry // entries to store again; nil: no message of it was attempted
}

func newPastAlarms(o *Options) pastAlarms {
	return pastAlarms{outbox: o.Outbox, sender: o.Sender, shared: o.Shared, sent: make(map[string]time.Time), unsent: make(map[string]*outbox.Entry)}
}

// raised returns when the alarm of a heartbeat was sent without being stored, since its last beat;
// zero if it was not.
func (p *pastAlarms) raised(name string, lastAt time.Time) time.Time {
	if at := p.sent[name]; at.After(lastAt) {
		return at
	}
	return time.Time{}
}

// store stores the entry of a heartbeat, or the one before it that some recipients may have, or sends
// it. It returns the entry, and whether it is stored.
func (p *pastAlarms) store(ctx context.Context, name string, e outbox.Entry, now time.Time) (outbox.Entry, bool, error) {
	unsent, again := p.unsent[name]
	if unsent != nil {
		e = *unsent
	}
	_, err := p.outbox.Try(ctx, e)
	switch {
	case err == nil:
		delete(p.sent, name)
		return e, true, nil
	case errors.Is(err, outbox.ErrConflict):
		return e, false, err
	case len(e.Messages) == 0 || p.shared || !again:
		if !again {
			p.unsent[name] = nil
		}
		return e, false, err
	}
	p.unsent[name] = &e
	if err := p.sender.SendNow(ctx, &e); err != nil {
		return e, false, err
	}
	p.sent[name] = now
	return e, false, nil
}

// settled drops what is kept of a heartbeat about which there is nothing to store.
func (p *pastAlarms) settled(name string) { delete(p.unsent, name) }
