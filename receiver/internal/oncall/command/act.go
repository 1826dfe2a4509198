package command

import (
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// AnyVersion is the Version of an Act on a page that the person does not see.
const AnyVersion = -1

// Act is what somebody does to a page without a phone. It says itself what a reply must be read for.
type Act struct {
	Verb    Verb        // Acknowledge, Silence, Next, Undo or Note
	Page    string      // the page's id, or the code of one that is current
	Version int         // of the page, as the person saw it; AnyVersion: they did not see it
	By      string      // the contact who acts
	Number  e164.Number // the phone of who acts, instead of By; "": By does
	Via     string      // how, for the page's history: "in the console"
	Length  time.Duration
	Until   string // when a silence ends, "0700"; "": after Length
	Text    string // of a note
}

// Acted is what became of an Act.
type Acted struct {
	Page outbox.Page // as it is now
	Text string      // the confirmation, or why nothing was done
	Done bool
}

// ChangedError is the error of an Act on a page that has changed since the person saw it.
type ChangedError struct {
	Page outbox.Page // as it is now
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

// UnknownContactError is the error of an Act by somebody who is no contact.
type UnknownContactError struct{ Name string }

func (e *UnknownContactError) Error() string {
	return fmt.Sprintf("no contact is named %q; see GET /api/v1/contacts", e.Name)
}
