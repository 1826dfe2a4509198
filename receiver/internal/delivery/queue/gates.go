package queue

import "time"

// gate checks one reason not to send a message now.
type gate struct {
	name string
	pass func(q *Queue, it *item, now time.Time) verdict
}

// gates are the gates that a due item passes, in this order. The first one that does not let it
// pass decides.
var gates = []gate{
	{"freshness", freshness},
	{"account", accountWorks},
	{"quiet hours", quietHours},
	{"limits", withinLimits},
	{"budget", withinBudget},
	{"digest", digest},
	{"pace", pacing},
	{"flood", floodWindow},
	{"question", question},
}

// verdict is what a gate decides. The zero value lets an item pass.
type verdict struct {
	do    Action    // what to run the item for
	phase phase     // if do is Nothing, what the item waits for
	until time.Time // the latest end of the wait
	with  []*item   // for Digest: the other items
}

func (v verdict) passes() bool { return v.do == Nothing && v.phase == behind }

func waitUntil(at time.Time) verdict { return verdict{phase: waiting, until: at} }

// freshness drops an item that is superseded or too old. If the provider may have it, the
// provider is asked first. An item that became too old while it was held goes into a digest.
func freshness(q *Queue, it *item, now time.Time) verdict {
	switch stale := it.isSuperseded() || it.isLate(now) && !it.wasHeld; {
	case !stale:
		return verdict{}
	case !it.asks():
		return verdict{do: Drop}
	case q.account.blocked.IsZero():
		return verdict{do: Ask}
	}
	return verdict{}
}

// accountWorks stops every item while the provider refuses the account, except one that tries it
// again.
func accountWorks(q *Queue, it *item, now time.Time) verdict {
	if at, ok := q.account.admits(now); !ok {
		return verdict{phase: parked, until: at}
	}
	return verdict{}
}

// quietHours holds an item until its recipient's quiet hours end.
func quietHours(q *Queue, it *item, now time.Time) verdict {
	end := it.has().notBefore.time()
	if it.inDoubt() || !end.After(now) {
		return verdict{}
	}
	return verdict{phase: held, until: end}
}

// withinLimits holds an item until the limits of its recipient allow it.
func withinLimits(q *Queue, it *item, now time.Time) verdict {
	return holdUntil(it, q.limits.allowed, now)
}

// withinBudget holds an item while the budget is spent.
func withinBudget(q *Queue, it *item, now time.Time) verdict {
	return holdUntil(it, q.limits.afforded, now)
}

// holdUntil holds an item until the time that until returns, or until it is too old: then it goes
// into a digest, whatever the limits allow.
func holdUntil(it *item, until func(*item, time.Time) time.Time, now time.Time) verdict {
	if it.inDoubt() || it.counted || it.isLate(now) {
		return verdict{}
	}
	at := until(it, now)
	if !at.After(now) {
		return verdict{}
	}
	if it.expires.time().Before(at) {
		at = it.expires.time().Add(time.Millisecond)
	}
	return verdict{phase: held, until: at}
}

// digest combines an item that was held with the others that may go into its digest.
func digest(q *Queue, it *item, now time.Time) verdict {
	late := it.wasHeld && it.isLate(now) && !it.inDoubt()
	if it.phase != held && !late {
		return verdict{}
	}
	if others := q.limits.heldWith(it, now); late || len(others) > 0 {
		return verdict{do: Digest, with: others}
	}
	return verdict{}
}

// pacing keeps the pause between two messages.
func pacing(q *Queue, it *item, now time.Time) verdict {
	if q.pause > 0 && now.Before(q.paced) && !it.isCleared() { // the pause was kept before the question
		return waitUntil(q.paced)
	}
	return verdict{}
}

// floodWindow keeps messages with the same text to the same number a window apart.
func floodWindow(q *Queue, it *item, now time.Time) verdict {
	switch ok, free := q.floods.enter(it, now); {
	case ok:
		return verdict{}
	case free.IsZero():
		return verdict{phase: flooded}
	default:
		return waitUntil(free)
	}
}

// question decides whether the provider is asked before the message is sent. An item that was
// superseded or became too old after the response is asked about again: it is dropped only if no request
// is on its way.
func question(q *Queue, it *item, now time.Time) verdict {
	if it.asks() && (!it.isCleared() || it.isSuperseded() || it.isLate(now)) {
		return verdict{do: Ask}
	}
	return verdict{do: Send}
}

// Next takes a message from the queue that is due, and returns the Run to execute for it now.
// If no message is due, it returns a Run that does Nothing, and when the next may be due, zero if
// none waits.
func (q *Queue) Next(now time.Time) (Run, time.Time) {
	q.floods.end(now)
	q.account.chooseTrial(&q.dues, now)
	for {
		if q.account.blocked.IsZero() { // otherwise the trial comes first
			q.dues.promote(now)
		}
		it := q.dues.first()
		if it == nil {
			return Run{}, time.Time{}
		}
		if it.due.After(now) {
			return Run{}, it.due
		}
		q.dues.remove(it)
		q.limits.release(it)
		v := q.judge(it, now)
		switch {
		case v.do != Nothing:
			return q.start(it, v, now), now
		case v.phase == flooded:
			it.phase = flooded
		case v.phase == held:
			q.limits.hold(it, v.until)
			q.dues.push(it, held, v.until)
		default:
			q.dues.wait(it, v.until)
			it.phase = v.phase
		}
	}
}

// judge returns the verdict of the first gate that does not let an item pass.
func (q *Queue) judge(it *item, now time.Time) verdict {
	for _, g := range gates {
		if v := g.pass(q, it, now); !v.passes() {
			return v
		}
	}
	return verdict{}
}

// start marks an item as running, and returns its Run.
func (q *Queue) start(it *item, v verdict, now time.Time) Run {
	switch v.do {
	case Digest:
		it.own().with = v.with
		for _, other := range v.with {
			q.limits.release(other)
			q.dues.remove(other)
			other.phase = running
		}
	case Ask, Send:
		q.account.begin(it)
		q.limits.count(it, now)
		q.paced = now.Add(q.pause)
	}
	it.phase = running
	return it.run(v.do)
}
