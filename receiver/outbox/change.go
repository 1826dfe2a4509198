package outbox

import (
	"slices"
	"time"
)

// Change is one step in a message's life, and adds an [Event]. [Change.Apply] makes it; a [Store]
// writes the result.
type Change struct {
	ID     string
	From   []State
	To     State // "" leaves the state as it is
	At     time.Time
	Event  EventType
	Detail string

	APIID   string // recorded unless "" or already known
	By      string // recorded as SupersededBy unless ""
	Attempt bool   // counts as an attempt, which began at At
	Status  Status // the provider's status that caused this, NoStatus if it gave none
	Repeat  bool   // the change may have been made before; it is skipped if its event is in the history
	// Term is the term of the leader that decided this. A [Shared] store skips the change if
	// another replica leads by then. 0: the change is a fact, and applies whoever leads.
	Term int64
}

// Status is a provider's status code plus one, so that the zero value means none. Among temporary
// statuses a greater one is later, so a smaller one that arrives late changes nothing. A final
// status always applies, whatever its number.
type Status int

// NoStatus is the Status of a message that the provider has not reported on yet.
const NoStatus Status = 0

// StatusOf returns the Status of a provider's code.
func StatusOf[Code ~int](code Code) Status { return Status(code) + 1 }

var (
	unsent   = []State{Queued, Sending}
	accepted = []State{Accepted}
)

// Apply makes the change to m and appends its event. It reports false, and leaves m as it is, if m
// is in none of the From states, if it has had this temporary Status or a later one, or, for a
// Repeat, if its history has the event already.
func (c Change) Apply(m *Message) bool {
	event := Event{At: c.At, Type: c.Event, Detail: c.Detail}
	switch {
	case m.ID != c.ID, !slices.Contains(c.From, m.State):
		return false
	case c.To == "" && c.Status != NoStatus && c.Status <= m.Status:
		return false
	case c.Repeat && slices.ContainsFunc(m.Events, event.equal):
		return false
	}
	if c.To != "" && c.To != m.State {
		m.State, m.UpdatedAt = c.To, c.At
	}
	if c.To == Accepted {
		m.AcceptedAt = c.At
	}
	if c.Attempt {
		m.Attempts++
		m.AttemptedAt = c.At
	}
	if m.APIID == "" {
		m.APIID = c.APIID
	}
	if c.By != "" {
		m.SupersededBy = c.By
	}
	if c.Status != NoStatus {
		m.Status = c.Status
	}
	m.Events = append(m.Events, event)
	return true
}

// equal reports whether both events are the same line of a history, to the millisecond, which is
// what a Store keeps.
func (e Event) equal(other Event) bool {
	return e.At.UnixMilli() == other.At.UnixMilli() && e.Type == other.Type && e.Detail == other.Detail
}

// Attempted begins an attempt: it must be stored before the request is written.
func Attempted(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Sending, At: at, Event: EventAttempt, Detail: detail, Attempt: true}
}

// Returned ends an attempt that the provider certainly did not accept.
func Returned(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Queued, At: at, Event: EventRetry, Detail: detail}
}

// Doubted ends an attempt that the provider may have accepted.
func Doubted(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Sending, At: at, Event: EventRetry, Detail: detail}
}

// ProviderAccepted records that the provider has the message. apiID may be unknown ("").
func ProviderAccepted(id, apiID string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Accepted, At: at, Event: EventAccepted, Detail: detail, APIID: apiID}
}

// Progressed records a temporary status.
func Progressed(id, apiID string, at time.Time, status Status, detail string) Change {
	return Change{ID: id, From: accepted, At: at, Event: EventStatus, Detail: detail, APIID: apiID, Status: status}
}

// Ended records a final status: delivered or not.
func Ended(id, apiID string, at time.Time, status Status, delivered bool, detail string) Change {
	c := Change{ID: id, From: accepted, To: Failed, At: at, Event: EventFailed, Detail: detail, APIID: apiID, Status: status}
	if delivered {
		c.To, c.Event = Delivered, EventDelivered
	}
	return c
}

// Refused records that the provider will never accept the message.
func Refused(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Failed, At: at, Event: EventFailed, Detail: detail}
}

// TooOld expires a message that the provider did not accept in time.
func TooOld(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Expired, At: at, Event: EventExpired, Detail: detail}
}

// SupersededByNewer supersedes an unsent message with a newer one of its lane.
func SupersededByNewer(id, by string, at time.Time) Change {
	return Change{ID: id, From: unsent, To: Superseded, At: at, Event: EventSuperseded, Detail: "superseded by the newer message " + by, By: by}
}

// Digested supersedes an unsent message with a digest.
func Digested(id, by string, at time.Time) Change {
	return Change{ID: id, From: []State{Queued}, To: Superseded, At: at, Event: EventSuperseded, Detail: "held by limits; included in the digest " + by, By: by}
}

// NotNeeded supersedes an unsent message that nobody needs any more.
func NotNeeded(id string, at time.Time, why string) Change {
	return Change{ID: id, From: unsent, To: Superseded, At: at, Event: EventSuperseded, Detail: "no longer needed: " + why}
}

// Held records that limits or quiet hours delay a message.
func Held(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: []State{Queued}, At: at, Event: EventHeld, Detail: detail}
}

// OutcomeUnknown ends a message as unknown: its final status never came, or the provider could not be
// asked whether it has the message.
func OutcomeUnknown(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: []State{Sending, Accepted}, To: Unknown, At: at, Event: EventUnknown, Detail: detail}
}

// Replied adds a reply to the message's history, whatever its state.
func Replied(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: States(), At: at, Event: EventReply, Detail: detail}
}
