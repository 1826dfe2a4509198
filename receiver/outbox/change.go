package outbox

import "time"

// Change is one step in a message's life. A Store applies it in one
// statement, and only to a message that is in one of the From states and, where
// Status is set, has not had that status or a later one yet.
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
	Status  Status // the provider's word that led here, NoStatus where it gave none
}

// Status is a provider's status code, as far as the outbox must know it: codes
// only ever rise, so an older one that arrives late is told by its number.
type Status int

// NoStatus is the Status of a message about which the provider said nothing yet.
const NoStatus Status = -1

var (
	unsent   = []State{Queued, Sending}
	accepted = []State{Accepted}
)

// Attempted begins an attempt: it must be stored before the request is written.
func Attempted(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Sending, At: at, Event: EventAttempt, Detail: detail, Attempt: true, Status: NoStatus}
}

// Returned ends an attempt that the provider certainly did not take.
func Returned(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Queued, At: at, Event: EventRetry, Detail: detail, Status: NoStatus}
}

// Doubted ends an attempt that the provider may have taken.
func Doubted(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Sending, At: at, Event: EventRetry, Detail: detail, Status: NoStatus}
}

// Taken records that the provider has the message; apiID may be unknown ("").
func Taken(id, apiID string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Accepted, At: at, Event: EventAccepted, Detail: detail, APIID: apiID, Status: NoStatus}
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
	return Change{ID: id, From: unsent, To: Failed, At: at, Event: EventFailed, Detail: detail, Status: NoStatus}
}

// TooOld gives up a message that was never taken.
func TooOld(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: unsent, To: Expired, At: at, Event: EventExpired, Detail: detail, Status: NoStatus}
}

// Outdated gives up a message that certainly was not taken for one that tells more.
func Outdated(id, by string, at time.Time) Change {
	return Change{ID: id, From: unsent, To: Superseded, At: at, Event: EventSuperseded, Detail: "a newer message of its group is sent instead: " + by, By: by, Status: NoStatus}
}

// Folded gives up a message that certainly was not taken for a digest.
func Folded(id, by string, at time.Time) Change {
	return Change{ID: id, From: []State{Queued}, To: Superseded, At: at, Event: EventSuperseded, Detail: "its recipient has had enough messages for now; told in the digest " + by, By: by, Status: NoStatus}
}

// Needless gives up a message that certainly was not taken and that nobody needs any more.
func Needless(id string, at time.Time, why string) Change {
	return Change{ID: id, From: unsent, To: Superseded, At: at, Event: EventSuperseded, Detail: "it is not needed any more: " + why, Status: NoStatus}
}

// Held notes that a message waits.
func Held(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: []State{Queued}, At: at, Event: EventHeld, Detail: detail, Status: NoStatus}
}

// Untold ends the wait for a final status that never came.
func Untold(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: accepted, To: Unknown, At: at, Event: EventUnknown, Detail: detail, Status: NoStatus}
}

// Replied notes the phone's answer in the message's history, whatever its state.
func Replied(id string, at time.Time, detail string) Change {
	return Change{ID: id, From: States(), At: at, Event: EventReply, Detail: detail, Status: NoStatus}
}
