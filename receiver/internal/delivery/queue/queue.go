// Package queue decides which message is sent next. It is pure: it knows no clock, no
// network and no store. Its one owner gives it messages and the time, and reports what
// became of them.
//
// A message waits in its lane (recipient, receiver, group). The first of each lane is
// due at some time; then it passes the gates (see gates.go), which send it, make it
// wait, or give it up:
//
//	          ┌──────── waiting, held, parked, flooded ◀───────┐
//	          ▼                                                │ a gate says when
//	behind ─▶ due ─▶ freshness ─ account ─ … ─ flood ─ question ┴─▶ running ─▶ gone
//
// Law 2 has its place here: a message is sent without a question only if nobody can
// have tried to send it before, see [Queue.Add].
package queue

import (
	"container/heap"
	"hash/maphash"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// keptTexts is how many texts of waiting messages are kept in memory.
const keptTexts = 500

// Settings are the rules that the configuration sets.
type Settings struct {
	Limits      map[string][]Limit // of each receiver
	Severities  *templating.SeverityOrder
	DailyBudget int           // segments, beyond which only the most severe goes alone; 0: none
	Pause       time.Duration // between any two messages; 0: none
}

// Origin says where a message was before it came into the queue.
type Origin int

const (
	New    Origin = iota // this process made it, or learnt of it while it was the sender
	Loaded               // the store had it: another sender may have tried it
	Direct               // it could not be stored, and is sent all the same: limits do not hold it back
)

// Queue holds the messages that are to be sent.
type Queue struct {
	term    time.Time // when this process became the sender
	old     *Doubt    // of all that is older and of which no attempt is known
	maker   maker
	known   map[string]*item
	ages    ages // of known, and of some that are gone
	texts   int  // how many items keep their message
	dues    dues
	lanes   lanes
	floods  floods
	limits  limits
	account account
	pause   time.Duration // between any two messages; 0: none
	paced   time.Time     // not before this
}

// NewQueue returns an empty queue of a sender whose term began at a time. More of what
// is older may come until [Queue.Loaded]; in a shared store, always.
func NewQueue(term time.Time, shared bool) *Queue {
	q := &Queue{
		term: term, maker: maker{seed: maphash.MakeSeed(), interned: make(map[string]string)}, known: make(map[string]*item),
		old: older(term), floods: floods{of: make(map[uint64]*flood)},
		limits: limits{people: make(map[e164.Number]*person)},
	}
	q.lanes = lanes{dues: &q.dues, limits: &q.limits, items: make(map[lane][]*item), passed: make(map[lane]passed), loading: true, shared: shared}
	return q
}

// older is what is known of a message that is older than a term.
func older(term time.Time) *Doubt { return &Doubt{Ask: true, First: term, Last: term} }

// Configure sets or replaces the rules, and reports whether limits were replaced by
// others: what was sent lately is then to be counted anew.
func (q *Queue) Configure(s Settings) (recount bool) {
	q.pause, q.maker.order = s.Pause, s.Severities
	return q.limits.configure(s)
}

// Add takes in a message, unless it is known. The provider is asked about it before it
// is sent, unless nobody can have tried it: it is younger than the sender's term, was
// not loaded from the store, and no attempt is known.
func (q *Queue) Add(m outbox.Message, from Origin, now time.Time) {
	if q.known[m.ID] != nil {
		return
	}
	it := q.maker.item(m)
	if from == Direct {
		it.class = exempt
		it.notBefore = 0
	}
	if from == Loaded || m.State == outbox.Sending || q.isOlder(&m) {
		it.doubt = q.old
		if m.State == outbox.Sending {
			d := *q.old
			if d.Tried = true; !m.AttemptedAt.IsZero() {
				d.First, d.Last = m.AttemptedAt, m.AttemptedAt
			}
			it.doubt = &d
		}
	}
	if q.texts < keptTexts {
		q.texts++
		it.message = &m
	}
	q.known[m.ID] = it
	heap.Push(&q.ages, m.ID)
	if q.lanes.add(it) {
		q.dues.wait(it, now)
	}
	q.lanes.freshen(it.lane, now)
}

// isOlder reports whether a message is older than the term, or was due before it: an earlier run may
// have sent it, and ended before it could store that.
func (q *Queue) isOlder(m *outbox.Message) bool {
	due := outbox.MadeAt(m.ID)
	return m.CreatedAt.Before(q.term) || !due.IsZero() && due.Before(q.term.Truncate(time.Millisecond))
}

// Begin begins a new term: messages of earlier ones may come until [Queue.Loaded]. The
// provider is asked about those that are here.
func (q *Queue) Begin(term time.Time) {
	q.term, q.old, q.lanes.loading = term, older(term), true
	for _, it := range q.known {
		if it.older = true; it.phase != running {
			q.askFirst(it)
		}
	}
}

// askFirst has the provider asked about an item that is older than the term.
func (q *Queue) askFirst(it *item) {
	switch {
	case !it.older:
	case it.answered(): // in an earlier term
		d := *it.doubt
		d.Answered = false
		it.doubt = &d
	case !it.asks():
		failures := int32(0)
		if it.doubt != nil {
			failures = it.doubt.Failures
		}
		if it.doubt = q.old; failures > 0 {
			d := *q.old
			d.Failures = failures
			it.doubt = &d
		}
	}
	it.older = false
}

// Passed takes in that the provider has a message: older ones of its lane need not be
// sent any more.
func (q *Queue) Passed(m outbox.Message, now time.Time) {
	q.lanes.sent(q.maker.lane(&m), m.ID, now)
}

// Loaded ends the time in which messages of earlier runs come in.
func (q *Queue) Loaded(now time.Time) {
	q.lanes.loading = false
	q.lanes.forget(now)
}

// Keep drops every message that is not running and that keep refuses.
func (q *Queue) Keep(keep func(id string) bool, now time.Time) {
	for id, it := range q.known {
		if it.phase != running && !keep(id) {
			q.drop(it, now)
		}
	}
}

// Sweep forgets what no longer matters.
func (q *Queue) Sweep(now time.Time) {
	q.limits.forget(now)
	q.lanes.forget(now)
}

// Len is how many messages are in the queue.
func (q *Queue) Len() int { return len(q.known) }

// Oldest is the id of the oldest message in the queue, "" without one.
func (q *Queue) Oldest() string {
	for len(q.ages) > 0 && q.known[q.ages[0]] == nil {
		heap.Pop(&q.ages)
	}
	if len(q.ages) == 0 {
		return ""
	}
	return q.ages[0]
}

// Holds returns, once, the messages about pages that began to wait for limits or quiet
// hours.
func (q *Queue) Holds() []Hold {
	holds := q.limits.holds
	q.limits.holds = nil
	return holds
}
