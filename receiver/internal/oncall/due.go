package oncall

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// longestRetry bounds the wait for a page whose step failed.
const longestRetry = 30 * time.Second

// failure is the retry state of a page whose step failed.
type failure struct {
	times int
	until time.Time // when the next attempt is
}

// run takes the steps that are due until the context ends. Everything it needs is in the store, so a
// restart changes nothing. Each step is guarded by the page's version, so only one replica takes it.
func (e *escalation) run(ctx context.Context) {
	loop.Repeat(ctx, e.rounds, e.wake, func() time.Duration {
		wait, err := e.takeDue(ctx)
		if err != nil && ctx.Err() == nil {
			e.logger.Error("cannot read the pages; trying again", "err", err)
			wait = min(wait, spool.Retry)
		}
		return wait
	})
}

// takeDue takes the steps that are due, and returns the time until the next ones are. A step that fails
// is retried a little later, and delays no other page.
func (e *escalation) takeDue(ctx context.Context) (wait time.Duration, err error) {
	reviewed := e.review(ctx)
	due, wait, err := e.due(ctx, e.spool.Now())
	for _, id := range due {
		e.try(ctx, id)
		wait = 0 // others may be due, and this one again
	}
	for id, f := range e.failures {
		if !f.until.After(e.spool.Now()) {
			if err == nil { // the page is no longer due
				delete(e.failures, id)
				continue
			}
			f.until = e.spool.Now().Add(spool.Retry)
		}
		wait = min(wait, max(0, f.until.Sub(e.spool.Now())))
	}
	return wait, cmp.Or(reviewed, err)
}

// due returns the pages that are due, except those that wait for a retry, and the time until others are
// due.
func (e *escalation) due(ctx context.Context, now time.Time) (ids []string, wait time.Duration, err error) {
	wait = e.gap
	ps, err := e.spool.Pages(ctx, outbox.PageQuery{DueBy: now.Add(10 * page.CurrentFor), Limit: pageBatch + len(e.failures)})
	for _, p := range ps {
		switch {
		case p.DueAt.IsZero(), e.failures[p.ID] != nil && now.Before(e.failures[p.ID].until):
		case p.DueAt.After(now):
			wait = min(wait, p.DueAt.Sub(now))
		default:
			ids = append(ids, p.ID)
		}
	}
	return ids, wait, err
}

// review takes the steps of pages that may be due before their time: those in again, or all current
// pages if reviewAll is set.
func (e *escalation) review(ctx context.Context) error {
	e.mu.Lock()
	again, all := e.toReview, e.reviewAll
	e.toReview, e.reviewAll = make(map[string]bool), false
	e.mu.Unlock()
	var err error
	if all {
		err = e.pages.eachCurrent(ctx, func(p outbox.Page) error {
			again[p.ID] = true
			return nil
		})
	}
	for id := range again {
		if e.try(ctx, id) {
			delete(again, id)
		}
	}
	e.mu.Lock() // keep the pages that failed for the next review
	defer e.mu.Unlock()
	for id := range again {
		e.toReview[id] = true
	}
	e.reviewAll = e.reviewAll || all && err != nil
	return err
}

// try takes the step that is due for a page, unless the page waits for a retry, and reports success.
func (e *escalation) try(ctx context.Context, id string) bool {
	f := e.failures[id]
	if f == nil {
		f = &failure{}
	} else if e.spool.Now().Before(f.until) {
		return false
	}
	err := e.take(ctx, id)
	if err == nil {
		delete(e.failures, id)
		return true
	}
	if ctx.Err() == nil {
		f.until = e.spool.Now().Add(min(spool.Retry<<min(f.times, 10), longestRetry))
		if errors.Is(err, page.ErrUnreadable) { // soon retries do not help
			f.until = e.spool.Now().Add(time.Hour)
		}
		f.times++
		e.failures[id] = f
		e.logger.Error("a step of a page failed; trying again", "page", id, "tries", f.times, "err", err)
	}
	return false
}
