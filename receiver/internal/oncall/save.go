package oncall

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/commit"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

// save stores a page that was looked after, with messages that tell of it. Where the
// store fails time and again they are sent past it, unless another process may do
// the same.
func (o *OnCall) save(ctx context.Context, v *visit, ms []outbox.Message) error {
	v.page.schedule(v.receiver)
	e := outbox.Entry{Key: commit.NewKey(), SeenAt: v.now, Window: pageFor, Messages: ms, Page: v.page.stored()}
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

// addOnce is add, and reports a repeat.
func (o *OnCall) addOnce(ctx context.Context, e outbox.Entry) (duplicate bool, err error) {
	added, err := o.outbox.Try(ctx, e)
	if err != nil || added.Duplicate {
		return added.Duplicate, err
	}
	for _, m := range e.Marks {
		if m.Kind == silenceMark {
			o.silencesChanged.Ring()
		}
	}
	o.wake.Ring()
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
			loop.Sleep(ctx, time.Duration(i)*5*time.Millisecond)
		}
	}
	return err
}
