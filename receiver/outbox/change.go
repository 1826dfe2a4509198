package outbox

import (
	"slices"
	"time"
)

// Change is one step in a message's life, and leaves an [Event]. [Change.Apply]
// makes it; a [Store] writes what that leaves.
type Change struct {
	ID     string
	From   []State
	To     State // "" leaves the state as it is
	At     time.Time
	Event  EventType
	Detail string

	APIID   string // recorded unless "" or already known
	By      string // recorded as OutdatedBy unless ""
	Attempt bool   // counts as an attempt, begun at At
	Status  Status // the provider's status that led here, NoStatus if it gave none
	Repeat  bool   // it may have been made already, and is not made if its event is in the history
	// Term is that of the leader who decided this. A [Shared] store passes it over if another
	// replica leads since. 0: it is a fact, whoever found it out.
	Term int64
}

// Status is a provider's status code plus one, so that the zero value is none.
// Of temporary ones the greatest is the latest: a smaller one that arrives late changes
// nothing. A final one always applies, whatever its number.
type Status int

// NoStatus is the Status of a message that the provider has not reported on yet.
const NoStatus Status = 0

// StatusOf is the Status of a provider's code.
func StatusOf[Code ~int](code Code) Status { return Status(code) + 1 }

var (
	unsent   = []State{Queued, Sending}
	accepted = []State{Accepted}
)

// Apply makes the change to m and appends its event. It reports false, and leaves m
// as it is, if m is in none of the From states, if it has had this temporary Status or a
// later one, or, for a Repeat, if it has its event already.
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
		m.OutdatedBy = c.By
	}
	if c.Status != NoStatus {
		m.Status = c.Status
	}
	m.Events = append(m.Events, event)
	return true
}

// equal reports whether both are the same line of a history, to the millisecond that
// a Store keeps.
func (e Event) equal(other Event) bool {
	return e.At.UnixMilli() == other.At.UnixMilli() && e.Type == other.Type && e.Detail == other.Detail
}

// Attempted begins an attempt: it must be stored before the request is written.
func Attempted(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Sending, At: at, Event: EventAttempt, Detail: detail, Attempt: true}
}

// Returned ends an attempt that the provider certainly did not take.
func Returned(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Queued, At: at, Event: EventRetry, Detail: detail}
}

// Doubted ends an attempt that the provider may have taken.
func Doubted(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Sending, At: at, Event: EventRetry, Detail: detail}
}

// Taken records that the provider has the message; apiID may be unknown ("").
func Taken(id, apiID string, at time.Time, detail string) Change {
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

// Refused records that the provider will never take the message.
func Refused(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Failed, At: at, Event: EventFailed, Detail: detail}
}

// TooOld gives up a message that was never taken.
func TooOld(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Expired, At: at, Event: EventExpired, Detail: detail}
}

// Outdated gives up a message that certainly was not taken for one that tells more.
func Outdated(id, by string, at time.Time) Change {
	return Change{ID: id, From: unsent, To: Superseded, At: at, Event: EventSuperseded, Detail: "a newer message of its group is sent instead: " + by, By: by}
}

// Folded gives up a message that certainly was not taken for a digest.
func Folded(id, by string, at time.Time) Change {
	return Change{ID: id, From: []State{Queued}, To: Superseded, At: at, Event: EventSuperseded, Detail: "its recipient has had enough messages for now; it is in the digest " + by, By: by}
}

// Needless gives up a message that certainly was not taken and that nobody needs any more.
func Needless(id string, at time.Time, why string) Change {
	return Change{ID: id, From: unsent, To: Superseded, At: at, Event: EventSuperseded, Detail: "it is not needed any more: " + why}
}

// Held notes that a message waits.
func Held(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: []State{Queued}, At: at, Event: EventHeld, Detail: detail}
}

// Untold ends the wait for a final status that never came, or for the provider to say
// whether it has the message.
func Untold(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: []State{Sending, Accepted}, To: Unknown, At: at, Event: EventUnknown, Detail: detail}
}

// Replied notes a reply in the message's history, whatever its state.
func Replied(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: States(), At: at, Event: EventReply, Detail: detail}
}
