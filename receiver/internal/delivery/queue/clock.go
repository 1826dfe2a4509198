package queue

import "time"

// aheadFor is how far a time may be ahead of the clock, which is adjusted now and then, before the clock
// counts as set back.
const aheadFor = time.Minute

// Rewind must be called when the clock was set back: times in the future count as now, and the gates judge
// again what waits for a time.
func (q *Queue) Rewind(now time.Time) {
	limit := func(t *time.Time, ahead time.Duration) {
		if most := now.Add(ahead); t.After(most) {
			*t = most
		}
	}
	limit(&q.paced, q.pause)
	limit(&q.account.blocked, AccountRetry)
	limit(&q.limits.budget.day, 0)
	for _, fl := range q.floods.of {
		limit(&fl.free, FloodWindow)
	}
	for i := range q.floods.ending {
		limit(&q.floods.ending[i].at, FloodWindow)
	}
	for _, p := range q.limits.people {
		limit(&p.digests.at, 0)
		for of, b := range p.buckets {
			limit(&b.at, 0)
			p.buckets[of] = b
		}
	}
	for of, p := range q.lanes.lastSent {
		p.at = min(p.at, momentOf(now))
		q.lanes.lastSent[of] = p
	}
	for _, it := range q.all {
		if it.doubt != nil {
			if d := *it.doubt; d.rewind(now) {
				it.doubt = q.share(d)
			}
		}
		if it.rare != nil {
			it.rare.refused = min(it.rare.refused, momentOf(now))
		}
	}
	q.dues.hastenAll(now, func(*item) bool { return true })
}

// rewind makes times in the future count as now, and reports whether there were any.
func (d *Doubt) rewind(now time.Time) (were bool) {
	for _, t := range []*time.Time{&d.First, &d.Last, &d.CannotAskSince} {
		if t.Sub(now) > aheadFor {
			*t, were = now, true
		}
	}
	return were
}
