package delivery

import (
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

// person is what a recipient was sent lately, and what waits for the limits.
type person struct {
	sent []time.Time
	held map[*job]bool
}

// keepSent is how far back a limit looks: what is older has been filled anew.
const (
	keepSent     = 24 * time.Hour
	keepSentMost = 100 // messages
)

// allows is when a bucket, from which messages were taken at times, allows one
// more. What passes without being allowed leaves it empty, not in debt.
func (l Limit) allows(taken []time.Time, now time.Time) time.Time {
	each := l.Per / time.Duration(l.Messages) // until there is one more
	full := each * time.Duration(l.Messages)
	if len(taken) == 0 {
		return now
	}
	level, last := full, taken[0]
	for _, at := range taken {
		level = min(full, level+at.Sub(last))
		level, last = max(0, level-each), at
	}
	level = min(full, level+now.Sub(last))
	return now.Add(max(0, each-level))
}

func (s *schedule) person(to e164.Number) *person {
	p := s.people[to]
	if p == nil {
		p = &person{held: make(map[*job]bool)}
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
	p := s.people[j.lane.to]
	if j.paid || p == nil {
		return at
	}
	later := func(l Limit) {
		if free := l.allows(p.sent, now); free.After(at) {
			at = free
		}
	}
	if j.limited {
		for _, l := range s.limits[j.receiver] {
			later(l)
		}
	}
	if j.low && s.budget.isSpent(now) {
		later(overBudget)
	}
	return at
}

// pay counts a job among what its recipient was sent, once. What no limit holds back
// does not count either.
func (s *schedule) pay(j *job, now time.Time) {
	if !j.paid && j.limited && (len(s.limits) > 0 || s.budget.daily > 0) {
		s.charge(j.lane.to, now)
	}
	j.paid = true
}

func (s *schedule) charge(to e164.Number, now time.Time) {
	p := s.person(to)
	old, _ := slices.BinarySearchFunc(p.sent, now.Add(-keepSent), time.Time.Compare)
	old = max(old, len(p.sent)+1-keepSentMost)
	p.sent = append(p.sent[old:], now)
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
	j.held = true
	s.person(j.lane.to).held[j] = true
	s.wait(j, until)
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
// recipient, the oldest first.
func (s *schedule) heldWith(j *job, now time.Time) []*job {
	p := s.people[j.lane.to]
	if p == nil || !j.limited && j.notBefore.IsZero() || j.paid || j.doubt {
		return nil
	}
	var others []*job
	spent := s.budget.isSpent(now)
	for other := range p.held {
		if spent && other.low && !j.low { // the budget does not touch what is critical
			continue
		}
		if other.outdated == "" && !now.After(other.expires) && !other.notBefore.After(now) {
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
		if len(p.held) == 0 && (len(p.sent) == 0 || now.Sub(p.sent[len(p.sent)-1]) > keepSent) {
			delete(s.people, to)
		}
	}
}

// remember counts what the store says was sent lately, so that a restart gives
// nobody a new allowance. Where it cannot be read, nothing is counted.
func (d *Delivery) remember(ctx context.Context) {
	const page, most = 500, 2000
	if d.queue.budget.daily > 0 {
		today := time.Now().UTC().Truncate(24 * time.Hour)
		spent, err := d.store.Segments(ctx, today)
		if err != nil {
			d.logger.Warn("cannot read what was spent today; the budget begins anew", "err", err)
		}
		d.queue.budget.day, d.queue.budget.spent = today, spent
	}
	if len(d.queue.limits) == 0 && d.queue.budget.daily == 0 {
		return
	}
	since := time.Now().Add(-6 * time.Hour)
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
			counts := (!m.Urgent || m.GroupKey == outbox.DigestGroup) && m.To != testNumber
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
		d.queue.charge(m.To, m.AttemptedAt)
	}
}
