package queue

import (
	"hash/maphash"
	"math"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// phase is where an item is.
type phase int8

const (
	behind  phase = iota // an older one of its lane comes first
	waiting              // in the heap: for its own time
	held                 // in the heap: for limits or quiet hours
	parked               // in the heap: for the account
	flooded              // among those of one text and number: one of them is being sent
	running              // given out by Next
)

// class says what may hold an item back.
type class int8

const (
	exempt  class = iota // nothing: it is a notice, a digest, a test, or could not be stored
	limited              // its recipient's limits
	low                  // these, and a budget that is spent
)

// item is a message in the queue. There may be very many.
type item struct {
	id        string
	lane      lane
	flood     uint64          // of recipient and text
	message   *outbox.Message // nil: to be read from the store
	receiver  string
	successor string  // the newer message that supersedes it, "" without one
	with      []*item // run with it, for one digest
	doubt     *Doubt  // nil: nobody can have tried it; never changed in place
	expires   moment
	notBefore moment    // quiet hours end then; zero: none
	due       time.Time // when its turn comes, while it is in the heap

	segments int32
	missed   int32 // older messages of its lane that it superseded
	at       int32 // its place in the heap, -1 while it is not there
	phase    phase
	class    class
	kind     kind
	trials   int32 // of a refused account, by it
	rank     int8  // of its severity, lower for a more severe one
	ready    bool  // it is in the heap of those that are due
	older    bool  // a new term has begun, and it was not looked at since
	waited   bool  // it was held: what becomes too old by that goes into a digest
	counted  bool  // it is counted among what the recipient was sent
	noting   bool  // it is about a page, and that it waits is to be noted, once
}

// moment is a time as the store keeps it, in Unix milliseconds; 0 is no time. It is a third as
// large as a time.Time.
type moment int64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.UnixMilli())
}

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// maker makes items.
type maker struct {
	seed     maphash.Seed
	interned map[string]string // names and numbers that many items have in common
	order    *templating.SeverityOrder
}

// item makes the item of a message.
func (mk *maker) item(m outbox.Message) *item {
	it := &item{
		id:        m.ID,
		lane:      mk.lane(&m),
		flood:     maphash.Comparable(mk.seed, [2]string{string(m.To), m.Text}),
		receiver:  mk.intern(m.Receiver),
		successor: m.OutdatedBy,
		expires:   momentOf(m.ExpiresAt),
		notBefore: momentOf(m.NotBefore),
		segments:  int32(m.Segments),
		class:     mk.classOf(&m),
		kind:      kindOf(&m),
		rank:      int8(min(mk.order.Rank(m.Severity), math.MaxInt8)),
		noting:    m.PageID != "",
		at:        -1,
	}
	if it.lane.digests {
		it.counted = true // with what it replaces
	}
	if it.class == exempt {
		it.rank = min(it.rank, 0) // a person waits for it
	}
	return it
}

func (mk *maker) lane(m *outbox.Message) lane {
	return lane{e164.Number(mk.intern(string(m.To))), maphash.Comparable(mk.seed, [2]string{m.Receiver, m.GroupKey}), m.GroupKey == outbox.DigestGroup}
}

// intern returns an equal string that other items use, too.
func (mk *maker) intern(text string) string {
	const most = 10_000
	if known, ok := mk.interned[text]; ok {
		return known
	}
	if len(mk.interned) == most {
		clear(mk.interned)
	}
	mk.interned[text] = text
	return text
}

// asks reports whether the provider is asked about it before it is sent.
func (it *item) asks() bool { return it.doubt != nil && it.doubt.Ask }

// answered reports whether the provider has said that it does not have it, and may be sent it.
func (it *item) answered() bool { return it.asks() && it.doubt.Answered }

// inDoubt reports whether the outcome of an attempt at it is not known. Limits and quiet
// hours, which may last, do not keep the question about it waiting.
func (it *item) inDoubt() bool { return it.asks() && it.doubt.Tried }

// maySend reports whether a request to send it may still be on its way: others with its text
// wait for that.
func (it *item) maySend() bool { return it.inDoubt() && !it.doubt.Ended }

// isLate reports whether it is too old to be sent.
func (it *item) isLate(now time.Time) bool { return now.After(it.expires.time()) }

// Doubt is what is known of the attempts at a message.
type Doubt struct {
	Ask      bool      // the provider may have it, and is asked first
	Tried    bool      // an attempt is known that may have been accepted
	First    time.Time // when the first attempt began whose request may still be on its way
	Last     time.Time // when the last one did
	Unasked  time.Time // since when the provider could not be asked; zero: it could
	Ended    bool      // no request about it can be on its way any more
	Answered bool      // the provider was asked since the last attempt, and it may be sent
	Failures int32     // in a row
}

// classOf says what may hold a message back.
func (mk *maker) classOf(m *outbox.Message) class {
	switch {
	case !isLimited(m):
		return exempt
	case !m.Urgent && mk.order.Rank(m.Severity) > 0:
		return low
	}
	return limited
}

// Action is what a Run does.
type Action int

const (
	Nothing Action = iota
	GiveUp         // it is superseded, or too old
	Digest         // it goes into a digest, with others
	Ask            // the provider is asked about it; it is sent if that does not have it
	Send
)

// Run is what is to be done now. It is the owner's until [Queue.Settle].
type Run struct {
	Do        Action
	ID        string
	To        e164.Number
	Message   *outbox.Message // nil: to be read from the store
	Successor string          // the newer message that supersedes it, "" without one
	Expires   time.Time
	Receiver  string
	Missed    int // older messages of its lane that it superseded
	Doubt     Doubt
	With      []Run // for Digest: the others, oldest first
}

func (it *item) run(do Action) Run {
	r := Run{
		Do: do, ID: it.id, To: it.lane.to, Message: it.message, Successor: it.successor, Expires: it.expires.time(),
		Receiver: it.receiver, Missed: int(it.missed),
	}
	if it.doubt != nil {
		r.Doubt = *it.doubt
	}
	for _, other := range it.with {
		r.With = append(r.With, other.run(Digest))
	}
	return r
}
