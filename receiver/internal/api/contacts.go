package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/internal/status"
)

// Contacts knows the contacts, the states of their phones, and who is on duty.
type Contacts interface {
	Contacts() []people.Contact
	Roster() *people.Roster
	// Verify sends a contact a code to reply with. link adds a link to the text. The error is
	// people.ErrUnknownContact if no contact has the name.
	Verify(ctx context.Context, name string, link bool) error
}

func (a *API) serveContacts(w http.ResponseWriter, _ *http.Request) {
	type contact struct {
		Name       string       `json:"name"`
		State      string       `json:"state"`
		VerifiedAt *status.Time `json:"verified_at"`
		StoppedAt  *status.Time `json:"stopped_at"`
	}
	contacts := []contact{}
	for _, c := range a.contacts.Contacts() {
		contacts = append(contacts, contact{c.Name, c.State(), status.OrNil(c.Verified), status.OrNil(c.Stopped)})
	}
	response.Write(w, http.StatusOK, map[string]any{"contacts": contacts})
}

func (a *API) serveVerify(w http.ResponseWriter, r *http.Request) {
	if caller := access.From(r.Context()); !caller.Open {
		if err := caller.May(config.Admin); err != nil {
			a.refuse(w, err)
			return
		}
	}
	link, err := strconv.ParseBool(cmp.Or(r.URL.Query().Get("link"), "false"))
	if err != nil {
		response.Write(w, http.StatusBadRequest, errors.New("link must be true or false"))
		return
	}
	switch err := a.contacts.Verify(r.Context(), r.PathValue("name"), link); {
	case errors.Is(err, people.ErrUnknownContact):
		response.Write(w, http.StatusNotFound, err)
	case errors.Is(err, people.ErrNoLinks):
		response.Write(w, http.StatusBadRequest, err)
	case errors.Is(err, people.ErrVerifiedOften):
		response.Write(w, http.StatusTooManyRequests, err)
	case err != nil:
		a.logger.Error("cannot send a verification", "err", err)
		response.Write(w, http.StatusServiceUnavailable, errors.New("the text cannot be stored; try again (see the log)"))
	default:
		response.Write(w, http.StatusOK, map[string]string{"status": "sent"})
	}
}
