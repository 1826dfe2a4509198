// Package queue decides which message is sent next. It is pure: it knows no clock, no
// network and no store. Its one owner gives it messages and the time, and reports their
// results.
//
// A message waits in its lane (recipient, receiver, group). The first of each lane has a
// due time; then it passes the gates (see gates.go), which send it, make it wait, or drop
// it:
//
//	          ┌──────── waiting, held, parked, flooded ◀───────┐
//	          ▼                                                │ a gate says when
//	behind ─▶ due ─▶ freshness ─ account ─ … ─ flood ─ question ┴─▶ running ─▶ gone
//
// The queue enforces law 2: a message is sent without asking the provider only if nobody
// can have tried to send it before, see [Queue.Add].
package queue

import (
	"container/heap"
	"hash/maphash"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// keptTexts is how many waiting messages are kept in memory with their texts.
const keptTexts = 500

// Settings are the rules that the configuration sets.
type Settings struct {
	Limits      map[string][]Limit // by receiver
	Severities  *templating.SeverityOrder
	DailyBudget int           // segments after which only the most severe messages are sent one by one; 0: none
	Pause       time.Duration // the least time between two messages; 0: none
}

// Origin says where a message comes from.
type Origin int

const (
	New    Origin = iota // this process made it, or learned of it while it was the sender
	Loaded               // the store had it: another sender may have tried it
	Direct               // it could not be stored, and is sent anyway: limits do not hold it
)

// Queue holds the messages that must be sent.
type Queue struct {
	term    time.Time // when this process became the sender
	old     *Doubt    // the Doubt of every message that is older than the term and has no known attempt
	maker   maker
	last    *Doubt // what Settle noted last, see share
	all     byAge
	texts   int // how many items keep their message in memory
	dues    dues
	lanes   lanes
	floods  floods
	limits  limits
	account account
	pause   time.Duration // the least time between two messages; 0: none
	paced   time.Time     // the earliest time of the next message
}

// NewQueue returns an empty queue for a sender whose term began at a time. Older messages may arrive
// until [Queue.Loaded]; if the store is shared, always.
func NewQueue(term time.Time, shared bool) *Queue {
	q := &Queue{
		term: term, maker: maker{seed: maphash.MakeSeed(), addresses: make(map[address]*address)}, old: older(term),
		floods: floods{of: make(map[uint64]*flood)}, limits: limits{people: make(map[e164.Number]*person)},
	}
	q.lanes = lanes{dues: &q.dues, limits: &q.limits, first: make(map[lane]*item), lastSent: make(map[lane]sentMessage), loading: true, shared: shared}
	return q
}

// older returns the Doubt of a message that is older than a term.
func older(term time.Time) *Doubt { return &Doubt{Ask: true, First: term, Last: term} }

// Configure sets or replaces the rules, and reports whether there are new ones: then the caller must call
// Remember again. What old rules hold is judged by the new ones.
func (q *Queue) Configure(s Settings, now time.Time) (recount bool) {
	q.pause, q.maker.order = s.Pause, s.Severities
	q.dues.hastenAll(now, func(it *item) bool { return it.phase == held })
	return q.limits.configure(s)
}

// Add adds a message, unless it is in the queue already. The provider is asked about the message
// before it is sent, unless nobody can have tried it: it is younger than the sender's term, was not
// loaded from the store, and has no known attempt.
func (q *Queue) Add(m outbox.Message, from Origin, now time.Time) {
	if q.all.find(m.ID) != nil {
		return
	}
	it := q.maker.item(m)
	if from == Direct {
		if it.class = exempt; it.rare != nil {
			it.rare.notBefore = 0
		}
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
		kept := m // m itself would be allocated each time
		it.own().message = &kept
	}
	q.all.add(it)
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

// Begin begins a new term: messages of earlier terms may arrive until [Queue.Loaded]. The provider
// is asked about all messages in the queue before they are sent.
func (q *Queue) Begin(term time.Time) {
	q.term, q.old, q.lanes.loading = term, older(term), true
	for _, it := range q.all {
		if it.older = true; it.phase != running {
			q.askFirst(it)
		}
	}
	heap.Init(&q.dues.ready) // its order depends on what the provider was asked about
}

// askFirst makes the queue ask the provider about an item that is older than the term.
func (q *Queue) askFirst(it *item) {
	switch {
	case !it.older:
	case it.isCleared(): // the provider responded in an earlier term
		d := *it.doubt
		d.Cleared = false
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

// Sent records that the provider has a message: it supersedes older ones of its lane.
func (q *Queue) Sent(m outbox.Message, now time.Time) {
	q.lanes.sent(q.maker.lane(&m), m.ID, now)
}

// Loaded reports that all messages of earlier runs have arrived.
func (q *Queue) Loaded(now time.Time) {
	q.lanes.loading = false
	q.lanes.forget(now)
}

// Keep drops the messages for which keep returns false, except those that are running.
func (q *Queue) Keep(keep func(id string) bool, now time.Time) {
	for _, it := range slices.Clone(q.all) {
		if it.phase != running && !keep(it.id) {
			q.drop(it, now)
		}
	}
}

// Sweep drops what no longer affects any decision.
func (q *Queue) Sweep(now time.Time) {
	q.limits.forget(now)
	q.lanes.forget(now)
}

// Len returns how many messages are in the queue.
func (q *Queue) Len() int { return len(q.all) }

// Oldest returns since when the message has waited that has waited longest, zero without one. Limits and quiet
// hours do not count as waiting.
func (q *Queue) Oldest() (since time.Time) {
	for _, it := range q.all {
		if it.phase == held {
			continue
		}
		if from := it.waitsSince(); since.IsZero() || from.Before(since) {
			since = from
		}
		if !it.wasHeld && it.has().notBefore == 0 { // the others were made later
			break
		}
	}
	return since
}

// Holds returns the messages that began to wait for limits or quiet hours since the last call.
func (q *Queue) Holds() []Hold {
	holds := q.limits.holds
	q.limits.holds = nil
	return holds
}
