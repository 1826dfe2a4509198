package oncall

import (
	"context"
	"errors"
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// errUnrecorded stops a commit: the page's latest state is not stored, so the step is sent.
var errUnrecorded = errors.New("the latest state of the page is not stored yet")

// take takes the step that is due for a page. If the store fails time and again, the step is sent
// without being stored, unless another process may do the same.
func (e *escalation) take(ctx context.Context, id string, f *failure) error {
	if f.unsent != nil {
		return e.finish(ctx, f)
	}
	if _, ahead := e.pages.past.get(id); ahead && e.shared {
		return nil // others may know it as well: once it is recorded, one of them takes the step
	}
	var s *step
	_, err := e.outbox.Commit(ctx, func(ctx context.Context) (*outbox.Entry, error) {
		var err error
		switch s, err = e.decide(ctx, id); {
		case err != nil || s == nil:
			return nil, err
		case s.page.Version == unrecorded:
			return nil, errUnrecorded
		}
		return s.entry, nil
	})
	switch {
	case s == nil:
		return err
	case err == nil:
		e.wake.Ring()
	case !errors.Is(err, errUnrecorded) && (errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil || e.shared || f.times == 0):
		return err
	default:
		if err := e.sendNow(ctx, *s.entry, f); err != nil {
			return err
		}
	}
	e.taken(s)
	return nil
}

// sendNow sends an entry that is not stored. If that fails, some recipients may have it, so it is
// kept.
func (e *escalation) sendNow(ctx context.Context, entry outbox.Entry, f *failure) error {
	f.unsent = &entry
	if err := e.sender.SendNow(ctx, f.unsent); err != nil {
		return err
	}
	f.unsent = nil
	return nil
}

// finish stores or sends an entry that could be neither stored nor sent before. If the page was
// changed in between, only messages that may have been sent are left.
func (e *escalation) finish(ctx context.Context, f *failure) error {
	entry := *f.unsent
	_, err := e.outbox.Try(ctx, entry)
	if err == nil {
		f.unsent = nil
		e.wake.Ring()
		return nil
	}
	p, ahead := e.pages.past.get(entry.Page.ID)
	if ahead && p.State != outbox.PageOpen { // nobody needs it any more
		f.unsent = nil
		return nil
	}
	if errors.Is(err, outbox.ErrConflict) && !ahead {
		entry.Messages = slices.DeleteFunc(entry.Messages, func(m outbox.Message) bool { return m.State == outbox.Queued })
		if len(entry.Messages) == 0 {
			f.unsent = nil
			return nil
		}
	}
	return e.sendNow(ctx, entry, f)
}
