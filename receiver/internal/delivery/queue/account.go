package queue

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// accountRetry is how often a refused account is tried again.
const accountRetry = time.Minute

// account is whether the provider refuses everything.
type account struct {
	blocked time.Time             // when one item tries again, zero while it works
	trial   *item                 // that item, while it runs
	trials  map[e164.Number]int32 // of the items of a recipient
}

// admits reports whether an item may be sent, or when it may try again.
func (a *account) admits(now time.Time) (at time.Time, ok bool) {
	switch {
	case a.blocked.IsZero():
		return now, true
	case a.trial != nil:
		return now.Add(accountRetry), false
	case now.Before(a.blocked):
		return a.blocked, false
	}
	return now, true
}

func (a *account) begin(it *item) {
	if !a.blocked.IsZero() {
		a.trial = it
		it.trials++
		if a.trials == nil {
			a.trials = make(map[e164.Number]int32)
		}
		a.trials[it.lane.to]++
	}
}

// end takes back the item that tried again, if it is this one.
func (a *account) end(it *item) (was bool) {
	was = a.trial == it
	if was {
		a.trial = nil
	}
	return was
}

// chooseTrial brings to the front the item that tries a refused account again. An item that
// cannot succeed for a reason of its own, or its recipient's, must not be the only one: it is
// one of the recipient that has tried least often, of these one that has itself, of these
// the most severe, of these the newest.
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

// before reports whether one item tries earlier than another.
func (a *account) before(it, other *item) bool {
	return cmp.Or(
		int(a.trials[it.lane.to]-a.trials[other.lane.to]), int(it.trials-other.trials), int(it.rank-other.rank), cmp.Compare(other.id, it.id),
	) < 0
}

// Block stops sending, but for one message a minute that tries again.
func (q *Queue) Block(now time.Time) { q.account.blocked = now.Add(accountRetry) }

// Unblock resumes sending, everything that waited for it included.
func (q *Queue) Unblock(now time.Time) {
	if q.account.blocked.IsZero() {
		return
	}
	q.account = account{}
	for _, it := range q.dues.items {
		it.trials = 0
		if it.phase == parked {
			it.phase, it.due = waiting, now
		}
	}
	heap.Init(&q.dues.items)
}
