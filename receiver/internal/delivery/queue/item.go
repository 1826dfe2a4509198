package queue

import (
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// phase says what an item waits for, or that it runs.
type phase int8

const (
	behind  phase = iota // waits for an older item of its lane
	waiting              // in the heap: waits for its due time
	held                 // in the heap: waits for limits or quiet hours
	parked               // in the heap: waits for the account
	flooded              // waits for an item with its text and number that is being sent
	running              // was returned by Next
)

// class says what may hold an item back.
type class int8

const (
	exempt  class = iota // nothing: it is a notice, a digest, a test, or could not be stored
	limited              // its recipient's limits
	low                  // its recipient's limits, and a budget that is spent
)

// item is a message in the queue. There may be very many, see TestSize.
type item struct {
	*address
	id      string
	lane    lane
	flood   uint64    // hash of recipient and text
	rare    *rare     // nil: it has nothing of that
	doubt   *Doubt    // nil: nobody can have tried it; never changed in place, because items share it
	due     time.Time // when its turn comes, while it is in the heap
	expires moment

	at       int32 // index in the heap, -1 while it is not there
	segments int16
	phase    phase
	class    class
	kind     kind
	rank     int8 // rank of its severity, lower for a more severe one
	digests  bool // it is a digest; digests never supersede one another
	ready    bool // it is in the heap of due items
	older    bool // a new term has begun, and askFirst has not yet handled it
	wasHeld  bool // it was held: if it becomes too old, it goes into a digest
	counted  bool // it is counted against the limits of its recipient
	noteHold bool // its history does not say yet that it is held
}

// address is what many items have in common, and share.
type address struct {
	to       e164.Number
	receiver string
}

// rare is what few items have.
type rare struct {
	message   *outbox.Message // nil: must be read from the store
	successor string          // the newer message that supersedes it, "" without one
	notBefore moment          // end of quiet hours; zero: none
	heldUntil moment          // end of the last hold; zero: it was not held
	refused   moment          // when the account was last refused for it; zero: never
	with      []*item         // other items of the digest that it runs for
	behind    []*item         // the others of its lane, oldest first, if it is the first
	missed    int32           // older messages of its lane that it superseded
	trials    int32           // how often it has tried a refused account
}

// has returns what an item has of the rare things.
func (it *item) has() rare {
	if it.rare == nil {
		return rare{}
	}
	return *it.rare
}

// own returns the rare things of an item, to change them.
func (it *item) own() *rare {
	if it.rare == nil {
		it.rare = new(rare)
	}
	return it.rare
}

// moment is a time as the store keeps it, in Unix milliseconds; 0 is no time. It takes a third of
// the memory of a time.Time.
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
	seed      maphash.Seed
	addresses map[address]*address
	order     *templating.SeverityOrder
}

// item makes the item of a message.
func (mk *maker) item(m outbox.Message) *item {
	it := &item{
		address:  mk.address(address{m.To, m.Receiver}),
		id:       m.ID,
		lane:     mk.lane(&m),
		flood:    maphash.Comparable(mk.seed, [2]string{string(m.To), m.Text}),
		expires:  momentOf(m.ExpiresAt),
		segments: int16(min(m.Segments, math.MaxInt16)),
		class:    mk.classOf(&m),
		kind:     kindOf(&m),
		rank:     int8(min(mk.order.Rank(m.Severity), math.MaxInt8)),
		digests:  m.GroupKey == outbox.DigestGroup,
		noteHold: !slices.ContainsFunc(m.Events, func(e outbox.Event) bool { return e.Type == outbox.EventHeld }),
		at:       -1,
	}
	if m.SupersededBy != "" || !m.NotBefore.IsZero() {
		it.rare = &rare{successor: m.SupersededBy, notBefore: momentOf(m.NotBefore)}
	}
	if it.digests {
		it.counted = true // the messages that it replaces were counted
	}
	if it.class == exempt {
		it.rank = min(it.rank, 0) // somebody is waiting for it
	}
	return it
}

func (mk *maker) lane(m *outbox.Message) lane {
	return lane(maphash.Comparable(mk.seed, [3]string{string(m.To), m.Receiver, m.GroupKey}))
}

// ownLane returns a lane for one message only.
func (mk *maker) ownLane(id string) lane { return lane(maphash.Comparable(mk.seed, [3]string{id})) }

// address returns an equal address, if possible one that other items use.
func (mk *maker) address(a address) *address {
	const most = 10_000
	if known := mk.addresses[a]; known != nil {
		return known
	}
	if len(mk.addresses) == most {
		clear(mk.addresses)
	}
	added := a // a itself would be allocated each time
	mk.addresses[a] = &added
	return &added
}

// waitsSince returns when an item was made or, if that is later, when nothing held it any more.
func (it *item) waitsSince() time.Time {
	since := outbox.MadeAt(it.id)
	for _, end := range []moment{it.has().notBefore, it.has().heldUntil} {
		if end.time().After(since) {
			since = end.time()
		}
	}
	return since
}

// asks reports whether the provider must be asked about an item before it is sent.
func (it *item) asks() bool { return it.doubt != nil && it.doubt.Ask }

// isCleared reports whether the provider has reported that it does not have an item, which may then be sent.
func (it *item) isCleared() bool { return it.asks() && it.doubt.Cleared }

// inDoubt reports whether the outcome of a known attempt is unknown. Limits and quiet hours, which
// may last, do not delay the question about such an item.
func (it *item) inDoubt() bool { return it.asks() && it.doubt.Tried }

// maybeInFlight reports whether a request to send an item may still be on its way. Other items with its
// text and number wait until it has ended.
func (it *item) maybeInFlight() bool { return it.inDoubt() && !it.doubt.RequestsEnded }

// isSuperseded reports whether a newer message supersedes an item.
func (it *item) isSuperseded() bool { return it.rare != nil && it.rare.successor != "" }

// isLate reports whether an item is too old to be sent.
func (it *item) isLate(now time.Time) bool { return now.After(it.expires.time()) }

// Doubt holds what is known about the attempts to send a message.
type Doubt struct {
	Ask            bool      // the provider may have the message, and must be asked first
	Tried          bool      // a known attempt may have been accepted
	First          time.Time // start of the first attempt whose request may still be on its way
	Last           time.Time // start of the last attempt
	CannotAskSince time.Time // since when the provider could not be asked; zero: it could be
	RequestsEnded  bool      // all requests to send it must have ended
	Cleared        bool      // the provider was asked after the last attempt, and the message may be sent
	Failures       int32     // failures in a row
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
	Drop           // drop the message: it is superseded, or too old
	Digest         // put it into a digest, with others
	Ask            // ask the provider about it, and send it if the provider does not have it
	Send
)

// Run says what to do now with a message. The caller of [Queue.Next] owns it until [Queue.Settle].
type Run struct {
	Do        Action
	ID        string
	To        e164.Number
	Message   *outbox.Message // nil: must be read from the store
	Successor string          // the newer message that supersedes it, "" without one
	Expires   time.Time
	Receiver  string
	Missed    int // older messages of its lane that it superseded
	Doubt     Doubt
	With      []Run // for Digest: the others, oldest first
}

func (it *item) run(do Action) Run {
	own := it.has()
	r := Run{
		Do: do, ID: it.id, To: it.to, Message: own.message, Successor: own.successor, Expires: it.expires.time(),
		Receiver: it.receiver, Missed: int(own.missed),
	}
	if it.doubt != nil {
		r.Doubt = *it.doubt
	}
	for _, other := range own.with {
		r.With = append(r.With, other.run(Digest))
	}
	return r
}
