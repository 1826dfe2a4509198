package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/smspager/smspager/receiver/internal/response"
)

// Contacts knows the contacts and their phones.
type Contacts interface {
	Contacts() []Contact
	// Verify sends a contact a code to reply with. The error for a name that no contact
	// has is ErrUnknownContact.
	Verify(ctx context.Context, name string) error
}

// ErrUnknownContact is the error for a name that no contact has.
var ErrUnknownContact = errors.New("no contact has this name")

// Contact is a contact and the state of its phone.
type Contact struct {
	Name     string
	State    string    // "verified", "unverified" or "stopped"
	Verified time.Time // when the phone confirmed a code; zero: never
	Stopped  time.Time // since when the contact wants no texts; zero: it does
}

func (a *API) serveContacts(w http.ResponseWriter, _ *http.Request) {
	type contact struct {
		Name       string `json:"name"`
		State      string `json:"state"`
		VerifiedAt *Time  `json:"verified_at"`
		StoppedAt  *Time  `json:"stopped_at"`
	}
	contacts := []contact{}
	for _, c := range a.contacts.Contacts() {
		contacts = append(contacts, contact{c.Name, c.State, orNull(c.Verified), orNull(c.Stopped)})
	}
	response.Write(w, http.StatusOK, map[string]any{"contacts": contacts})
}

func (a *API) serveVerify(w http.ResponseWriter, r *http.Request) {
	switch err := a.contacts.Verify(r.Context(), r.PathValue("name")); {
	case errors.Is(err, ErrUnknownContact):
		response.Write(w, http.StatusNotFound, err)
	case err != nil:
		a.logger.Error("a verification could not be sent", "err", err)
		response.Write(w, http.StatusServiceUnavailable, errors.New("the text could not be stored; try again (the log says why)"))
	default:
		response.Write(w, http.StatusOK, map[string]string{"status": "sent"})
	}
}
