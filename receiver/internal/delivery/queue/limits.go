package queue

import (
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// Limit is a token bucket per recipient: it holds this many messages, and an empty one is full again
// after this time. Further messages are held, and go into a digest when the bucket allows one.
type Limit struct {
	Messages int
	Per      time.Duration
}

// OverBudget is how often a recipient gets a digest once the daily budget is spent.
var OverBudget = Limit{Messages: 1, Per: time.Hour}

// Storm limits how many urgent messages a recipient gets one by one: ten immediately, then one
// every six seconds. Those in between go into digests.
var Storm = Limit{Messages: 10, Per: time.Minute}

// kind says which allowance a message uses. Each kind has its own, so that urgent messages do not
// wait for other messages, and no page waits for a RESOLVED.
type kind int8

const (
	ofPages kind = iota
	ofResolved
	ofUrgent
)

// kindOf returns the kind of a message.
func kindOf(m *outbox.Message) kind {
	switch {
	case m.Urgent && m.Severity != "": // notices have no severity
		return ofUrgent
	case m.Severity == templating.SeverityResolved:
		return ofResolved
	}
	return ofPages
}

// isLimited reports whether the limits of its recipient may hold a message. They do not apply to
// notices, to free tests, and to digests, which replace messages that were held.
func isLimited(m *outbox.Message) bool {
	return (!m.Urgent || kindOf(m) == ofUrgent) && m.To != e164.Test && m.GroupKey != outbox.DigestGroup
}

// Counts reports whether a message that was sent counts for the limits.
func Counts(m *outbox.Message) bool {
	return isLimited(m) || m.GroupKey == outbox.DigestGroup && m.To != e164.Test
}

// allowance is a limit for messages of one kind.
type allowance struct {
	kind
	Limit
}

// bucket is the level of a limit's bucket at a time. The level is measured in time: a message takes
// as much from the bucket as refills in Limit.each. The zero value is full.
type bucket struct {
	level time.Duration
	at    time.Time
}

// each returns how long the bucket takes to refill by one message.
func (l Limit) each() time.Duration { return l.Per / time.Duration(l.Messages) }

func (l Limit) level(b bucket, now time.Time) time.Duration {
	full := l.each() * time.Duration(l.Messages)
	if b.at.IsZero() {
		return full
	}
	return min(full, b.level+max(0, now.Sub(b.at)))
}

// allows returns when a bucket allows one more message.
func (l Limit) allows(b bucket, now time.Time) time.Time {
	return now.Add(max(0, l.each()-l.level(b, now)))
}

// take takes a message from a bucket. A message that passes without being allowed
// leaves the bucket empty, not in debt.
func (l Limit) take(b bucket, now time.Time) bucket {
	return bucket{max(0, l.level(b, now)-l.each()), now}
}

func (l Limit) isFull(b bucket, now time.Time) bool {
	return l.level(b, now) == l.each()*time.Duration(l.Messages)
}

// limits holds what recipients were sent lately, and what is held because of that.
type limits struct {
	of     map[string][]Limit // by receiver
	all    []Limit            // the different limits of all receivers, and Storm
	people map[e164.Number]*person
	budget budget
	holds  []Hold
}

// person holds what a recipient was sent lately, and what is held for them.
type person struct {
	buckets map[allowance]bucket
	digests bucket // of the OverBudget limit; empty at first
	held    map[*item]bool
}

// budget limits how many segments are spent in a day (UTC).
type budget struct {
	daily int // 0: any number
	spent int
	day   time.Time
}

// Hold reports that a message began to wait.
type Hold struct {
	ID    string
	Until time.Time
	Quiet bool // it waits for the end of its recipient's quiet hours, otherwise for the limits
}

// configure replaces the rules, and reports whether there are new ones: then what was sent lately must
// be counted again.
func (l *limits) configure(s Settings) (recount bool) {
	before, budgeted := l.all, l.budget.daily > 0
	l.of, l.all, l.budget.daily = s.Limits, nil, s.DailyBudget
	for _, limits := range s.Limits {
		for _, limit := range limits {
			if !slices.Contains(l.all, limit) {
				l.all = append(l.all, limit)
			}
		}
	}
	if len(l.all) > 0 && !slices.Contains(l.all, Storm) {
		l.all = append(l.all, Storm)
	}
	same := len(before) == len(l.all) && !slices.ContainsFunc(before, func(b Limit) bool { return !slices.Contains(l.all, b) })
	if same && (budgeted || s.DailyBudget == 0) {
		return false
	}
	for _, p := range l.people {
		clear(p.buckets)
		p.digests = bucket{}
	}
	return true
}

func (l *limits) person(to e164.Number) *person {
	p := l.people[to]
	if p == nil {
		p = &person{buckets: make(map[allowance]bucket), held: make(map[*item]bool)}
		l.people[to] = p
	}
	return p
}

func (b *budget) spend(segments int, now time.Time) {
	if today := now.UTC().Truncate(24 * time.Hour); today.After(b.day) {
		b.day, b.spent = today, 0
	}
	b.spent += segments
}

// isSpent reports whether today's budget is spent.
func (b *budget) isSpent(now time.Time) bool {
	b.spend(0, now)
	return b.daily > 0 && b.spent >= b.daily
}

// isOver reports whether the budget holds an item back.
func (l *limits) isOver(it *item, now time.Time) bool {
	return it.class == low && l.budget.isSpent(now)
}

// allowed returns when the limits of its recipient allow an item.
func (l *limits) allowed(it *item, now time.Time) time.Time {
	at := now
	p := l.people[it.to]
	if it.class == exempt || p == nil {
		return at
	}
	for _, limit := range l.limitsOf(it) {
		if free := limit.allows(p.buckets[allowance{it.kind, limit}], now); free.After(at) {
			at = free
		}
	}
	if it.kind == ofResolved { // held pages go first, and their digest includes it
		for other := range p.held {
			if other.kind == ofPages && !other.has().notBefore.time().After(now) && !other.due.Before(at) {
				at = other.due.Add(time.Millisecond)
			}
		}
	}
	return at
}

// limitsOf returns the limits of an item's receiver. If there are any, only Storm applies to an
// urgent item.
func (l *limits) limitsOf(it *item) []Limit {
	limits := l.of[it.receiver]
	if it.kind == ofUrgent && len(limits) > 0 {
		return []Limit{Storm}
	}
	return limits
}

// afforded returns when the budget allows an item: now or, if it is spent, with the recipient's next
// digest.
func (l *limits) afforded(it *item, now time.Time) time.Time {
	if !l.isOver(it, now) {
		return now
	}
	p := l.person(it.to)
	if p.digests.at.IsZero() {
		p.digests.at = now // an hour from now
	}
	return OverBudget.allows(p.digests, now)
}

// count counts an item, once, against the limits of its recipient.
func (l *limits) count(it *item, now time.Time) {
	if !it.counted && it.class != exempt {
		l.charge(it.to, it.kind, now, l.isOver(it, now))
	}
	it.counted = true
}

// charge counts a message of a kind against the limits of a recipient. digest: it is also the
// recipient's digest of the hour, see OverBudget.
func (l *limits) charge(to e164.Number, of kind, now time.Time, digest bool) {
	p := l.person(to)
	for _, limit := range l.all {
		a := allowance{of, limit}
		p.buckets[a] = limit.take(p.buckets[a], now)
	}
	if digest && of != ofUrgent {
		p.digests = OverBudget.take(p.digests, now)
	}
}

// hold records that an item waits until a time.
func (l *limits) hold(it *item, until time.Time) {
	if it.noteHold {
		it.noteHold = false
		l.holds = append(l.holds, Hold{it.id, until, until.Equal(it.has().notBefore.time())})
	}
	it.wasHeld, it.own().heldUntil = true, momentOf(until)
	l.person(it.to).held[it] = true
}

// release records that an item no longer waits.
func (l *limits) release(it *item) {
	if p := l.people[it.to]; p != nil {
		delete(p.held, it)
	}
}

// heldWith returns the held items that may go into one digest with an item, oldest first. An urgent
// item goes only with urgent ones, and a RESOLVED only with other RESOLVED ones.
func (l *limits) heldWith(it *item, now time.Time) []*item {
	p := l.people[it.to]
	if p == nil || it.counted || it.inDoubt() {
		return nil
	}
	var others []*item
	spent := l.budget.isSpent(now)
	for other := range p.held {
		if spent && other.class == low && it.class != low { // the budget does not hold the most severe
			continue
		}
		if (other.kind == ofUrgent) != (it.kind == ofUrgent) || it.kind == ofResolved && other.kind != ofResolved {
			continue
		}
		if other != it && !other.isSuperseded() && !other.has().notBefore.time().After(now) {
			others = append(others, other)
		}
	}
	slices.SortFunc(others, func(a, b *item) int { return strings.Compare(a.id, b.id) })
	return others
}

// forget drops full buckets, and recipients without any other.
func (l *limits) forget(now time.Time) {
	for to, p := range l.people {
		for limit, b := range p.buckets {
			if limit.Limit.isFull(b, now) {
				delete(p.buckets, limit)
			}
		}
		if len(p.held)+len(p.buckets) == 0 && OverBudget.isFull(p.digests, now) {
			delete(l.people, to)
		}
	}
}

// Longest returns for how long sent messages count against limits, 0 if there are neither limits nor
// a budget.
func (q *Queue) Longest() time.Duration {
	if len(q.limits.all) == 0 && q.limits.budget.daily == 0 {
		return 0
	}
	longest := OverBudget.Per
	for _, l := range q.limits.all {
		longest = max(longest, l.Per)
	}
	return longest
}

// Remember counts what was sent lately, oldest first, and the segments spent today. Nothing is known
// from before since: the buckets of these recipients are taken to be empty then.
func (q *Queue) Remember(sent []outbox.Message, since time.Time, spent int, now time.Time) {
	q.limits.budget.spend(0, now)
	q.limits.budget.spent = max(q.limits.budget.spent, spent) // it may include what this run has counted already
	for _, m := range sent {
		if p := q.limits.person(m.To); len(p.buckets) == 0 {
			for _, l := range q.limits.all {
				for _, k := range []kind{ofPages, ofResolved, ofUrgent} {
					p.buckets[allowance{k, l}] = bucket{at: since}
				}
			}
		}
		q.limits.charge(m.To, kindOf(&m), m.AttemptedAt, m.GroupKey == outbox.DigestGroup)
	}
}
