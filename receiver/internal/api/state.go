package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/internal/status"
)

// State knows the state of smspager.
type State interface {
	Now() time.Time
	Status() status.Status
	Heartbeats(context.Context) ([]status.Heartbeat, error)
	// Preview renders a payload for a receiver. If receiver is "", that is the payload's receiver, or
	// the only one. text replaces the receiver's template; "" keeps it.
	Preview(receiver string, payload []byte, text string) (any, error)
}

func (a *API) serveStatus(w http.ResponseWriter, r *http.Request) {
	respond(w, r, http.StatusOK, a.state.Status())
}

func (a *API) serveHeartbeats(w http.ResponseWriter, r *http.Request) {
	all, err := a.state.Heartbeats(r.Context())
	if err != nil {
		a.unavailable(w, err)
		return
	}
	respond(w, r, http.StatusOK, map[string]any{"heartbeats": all})
}

const (
	dutyAhead = 14 * 24 * time.Hour // shown by default
	dutyMost  = 92 * 24 * time.Hour
)

// Rota lists who is on duty in a rota.
type Rota struct {
	Name     string  `json:"name"`
	Timezone string  `json:"timezone"`
	Shifts   []Shift `json:"shifts"`
}

// Shift is a period in which the same people are on duty.
type Shift struct {
	Start    status.Time `json:"start"`
	End      status.Time `json:"end"`
	Contacts []string    `json:"contacts"` // in a gap, the rota's default
	Gap      bool        `json:"gap"`
	Unread   bool        `json:"unread"` // the calendar has never been read
	Unknown  []string    `json:"unknown"`
}

func (a *API) serveDuty(w http.ResponseWriter, r *http.Request) {
	from, to, err := span(r.URL.Query(), a.state.Now())
	if err != nil {
		response.Write(w, http.StatusBadRequest, err)
		return
	}
	roster := a.contacts.Roster()
	rotas := []Rota{}
	for _, name := range roster.Rotas() {
		rota := Rota{Name: name, Timezone: roster.Zone(name).String(), Shifts: []Shift{}}
		for _, d := range roster.Timeline(name, from, to) {
			rota.Shifts = append(rota.Shifts, Shift{
				Start: status.Time(d.Start), End: status.Time(d.End), Contacts: append([]string{}, d.Contacts...), Gap: d.Gap, Unread: d.Unread, Unknown: append([]string{}, d.Unknown...),
			})
		}
		rotas = append(rotas, rota)
	}
	respond(w, r, http.StatusOK, map[string]any{"from": status.Time(from), "to": status.Time(to), "rotas": rotas})
}

// span returns the period that a query asks for.
func span(values url.Values, now time.Time) (from, to time.Time, err error) {
	from = now
	for name, given := range values {
		var t time.Time
		if t, err = time.Parse(time.RFC3339, strings.Replace(given[0], " ", "+", 1)); err != nil { // the plus sign was not encoded
			return from, to, fmt.Errorf("%s must be a time such as 2026-12-24T18:00:00Z", name)
		}
		switch name {
		case "from":
			from = t
		case "to":
			to = t
		default:
			return from, to, fmt.Errorf("unknown parameter %q; known: from, to", name)
		}
	}
	if to.IsZero() {
		to = from.Add(dutyAhead)
	}
	if length := to.Sub(from); length <= 0 || length > dutyMost {
		return from, to, errors.New("to must be after from, by at most 92 days")
	}
	return from, to, nil
}

// previewBody is the body of POST /api/v1/preview.
type previewBody struct {
	Receiver string          `json:"receiver"`
	Payload  json.RawMessage `json:"payload"` // as Alertmanager posts it
	Text     string          `json:"text"`    // a template to try instead of the receiver's
}

// maxTemplate is the maximum size of a template to try, in bytes.
const maxTemplate = 16 << 10

func (a *API) servePreview(w http.ResponseWriter, r *http.Request) {
	var body previewBody
	if err := decode(r, &body); err != nil {
		response.Write(w, http.StatusBadRequest, err)
		return
	}
	switch caller := access.From(r.Context()); {
	case body.Text != "" && !caller.Open && caller.May(config.Responder) != nil: // a template can loop for ever
		a.refuse(w, caller.May(config.Responder))
		return
	case len(body.Text) > maxTemplate:
		response.Write(w, http.StatusBadRequest, fmt.Errorf(`"text" is larger than %d bytes`, maxTemplate))
		return
	case len(body.Payload) == 0:
		response.Write(w, http.StatusBadRequest, errors.New(`"payload" is missing: put the body of a webhook there`))
		return
	}
	preview, err := a.state.Preview(body.Receiver, body.Payload, body.Text)
	if err != nil {
		response.Write(w, http.StatusBadRequest, err)
		return
	}
	respond(w, r, http.StatusOK, preview)
}
