package oncall

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// dueBatch is how many due pages are looked at before anything else is.
	dueBatch = 100
	// longestRetry is how long a page that cannot be looked after waits at most.
	longestRetry = 30 * time.Second
)

// Final takes in the end of a message. One of a page that did not arrive lets its
// escalation go on at once.
func (o *OnCall) Final(m outbox.Message) {
	switch {
	case !m.State.Undelivered():
	case m.PageID != "":
		o.lookAgain(m.PageID)
	case m.GroupKey == outbox.DigestGroup: // it may have told of any
		o.reviewSoon()
	}
}

// lookAgain has a page looked at whether it is due or not.
func (o *OnCall) lookAgain(id string) {
	o.mu.Lock()
	o.again[id] = true
	o.mu.Unlock()
	o.wake.Ring()
}

// Undelivered takes in that some process found that a message did not arrive.
func (o *OnCall) Undelivered(ctx context.Context, id string) {
	if m, err := o.store.Get(ctx, id); err == nil {
		o.Final(m)
	}
}

// failure is of a page that could not be looked after.
type failure struct {
	times  int
	until  time.Time     // when it is tried again
	unsent *outbox.Entry // some of which may have been sent past the store; nil: none
}

// runPages does what is due until the context ends. All that it goes by is in the
// outbox, so that a restart changes nothing, and each step is guarded by the
// page's version, so that of several processes one takes it.
func (o *OnCall) runPages(ctx context.Context) {
	failures := make(map[string]*failure)
	loop.Repeat(ctx, o.wake, func() time.Duration {
		wait, err := o.doDue(ctx, failures)
		if err != nil && ctx.Err() == nil {
			o.logger.Error("cannot read the pages; trying again", "err", err)
			wait = min(wait, storeRetry)
		}
		return wait
	})
}

// doDue does what is due, and returns the time until more is. A page that cannot be
// looked after is tried again a little later, and keeps no other waiting.
func (o *OnCall) doDue(ctx context.Context, failures map[string]*failure) (wait time.Duration, err error) {
	reviewed := o.review(ctx, failures)
	for ctx.Err() == nil {
		var due []string
		if due, wait, err = o.due(ctx, time.Now(), failures); len(due) == 0 {
			break
		}
		for _, id := range due {
			o.try(ctx, id, failures)
		}
	}
	for id, f := range failures {
		if time.Until(f.until) <= 0 {
			switch {
			case f.unsent != nil: // some of it may have been sent
				o.try(ctx, id, failures)
			case err == nil: // it is not due any more
				delete(failures, id)
				continue
			default:
				f.until = time.Now().Add(storeRetry)
			}
		}
		wait = min(wait, max(0, time.Until(f.until)))
	}
	return wait, cmp.Or(reviewed, err)
}

// due are pages that are due, without those that failed a moment ago, and the time
// until others are.
func (o *OnCall) due(ctx context.Context, now time.Time, failures map[string]*failure) (ids []string, wait time.Duration, err error) {
	wait = o.gap
	take := func(p *outbox.Page) {
		switch {
		case p.DueAt.IsZero(), failures[p.ID] != nil && now.Before(failures[p.ID].until):
		case p.DueAt.After(now):
			wait = min(wait, p.DueAt.Sub(now))
		default:
			ids = append(ids, p.ID)
		}
	}
	ahead := make(map[string]bool)
	for _, p := range o.past.all() {
		ahead[p.ID] = true
		if !o.shared {
			take(&p)
		}
	}
	ps, err := o.store.Pages(ctx, outbox.PageQuery{DueBy: now.Add(10 * pageFor), Limit: dueBatch + len(failures) + len(ahead)})
	for _, p := range ps {
		if !ahead[p.ID] {
			take(&p)
		}
	}
	return ids, wait, err
}

// review looks at pages that may be due though their time has not come: some, or
// all that are current.
func (o *OnCall) review(ctx context.Context, failures map[string]*failure) error {
	o.mu.Lock()
	again, all := o.again, o.reviewAll
	o.again, o.reviewAll = make(map[string]bool), false
	o.mu.Unlock()
	var err error
	if all {
		err = o.eachCurrent(ctx, func(p outbox.Page) error {
			again[p.ID] = true
			return nil
		})
	}
	for id := range again {
		if o.try(ctx, id, failures) {
			delete(again, id)
		}
	}
	o.mu.Lock() // none is forgotten
	defer o.mu.Unlock()
	for id := range again {
		o.again[id] = true
	}
	o.reviewAll = o.reviewAll || all && err != nil
	return err
}

// eachCurrent yields all pages that are current, newest first.
func (o *OnCall) eachCurrent(ctx context.Context, yield func(outbox.Page) error) error {
	for before := ""; ; {
		ps, err := o.store.Pages(ctx, outbox.PageQuery{Current: true, Before: before, Limit: dueBatch})
		if err != nil {
			return err
		}
		for _, p := range ps {
			before = p.ID
			if err := yield(p); err != nil {
				return err
			}
		}
		if len(ps) < dueBatch {
			return nil
		}
	}
}

// try looks after a page, unless it failed a moment ago, and reports whether it did.
func (o *OnCall) try(ctx context.Context, id string, failures map[string]*failure) bool {
	f := failures[id]
	if f == nil {
		f = &failure{}
	} else if time.Now().Before(f.until) {
		return false
	}
	err := retrying(ctx, func() error { return o.lookAfter(ctx, id, f) })
	if err == nil {
		delete(failures, id)
		return true
	}
	if ctx.Err() == nil {
		f.until = time.Now().Add(min(storeRetry<<min(f.times, 10), longestRetry))
		if errors.Is(err, errUnreadable) { // time does not mend it
			f.until = time.Now().Add(time.Hour)
		}
		f.times++
		failures[id] = f
		o.logger.Error("a page cannot be looked after; trying again", "page", id, "tries", f.times, "err", err)
	}
	return false
}
