package queue

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

const (
	// AccountRetry is the pause before a refused account is tried again.
	AccountRetry = time.Minute
	// refusedPause is the least time between an item's refusal and its next attempt, however soon
	// another response shows that the account works.
	refusedPause = time.Second
)

// account knows whether the provider refuses the account, and which item tries it again.
type account struct {
	blocked time.Time             // when one item may try again; zero: the account works
	trial   *item                 // that item, while it runs
	trials  map[e164.Number]int32 // per recipient, by all of its items
}

// admits reports whether an item may be sent now; if not, at is when it may try.
func (a *account) admits(now time.Time) (at time.Time, ok bool) {
	switch {
	case a.blocked.IsZero():
		return now, true
	case a.trial != nil:
		return now.Add(AccountRetry), false
	case now.Before(a.blocked):
		return a.blocked, false
	}
	return now, true
}

func (a *account) begin(it *item) {
	if !a.blocked.IsZero() {
		a.trial = it
		it.own().trials++
		if a.trials == nil {
			a.trials = make(map[e164.Number]int32)
		}
		a.trials[it.to]++
	}
}

// end ends the trial of a refused account if this item runs it, and reports whether it does.
func (a *account) end(it *item) (was bool) {
	was = a.trial == it
	if was {
		a.trial = nil
	}
	return was
}

// chooseTrial moves to the front the item that tries a refused account again. An item that cannot
// succeed for a reason of its own, or its recipient's, must not be the only one that tries. So it
// prefers the recipient with the fewest trials, then the item with the fewest trials, then the most
// severe, then the newest.
func (a *account) chooseTrial(d *dues, now time.Time) {
	if a.blocked.IsZero() || a.trial != nil || now.Before(a.blocked) {
		return
	}
	var best *item
	for _, it := range d.items {
		if it.phase == parked && (best == nil || a.before(it, best)) {
			best = it
		}
	}
	if best == nil {
		return
	}
	first := d.items[0].due.Add(-1)
	if first.After(now) {
		first = now
	}
	d.hasten(best, first)
}

// before reports whether an item tries a refused account before another.
func (a *account) before(it, other *item) bool {
	return cmp.Or(
		int(a.trials[it.to]-a.trials[other.to]), int(it.has().trials-other.has().trials), int(it.rank-other.rank), cmp.Compare(other.id, it.id),
	) < 0
}

// Block stops sending, except for one message a minute that tries the account again.
func (q *Queue) Block(now time.Time) { q.account.blocked = now.Add(AccountRetry) }

// Unblock resumes sending, starting with everything that waited for the account.
func (q *Queue) Unblock(now time.Time) {
	if q.account.blocked.IsZero() {
		return
	}
	q.account = account{}
	for _, it := range q.dues.items {
		if it.phase == parked {
			it.phase, it.due = waiting, now
			if again := it.has().refused.time().Add(refusedPause); again.After(now) {
				it.due = again
			}
		}
		if it.rare != nil {
			it.rare.trials = 0
		}
	}
	heap.Init(&q.dues.items)
}
