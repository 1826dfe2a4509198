// Package outbox is the durable queue between the webhook and the provider:
// what a Message is, the states it can be in, the steps between them, and the
// Store that keeps it all. The SQL of each database is in a folder of its own.
//
// A message is written once, as queued, before the webhook gets its response. After
// that only a Change moves it on; every Change names the states that it may
// leave, so that a final state stays final whatever comes late, twice or out
// of order, and leaves an Event behind.
//
//	queued → sending → accepted → delivered | failed | unknown
//	queued | sending → expired
//	sending → unknown
//	queued → superseded
//
// A message in state sending may have been taken by the provider, one in state
// queued certainly was not: after a crash this is what tells a message that
// can be sent at once from one that the provider must be asked about first.
package outbox

import (
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// State is a message's place in its life.
type State string

const (
	Queued     State = "queued"     // stored; the provider does not have it
	Sending    State = "sending"    // an attempt was begun; the provider may have it
	Accepted   State = "accepted"   // the provider has it; no final status yet
	Delivered  State = "delivered"  // final: the phone has it
	Failed     State = "failed"     // final: refused by the provider, or not delivered
	Expired    State = "expired"    // final: never sent, as it was too old
	Superseded State = "superseded" // final: never sent, as a newer message tells more
	Unknown    State = "unknown"    // final: taken, or perhaps taken, but no final status came in time
)

// States lists every State, in the order of a message's life.
func States() []State {
	return []State{Queued, Sending, Accepted, Delivered, Failed, Expired, Superseded, Unknown}
}

// Final reports whether a message in this state never changes again.
func (s State) Final() bool {
	switch s {
	case Queued, Sending, Accepted:
		return false
	}
	return true
}

// Undelivered reports whether a message that ended thus is not known to have arrived.
func (s State) Undelivered() bool { return s == Failed || s == Expired || s == Unknown }

// Message is one SMS to one recipient.
type Message struct {
	ID       string      // a ULID: made before the first attempt, the provider's climsgid
	To       e164.Number // the recipient
	Receiver string      // the receiver it is for; ProbeReceiver for a probe
	GroupKey string      // Alertmanager's group key; messages of one (To, GroupKey) go in order
	Headline string      // what it is about, in a few words, for digests
	Severity string      // of the most severe alert that fires, "resolved" if none does, "" of a notice and without one
	Urgent   bool        // limits do not hold it back
	PageID   string      // the Page that it tells of, "" for none
	Text     string
	Encoding string // of Text: "gsm7" or "ucs2"
	Segments int    // of Text: billed parts

	State  State
	Status Status // the provider's latest
	APIID  string // the provider's id, "" until it is known
	// OutdatedBy is the message that tells more, "" without one: this one need not be
	// sent, or, superseded, was not.
	OutdatedBy string
	Attempts   int // how often the provider was tried

	CreatedAt   time.Time // when the notification came in
	UpdatedAt   time.Time // when State last changed
	NotBefore   time.Time // its recipient wants no such messages earlier; zero: at once
	ExpiresAt   time.Time // not sent after this
	AttemptedAt time.Time // when the last attempt began, zero before it
	AcceptedAt  time.Time // when the provider was known to have it, zero before

	Events []Event // oldest first; filled by Store.Get and read by Store.Add
}

// Taken reports whether the provider has had it, whatever became of it since.
func (m *Message) Taken() bool { return m.State == Accepted || !m.AcceptedAt.IsZero() }

// ProbeReceiver is the Receiver of the messages that prove the chain
// (configuration key probe.interval). The configuration refuses receivers with
// this prefix.
const ProbeReceiver = "probe:999"

// Event is one line of a message's history.
type Event struct {
	At     time.Time
	Type   EventType
	Detail string // for people; "" where Type says it all
}

// DigestGroup is the GroupKey of digests, which tell of several messages that limits
// or quiet hours held back. Alertmanager's are never like this.
const DigestGroup = "smspager:digest"

// EventType says what happened.
type EventType string

const (
	EventQueued     EventType = "queued"
	EventAttempt    EventType = "attempt" // an attempt begins
	EventRetry      EventType = "retry"   // the attempt did not go through; Detail says why
	EventAccepted   EventType = "accepted"
	EventStatus     EventType = "status" // the provider gave a temporary status
	EventDelivered  EventType = "delivered"
	EventFailed     EventType = "failed"
	EventExpired    EventType = "expired"
	EventSuperseded EventType = "superseded" // Detail names the message that tells more
	EventUnknown    EventType = "unknown"
	EventReply      EventType = "reply" // the phone replied
	EventHeld       EventType = "held"  // it waits, for its recipient's limits or morning; Detail says until when
)
