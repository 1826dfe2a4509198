package oncall

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// save stores a page that was looked after, with messages that tell of it. Where the
// store fails time and again they are sent past it, unless another process may do
// the same.
func (o *OnCall) save(ctx context.Context, v *visit, ms []outbox.Message) error {
	v.page.schedule(v.receiver)
	e := outbox.Entry{Key: newKey(), SeenAt: v.now, Window: pageFor, Messages: ms, Page: v.page.stored()}
	if v.page.Version != unrecorded {
		err := o.add(ctx, e)
		if err == nil || errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil || o.shared || v.failure.times == 0 {
			return err
		}
	}
	return o.sendNow(ctx, e, v.failure)
}

// sendNow sends an entry past the store. Of one that cannot be sent either some may
// have been, so it is kept.
func (o *OnCall) sendNow(ctx context.Context, e outbox.Entry, f *failure) error {
	f.unsent = &e
	if err := o.sender.SendNow(ctx, f.unsent); err != nil {
		return err
	}
	f.unsent = nil
	return nil
}

// finish stores what could neither be stored nor sent before, or sends it past the
// store. Where the page was changed meanwhile only what may have been sent is left.
func (o *OnCall) finish(ctx context.Context, f *failure) error {
	e := *f.unsent
	err := o.add(ctx, e)
	if err == nil {
		f.unsent = nil
		return nil
	}
	p, ahead := o.past.get(e.Page.ID)
	if ahead && p.State != outbox.PageOpen { // nobody needs it any more
		f.unsent = nil
		return nil
	}
	if errors.Is(err, outbox.ErrConflict) && !ahead {
		e.Messages = slices.DeleteFunc(e.Messages, func(m outbox.Message) bool { return m.State == outbox.Queued })
		if len(e.Messages) == 0 {
			f.unsent = nil
			return nil
		}
	}
	return o.sendNow(ctx, e, f)
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
	o.sender.Handover(e.Messages...)
	for _, m := range e.Marks {
		switch m.Kind {
		case contactMark:
			_ = o.loadContacts(ctx) // again soon, where it fails
			o.reviewSoon()          // one who wants no more texts has no page any more
		case silenceMark:
			signal(o.silencesChanged)
		}
	}
	signal(o.wake)
	return false, nil
}

// retrying does something again, from what is stored by then, where it was changed
// meanwhile. What is changed time and again is left, with ErrConflict.
func retrying(ctx context.Context, do func() error) (err error) {
	const most, hasty = 20, 3
	for i := range most {
		if err = do(); !errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil {
			return err
		}
		if i >= hasty {
			sleep(ctx, time.Duration(i)*5*time.Millisecond)
		}
	}
	return err
}

// newKey is one that is like no other.
func newKey() (key outbox.Key) {
	_, _ = rand.Read(key[:]) // it never fails
	return key
}
