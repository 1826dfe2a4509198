package command

import (
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// AnyVersion is the Version of an Act by a person who does not see the page.
const AnyVersion = -1

// Verbs maps the last part of the paths that act on a page, in the API and the console, to verbs.
var Verbs = map[string]Verb{"acknowledge": Acknowledge, "silence": Silence, "escalate": Next, "undo": Undo, "note": Note}

// Act is an action on a page that does not come from a phone. Its fields hold what Parse reads from a
// reply.
type Act struct {
	Verb    Verb        // Acknowledge, Silence, Next, Undo or Note
	Page    string      // the page's id, or the code of a current page
	Version int         // the page's version that the person saw, or AnyVersion
	By      string      // the contact who acts
	Number  e164.Number // the number of the person who acts; "": By acts
	Via     string      // how, for the page's history: "in the console"
	Length  time.Duration
	Until   string // when a silence ends, "0700"; "": after Length
	Text    string // the text of a note
}

// Acted is the result of an Act.
type Acted struct {
	Page outbox.Page // its state after the Act
	Text string      // the confirmation, or why nothing was done
	Done bool
}

// ChangedError is the error of an Act on a page that has changed since the person saw it.
type ChangedError struct {
	Page outbox.Page // its current state
	Seen int         // the version that the person saw
}

func (e *ChangedError) Error() string {
	what := string(e.Page.State)
	if e.Page.AcknowledgedBy != "" && e.Page.State != outbox.PageOpen {
		what += " by " + e.Page.AcknowledgedBy
	}
	if n := len(e.Page.Events); n > 0 {
		last := e.Page.Events[n-1]
		what += fmt.Sprintf("; the last event is %q at %s", last.Type, last.At.UTC().Format("15:04:05 MST"))
	}
	return fmt.Sprintf("page %s has changed: it is %s. Read it again (version %d, yours is %d)", e.Page.Code, what, e.Page.Version, e.Seen)
}

// UnknownContactError is the error of an Act by somebody who is not a contact.
type UnknownContactError struct{ Name string }

func (e *UnknownContactError) Error() string {
	return fmt.Sprintf("no contact is named %q; see GET /api/v1/contacts", e.Name)
}
