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
	PageAcknowledged PageState = "acknowledged" // somebody has
	PageSilenced     PageState = "silenced"     // somebody has, and silenced its alerts
	PageResolved     PageState = "resolved"     // final: nothing fires any more
	PageExpired      PageState = "expired"      // final: no notification has come for 36 hours
)

// PageStates lists every PageState.
func PageStates() []PageState {
	return []PageState{PageOpen, PageAcknowledged, PageSilenced, PageResolved, PageExpired}
}

// Current reports whether the page is not over. A receiver's group has at most
// one current page, and so has a code.
func (s PageState) Current() bool { return s != PageResolved && s != PageExpired }

// Page is a group of alerts that somebody must respond to. On-call moves it on,
// by Entries that are guarded by its Version.
type Page struct {
	ID       string // a ULID
	Receiver string
	GroupKey string
	Code     string // what a phone names it by, some digits
	State    PageState
	Version  int    // counts what was stored: in an Entry the one that was read, 0 for a new page
	Headline string // what it is about, in a few words
	Severity string

	OpenedAt       time.Time
	UpdatedAt      time.Time
	DueAt          time.Time // when something is to be done about it, zero for never
	AcknowledgedAt time.Time // zero before it was
	AcknowledgedBy string    // a contact's name, or a number in short; "" before

	AlertKeys []string        // keys of its alerts that have not ended, without spaces
	Doc       json.RawMessage // on-call's own
	Events    []PageEvent     // oldest first; filled by Store.Page, and added by Store.Add
}

// PageEvent is one line of a page's history.
type PageEvent struct {
	At     time.Time
	Type   PageEventType
	Who    string // who did it or whom it was done to, "" for smspager itself
	Detail string // for people
}

// PageEventType says what happened.
type PageEventType string

const (
	PageEventOpened       PageEventType = "opened"
	PageEventNotified     PageEventType = "notified" // Alertmanager told more of it
	PageEventPaged        PageEventType = "paged"    // somebody was sent a text
	PageEventEscalated    PageEventType = "escalated"
	PageEventPassed       PageEventType = "passed"    // somebody wants the next step taken now
	PageEventUnreached    PageEventType = "unreached" // a text did not arrive, or nobody knows whether
	PageEventRepeated     PageEventType = "repeated"
	PageEventAcknowledged PageEventType = "acknowledged"
	PageEventSilencing    PageEventType = "silencing" // a silence was asked for
	PageEventSilenced     PageEventType = "silenced"
	PageEventNotSilenced  PageEventType = "not_silenced" // Alertmanager would not
	PageEventNote         PageEventType = "note"         // somebody wants others to know it
	PageEventUndone       PageEventType = "undone"
	PageEventReopened     PageEventType = "reopened"
	PageEventSuppressed   PageEventType = "suppressed" // Alertmanager holds alerts back
	PageEventFires        PageEventType = "fires"      // alerts that it held back fire
	PageEventGone         PageEventType = "gone"       // it no longer lists alerts
	PageEventRegrouped    PageEventType = "regrouped"  // the page is of another group, or alerts are in another page
	PageEventFlapping     PageEventType = "flapping"   // alerts end and fire again, so that texts wait
	PageEventResolved     PageEventType = "resolved"
	PageEventExpired      PageEventType = "expired"
)

// Person is a recipient: a number, the contact whose it is, and when to be told.
type Person struct {
	Name      string // the contact's, "" for a bare number
	Number    e164.Number
	NotBefore time.Time // quiet hours end then; zero: at once
}

// String is what others call the person: the name, or the end of the number.
func (p Person) String() string {
	if p.Name != "" {
		return p.Name
	}
	return ".." + string(p.Number[max(0, len(p.Number)-4):])
}

// Turn is what a notification does to the page of its group, and who is told.
type Turn struct {
	To    []Person
	Page  *Page   // to be stored with the messages; nil: none
	Also  []*Page // other pages that it changes
	Marks []Mark
	Tail  string // what the text must end with
	// LongTail replaces Tail for those who have not had the page before, if it costs no
	// further segment.
	LongTail string
	Paged    []e164.Number // who has had the page before
}

// PageQuery selects pages. Zero fields select all.
type PageQuery struct {
	State    PageState
	Current  bool // only those that are not over
	Receiver string
	GroupKey string
	Code     string
	Alerts   []string  // only those that hold one of these
	DueBy    time.Time // only those that are due at this time
	Before   string    // only pages with a smaller ID, that is older ones
	Limit    int       // at most so many; must be positive
}

// Mark is a small fact that outlives a restart: of a heartbeat, a contact, a
// calendar.
type Mark struct {
	Kind, Name string
	Version    int // counts what was stored: in an Entry the one that was read, 0 for a new mark
	At         time.Time
	Doc        json.RawMessage // in an Entry nil deletes the mark
}

// MarkReply is the kind of marks that are pruned as messages are: texts from phones
// that respond to no message of ours. Their Doc is a Reply.
const MarkReply = "reply"

// Reply is a text from a phone that responds to no message of ours.
type Reply struct {
	From e164.Number `json:"from"`
	Text string      `json:"text"`
}
