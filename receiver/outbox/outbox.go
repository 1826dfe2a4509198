// Package outbox is the durable queue between the webhook and the provider. It defines what a
// Message is, the states it can be in, the steps between them, and the Store that keeps all this.
// The SQL of each database is in a folder of its own.
//
// A message is written once, as queued, before the webhook gets its response. After that only a
// Change moves it on. Every Change adds an Event and names the states that it may leave, so a final
// state stays final whatever comes late, twice or out of order.
//
//	queued → sending → accepted → delivered | failed | unknown
//	queued | sending → failed | expired | superseded
//	sending → unknown
//
// A message in state sending may have been accepted by the provider. So may a queued one of an
// earlier run, because attempts are written behind: the provider is asked about both first.
package outbox

import (
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// State is a message's place in its life.
type State string

const (
	Queued     State = "queued"     // stored; the provider does not have it
	Sending    State = "sending"    // an attempt began; the provider may have the message
	Accepted   State = "accepted"   // the provider has it; no final status yet
	Delivered  State = "delivered"  // final: the phone has it
	Failed     State = "failed"     // final: the provider refused it, or did not deliver it
	Expired    State = "expired"    // final: not sent, because it was too old
	Superseded State = "superseded" // final: not sent, because a newer message or a digest replaces it or nobody needs it
	Unknown    State = "unknown"    // final: accepted, or perhaps accepted, but no final status came in time
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

// Undelivered reports whether a message with this final state is not known to have arrived.
func (s State) Undelivered() bool { return s == Failed || s == Expired || s == Unknown }

// Message is one SMS to one recipient.
type Message struct {
	ID       string      // a ULID, made before the first attempt; the provider's climsgid
	To       e164.Number // the recipient
	Receiver string      // the receiver; ProbeReceiver for a probe
	GroupKey string      // Alertmanager's group key; with To and Receiver it makes the lane, whose messages go in order
	Headline string      // what it is about, in a few words, for digests
	Severity string      // of the most severe firing alert; "resolved" if none fires; "" for a notice, or if no alert has one
	Urgent   bool        // limits do not hold it
	PageID   string      // the Page that the message is about; "": none
	Text     string
	Encoding string // encoding of Text: "gsm7" or "ucs2"
	Segments int    // billed segments of Text

	State  State
	Status Status // the provider's latest status
	APIID  string // the provider's ID, "" until it is known
	// SupersededBy is the ID of the newer message that makes this one needless, or that superseded
	// it; "": none.
	SupersededBy string
	Attempts     int // number of send requests

	CreatedAt   time.Time // when the notification was received
	UpdatedAt   time.Time // when State last changed
	NotBefore   time.Time // quiet hours delay the message until then; zero: no delay
	ExpiresAt   time.Time // not sent after this
	AttemptedAt time.Time // when the last attempt began; zero before the first
	AcceptedAt  time.Time // when smspager learned that the provider has the message; zero before

	Events []Event // oldest first; filled by Store.Get and read by Store.Add
}

// WasAccepted reports whether the provider has accepted the message, whatever happened to it since.
func (m *Message) WasAccepted() bool { return m.State == Accepted || !m.AcceptedAt.IsZero() }

// ProbeReceiver is the Receiver of probes, the messages that measure the chain (configuration key
// probe.interval). The configuration refuses receivers with this prefix.
const ProbeReceiver = "probe:999"

// Event is one line of a message's history.
type Event struct {
	At     time.Time
	Type   EventType
	Detail string // for people; "" if Type says it all
}

// Earliest returns when the message may first be sent: when it was made, or at the end of quiet hours.
func (m *Message) Earliest() time.Time {
	return Person{NotBefore: m.NotBefore}.Earliest(m.CreatedAt)
}

// LastDetail returns the detail of the latest event, "" if there are no events.
func (m *Message) LastDetail() string {
	if len(m.Events) == 0 {
		return ""
	}
	return m.Events[len(m.Events)-1].Detail
}

// unreadable begins the Detail of an event that replaces a history.
const unreadable = "the history until here cannot be read: "

// Unreadable returns the event that replaces the stored history of a message if that cannot be read.
func Unreadable(created time.Time, history string) Event {
	return Event{At: created, Type: EventQueued, Detail: unreadable + strings.ToValidUTF8(history, "\uFFFD")}
}

// Unreadable reports whether the message's stored history could not be read.
func (m *Message) Unreadable() bool {
	return len(m.Events) > 0 && strings.HasPrefix(m.Events[0].Detail, unreadable)
}

// DigestGroup is the GroupKey of digests, which replace several messages that limits or quiet hours
// held. Alertmanager's group keys never look like this.
const DigestGroup = "smspager:digest"

// EventType says what happened.
type EventType string

const (
	EventQueued     EventType = "queued"
	EventAttempt    EventType = "attempt" // an attempt begins
	EventRetry      EventType = "retry"   // the attempt failed; Detail says why
	EventAccepted   EventType = "accepted"
	EventStatus     EventType = "status" // the provider gave a temporary status
	EventDelivered  EventType = "delivered"
	EventFailed     EventType = "failed"
	EventExpired    EventType = "expired"
	EventSuperseded EventType = "superseded" // Detail names the message that replaces it
	EventUnknown    EventType = "unknown"
	EventReply      EventType = "reply" // the phone replied
	EventHeld       EventType = "held"  // limits or quiet hours hold it; Detail says until when
)
