package queue

import (
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// Result is the result of a Run.
type Result struct {
	Run        Run
	Again      time.Time // when to run it again; zero: it is finished
	AcceptedAt time.Time // when the provider accepted it, or was found to have it; zero: neither
	Doubt      Doubt     // what is now known about its attempts
	Refused    bool      // the provider refused the account
	Digest     bool      // a digest replaces it and those it ran with
	Alone      string    // the only one of them that is left, which is sent itself; "" if none is
}

// Settle ends a Run, and applies its result.
func (q *Queue) Settle(r Result, now time.Time) {
	it := q.all.find(r.Run.ID)
	if it == nil {
		return
	}
	if r.Run.Do == Digest {
		items := append(it.has().with, it)
		it.own().with = nil
		q.settleDigest(items, r, now)
		return
	}
	if r.Again.IsZero() {
		q.done(it, r.AcceptedAt, now)
		return
	}
	if r.Doubt.rewind(now) { // the clock was set back while it ran
		r.Again = now
	}
	if it.doubt = nil; r.Doubt != (Doubt{}) {
		it.doubt = q.share(r.Doubt)
	}
	q.askFirst(it)
	if q.account.end(it) {
		q.account.blocked = now.Add(AccountRetry)
	}
	if !it.maybeInFlight() {
		q.leaveFlood(it, now, now)
	}
	q.dues.wait(it, r.Again)
	if r.Refused {
		it.phase = parked
		it.own().refused = momentOf(now)
	}
	if it.digests && it.inDoubt() && !it.maybeInFlight() {
		q.stepAside(it, now)
	}
	q.lanes.supersedeUnlessNewest(it, q.lanes.newest(it.lane), now)
}

// stepAside gives a digest in doubt a lane of its own: others may pass it, but none supersedes it.
func (q *Queue) stepAside(it *item, now time.Time) {
	next := q.lanes.remove(it)
	it.own().behind = nil
	it.lane = q.maker.ownLane(it.id)
	q.lanes.add(it)
	if next != nil && next.phase == behind {
		q.dues.wait(next, now)
	}
}

// share returns a pointer to a Doubt. The provider is asked about many messages one after another, and
// the same is then known about each: they share one.
func (q *Queue) share(d Doubt) *Doubt {
	if q.last == nil || *q.last != d {
		latest := d // d itself would be allocated each time
		q.last = &latest
	}
	return q.last
}

// settleDigest ends the Run of items for a digest.
func (q *Queue) settleDigest(items []*item, r Result, now time.Time) {
	if r.Digest {
		q.limits.charge(r.Run.To, q.all.find(r.Run.ID).kind, now, true)
	}
	for _, it := range items {
		switch {
		case !r.Again.IsZero():
			q.limits.hold(it, r.Again)
			q.dues.push(it, held, r.Again)
			q.lanes.supersedeUnlessNewest(it, q.lanes.newest(it.lane), now)
		case it.id == r.Alone:
			q.dues.wait(it, now)
			q.lanes.supersedeUnlessNewest(it, q.lanes.newest(it.lane), now)
		default:
			q.done(it, time.Time{}, now)
		}
	}
}

// done removes an item that is finished; taken is zero if the provider does not have it.
func (q *Queue) done(it *item, acceptedAt, now time.Time) {
	q.account.end(it)
	free := now
	if !acceptedAt.IsZero() {
		free = acceptedAt.Add(FloodWindow)
		if it.to != e164.Test {
			q.limits.budget.spend(int(it.segments), now)
		}
	}
	q.leaveFlood(it, free, now)
	q.drop(it, now)
	switch {
	case !acceptedAt.IsZero():
		q.lanes.sent(it.lane, it.id, now)
	case !q.lanes.late(it.lane):
		delete(q.lanes.lastSent, it.lane)
	}
}

func (q *Queue) leaveFlood(it *item, free, now time.Time) {
	waiting, from := q.floods.leave(it, free, now)
	for _, other := range waiting {
		q.dues.wait(other, from)
	}
}

// drop removes an item from everywhere; the next of its lane may run.
func (q *Queue) drop(it *item, now time.Time) {
	q.limits.release(it)
	q.dues.remove(it)
	q.floods.remove(it)
	q.leaveFlood(it, now, now)
	if next := q.lanes.remove(it); next != nil && next.phase == behind {
		q.dues.wait(next, now)
	}
	q.all.remove(it)
	if it.has().message != nil {
		q.texts--
	}
}
