package delivery

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// testNumber takes free test messages, which no limit holds back.
const testNumber e164.Number = "999"

// Limit is a token bucket of a recipient: it holds so many messages, and is filled
// anew within such a time. What is beyond waits, and is told in a digest when
// the bucket allows one.
type Limit struct {
	Messages int
	Per      time.Duration
}

// isLimited reports whether the limits of its recipient hold a message back. Digests
// stand for what they held back.
func isLimited(m *outbox.Message) bool {
	return !m.Urgent && m.To != testNumber && m.GroupKey != outbox.DigestGroup
}

// bucket is how full the bucket of a limit was at a time, in time: each message takes
// as much as it takes to fill in. The zero value is full.
type bucket struct {
	level time.Duration
	at    time.Time
}

// each is how long a message takes to be filled in.
func (l Limit) each() time.Duration { return l.Per / time.Duration(l.Messages) }

func (l Limit) level(b bucket, now time.Time) time.Duration {
	full := l.each() * time.Duration(l.Messages)
	if b.at.IsZero() {
		return full
	}
	return min(full, b.level+max(0, now.Sub(b.at)))
}

// allows is when a bucket allows one more.
func (l Limit) allows(b bucket, now time.Time) time.Time {
	return now.Add(max(0, l.each()-l.level(b, now)))
}

// take takes a message from a bucket. What passes without being allowed leaves it
// empty, not in debt.
func (l Limit) take(b bucket, now time.Time) bucket {
	return bucket{max(0, l.level(b, now)-l.each()), now}
}

// isFull reports whether nothing was taken that matters still.
func (l Limit) isFull(b bucket, now time.Time) bool {
	return l.level(b, now) == l.each()*time.Duration(l.Messages)
}

// person is what a recipient was sent lately, and what waits for the limits.
type person struct {
	buckets map[Limit]bucket
	digests bucket // of overBudget, empty at first
	held    map[*job]bool
}

func (s *schedule) person(to e164.Number) *person {
	p := s.people[to]
	if p == nil {
		p = &person{buckets: make(map[Limit]bucket), held: make(map[*job]bool)}
		s.people[to] = p
	}
	return p
}

// budget is how many segments may be spent in a day (UTC) before what is not
// critical is told in digests only.
type budget struct {
	daily int // 0: any number
	spent int
	day   time.Time
}

// overBudget is how often a recipient gets a digest once the budget is spent.
var overBudget = Limit{Messages: 1, Per: time.Hour}

func (b *budget) spend(segments int, now time.Time) {
	if today := now.UTC().Truncate(24 * time.Hour); today.After(b.day) {
		b.day, b.spent = today, 0
	}
	b.spent += segments
}

// isSpent reports whether nothing is left for today.
func (b *budget) isSpent(now time.Time) bool {
	b.spend(0, now)
	return b.daily > 0 && b.spent >= b.daily
}

// allowed is when the limits, the budget and the recipient's quiet hours let a
// job go.
func (s *schedule) allowed(j *job, now time.Time) time.Time {
	if j.doubt {
		return now
	}
	at := now
	if j.notBefore.After(at) {
		at = j.notBefore
	}
	over := j.low && s.budget.isSpent(now)
	if j.paid || !over && s.people[j.lane.to] == nil {
		return at
	}
	p := s.person(j.lane.to)
	later := func(free time.Time) {
		if free.After(at) {
			at = free
		}
	}
	if j.limited {
		for _, l := range s.limits[j.receiver] {
			later(l.allows(p.buckets[l], now))
		}
	}
	if over {
		if p.digests.at.IsZero() {
			p.digests.at = now // an hour from now
		}
		later(overBudget.allows(p.digests, now))
	}
	return at
}

// pay counts a job among what its recipient was sent, once. What no limit holds back
// does not count either.
func (s *schedule) pay(j *job, now time.Time) {
	if !j.paid && j.limited {
		s.charge(j.lane.to, now, j.low && s.budget.isSpent(now))
	}
	j.paid = true
}

// charge counts a message; beyond the budget it stands for the digest of an hour.
func (s *schedule) charge(to e164.Number, now time.Time, digest bool) {
	p := s.person(to)
	for _, l := range s.everyLimit {
		p.buckets[l] = l.take(p.buckets[l], now)
	}
	if digest {
		p.digests = overBudget.take(p.digests, now)
	}
}

// hold is that a job which tells of a page has to wait.
type hold struct {
	id    string
	until time.Time
	quiet bool // for its recipient's morning, not for the limits
}

// hold lets a job wait for the limits, or for the morning.
func (s *schedule) hold(j *job, until time.Time) {
	if j.pages { // once
		j.pages = false
		s.holds = append(s.holds, hold{j.id, until, until.Equal(j.notBefore)})
	}
	j.held, j.waited = true, true
	s.person(j.lane.to).held[j] = true
	j.due = until
	heap.Push(&s.heap, j)
}

// noteHolds has noted, in messages that tell of pages, what they wait for: their
// timeline must tell why a phone was silent.
func (d *Delivery) noteHolds(now time.Time) {
	for _, h := range d.queue.holds {
		why := "beyond the limits of its recipient, until "
		if h.quiet {
			why = "in the quiet hours of its recipient, until "
		}
		held := outbox.Held(h.id, now, why+h.until.UTC().Format("15:04:05 MST"))
		d.recorder.later(func(ctx context.Context) error {
			_, _, err := d.apply(ctx, held)
			return err
		})
	}
	d.queue.holds = nil
}

// release ends the wait.
func (s *schedule) release(j *job) {
	if !j.held {
		return
	}
	j.held = false
	delete(s.people[j.lane.to].held, j)
}

// heldWith are the jobs that wait for the limits or the morning of a job's
// recipient, the oldest first. The job waited for that, too.
func (s *schedule) heldWith(j *job, now time.Time) []*job {
	p := s.people[j.lane.to]
	if p == nil || j.paid || j.doubt {
		return nil
	}
	var others []*job
	spent := s.budget.isSpent(now)
	for other := range p.held {
		if spent && other.low && !j.low { // the budget does not touch what is critical
			continue
		}
		if other.outdated == "" && !other.notBefore.After(now) {
			others = append(others, other)
		}
	}
	slices.SortFunc(others, func(a, b *job) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return others
}

// forgetPeople drops those whose past no longer matters.
func (s *schedule) forgetPeople(now time.Time) {
	for to, p := range s.people {
		for l, b := range p.buckets {
			if l.isFull(b, now) {
				delete(p.buckets, l)
			}
		}
		if len(p.held)+len(p.buckets) == 0 && overBudget.isFull(p.digests, now) {
			delete(s.people, to)
		}
	}
}

// forgetLimits empties what is known of the past, to be counted anew.
func (s *schedule) forgetLimits() {
	for _, p := range s.people {
		clear(p.buckets)
		p.digests = bucket{}
	}
}

// remember counts what the store says was sent lately, so that a restart gives nobody
// a new allowance: within twice the longest limit, of which the first half makes up
// for what is not known of before. Where it cannot be read, nothing is counted.
func (d *Delivery) remember(ctx context.Context) {
	const page, most = 500, 100_000
	if d.queue.budget.daily > 0 {
		today := time.Now().UTC().Truncate(24 * time.Hour)
		spent, err := d.store.Segments(ctx, today)
		if err != nil {
			d.logger.Warn("cannot read what was spent today; the budget begins anew", "err", err)
		}
		d.queue.budget.day, d.queue.budget.spent = today, spent
	}
	if len(d.queue.everyLimit) == 0 && d.queue.budget.daily == 0 {
		return
	}
	longest := overBudget.Per
	for _, l := range d.queue.everyLimit {
		longest = max(longest, l.Per)
	}
	since := time.Now().Add(-2 * longest)
	var sent []outbox.Message
	before := ""
	for len(sent) < most {
		ms, err := d.store.List(ctx, outbox.Query{Before: before, Limit: page})
		if err != nil {
			d.logger.Warn("cannot read what was sent lately; limits begin anew", "err", err)
			break
		}
		for _, m := range ms {
			before = m.ID
			counts := isLimited(&m) || m.GroupKey == outbox.DigestGroup && m.To != testNumber
			if counts && !m.AttemptedAt.IsZero() && m.AttemptedAt.After(since) {
				sent = append(sent, m)
			}
		}
		if len(ms) < page || outbox.MadeAt(before).Before(since) {
			break
		}
	}
	slices.SortFunc(sent, func(a, b outbox.Message) int { return a.AttemptedAt.Compare(b.AttemptedAt) })
	for _, m := range sent {
		if p := d.queue.person(m.To); len(p.buckets) == 0 {
			for _, l := range d.queue.everyLimit {
				p.buckets[l] = bucket{at: since} // at worst
			}
		}
		d.queue.charge(m.To, m.AttemptedAt, m.GroupKey == outbox.DigestGroup)
	}
}
