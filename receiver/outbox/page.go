package outbox

import (
	"encoding/json"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// PageState is a page's place in its life.
type PageState string

const (
	PageOpen         PageState = "open"         // nobody holds it
	PageAcknowledged PageState = "acknowledged" // somebody holds it
	PageSilenced     PageState = "silenced"     // somebody holds it, and has silenced its alerts
	PageResolved     PageState = "resolved"     // final: nothing fires any more
	PageExpired      PageState = "expired"      // final: no notification was received for 36 hours
)

// PageStates lists every PageState.
func PageStates() []PageState {
	return []PageState{PageOpen, PageAcknowledged, PageSilenced, PageResolved, PageExpired}
}

// Current reports whether the page is not over. A receiver's group has at most one current page,
// and so does a code.
func (s PageState) Current() bool { return s != PageResolved && s != PageExpired }

// Page is a group of alerts that somebody must respond to. On-call changes it by Entries that its
// Version guards.
type Page struct {
	ID       string // a ULID
	Receiver string
	GroupKey string
	Code     string // digits by which a reply names the page
	State    PageState
	Version  int    // number of times the page was stored; in an Entry, the version that was read, 0 for a new page
	Headline string // what the page is about, in a few words
	Severity string

	OpenedAt       time.Time
	UpdatedAt      time.Time
	DueAt          time.Time // when on-call must look at the page again; zero: never
	AcknowledgedAt time.Time // zero before the page is acknowledged
	AcknowledgedBy string    // a contact's name, or a shortened number; "" before

	AlertKeys []string        // keys of its alerts that have not ended; keys have no spaces
	Doc       json.RawMessage // on-call's own data
	Events    []PageEvent     // oldest first; filled by Store.Page, appended by Store.Add
}

// PageEvent is one line of a page's history.
type PageEvent struct {
	At     time.Time
	Type   PageEventType
	Who    string // who did it, or who was paged; "": smspager itself
	Detail string // for people
}

// PageEventType says what happened.
type PageEventType string

const (
	PageEventOpened       PageEventType = "opened"
	PageEventNotified     PageEventType = "notified" // Alertmanager sent another notification about it
	PageEventPaged        PageEventType = "paged"    // somebody was sent a text
	PageEventEscalated    PageEventType = "escalated"
	PageEventPassed       PageEventType = "passed"    // somebody asked for the next step immediately
	PageEventUnreached    PageEventType = "unreached" // a text did not arrive, or it is unknown whether it did
	PageEventRepeated     PageEventType = "repeated"
	PageEventAcknowledged PageEventType = "acknowledged"
	PageEventSilencing    PageEventType = "silencing" // a silence was requested
	PageEventSilenced     PageEventType = "silenced"
	PageEventNotSilenced  PageEventType = "not_silenced" // Alertmanager refused the silence
	PageEventNote         PageEventType = "note"         // somebody wants others to know something
	PageEventUndone       PageEventType = "undone"
	PageEventReopened     PageEventType = "reopened"
	PageEventSuppressed   PageEventType = "suppressed" // Alertmanager suppresses alerts
	PageEventFires        PageEventType = "fires"      // alerts that were suppressed fire
	PageEventGone         PageEventType = "gone"       // Alertmanager no longer lists alerts
	PageEventRegrouped    PageEventType = "regrouped"  // the page changed its group, or alerts moved to another page
	PageEventFlapping     PageEventType = "flapping"   // alerts end and fire again, so texts wait
	PageEventResolved     PageEventType = "resolved"
	PageEventExpired      PageEventType = "expired"
)

// Person is a recipient: a number, the contact it belongs to, and the end of their quiet hours.
type Person struct {
	Name      string // the contact's name; "" for a bare number
	Number    e164.Number
	NotBefore time.Time // end of quiet hours; zero: none
}

// String returns what others call the person: the name, or the end of the number.
func (p Person) String() string {
	if p.Name != "" {
		return p.Name
	}
	return ".." + string(p.Number[max(0, len(p.Number)-4):])
}

// Earliest returns when a message that is made at a time may first be sent to the person.
func (p Person) Earliest(at time.Time) time.Time {
	if p.NotBefore.After(at) {
		return p.NotBefore
	}
	return at
}

// PageUpdate holds what a notification changes in the page of its group, and who gets a message.
type PageUpdate struct {
	To         []Person
	Page       *Page   // to store with the messages; nil: none
	OtherPages []*Page // other pages that the notification changes
	Marks      []Mark
	Tail       string // the end of the text
	// LongTail replaces Tail for those who have not had the page before, if it costs no further
	// segment.
	LongTail string
	Paged    []e164.Number // those who have had the page before
}

// PageQuery selects pages. Zero fields select all.
type PageQuery struct {
	State    PageState
	Current  bool // only pages that are not over
	Receiver string
	GroupKey string
	Code     string
	Alerts   []string  // only pages that hold one of these
	DueBy    time.Time // only pages due by this time
	Before   string    // only pages with a smaller ID, that is, older ones
	Limit    int       // maximum number; must be positive
}

// Mark is a small fact that outlives a restart: about a heartbeat, a contact or a calendar.
type Mark struct {
	Kind, Name string
	Version    int // number of times the mark was stored; in an Entry, the version that was read, 0 for a new mark
	At         time.Time
	Doc        json.RawMessage // in an Entry, nil deletes the mark
}

// MarkReply is the kind of the marks that hold texts from phones that respond to no message of
// ours. Their Doc is a Reply. They are pruned as messages are.
const MarkReply = "reply"

// Reply is a text from a phone that responds to no message of ours.
type Reply struct {
	From e164.Number `json:"from"`
	Text string      `json:"text"`
}
