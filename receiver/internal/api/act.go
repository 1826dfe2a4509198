package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/outbox"
)

// maxBody is the maximum size of a request's body, in bytes.
const maxBody = 1 << 20

// Actor performs people's actions on pages, as an oncall.OnCall does.
type Actor interface {
	Act(context.Context, command.Act) (command.Acted, error)
}

// actBody is the body of a request that acts on a page.
type actBody struct {
	Version *int   `json:"version"`
	By      string `json:"by"`
	For     string `json:"for"`   // how long to silence, "2h"
	Until   string `json:"until"` // or until when, "09:00"
	Text    string `json:"text"`  // of a note
}

func (a *API) serveAct(verb command.Verb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller := access.From(r.Context())
		if err := caller.May(config.Responder); err != nil {
			a.refuse(w, err)
			return
		}
		var body actBody
		err := decode(r, &body)
		act := command.Act{Verb: verb, Page: r.PathValue("id"), Via: "by API"}
		if err == nil {
			err = body.into(&act)
		}
		if err != nil {
			response.Write(w, http.StatusBadRequest, err)
			return
		}
		if act.By, err = caller.As(body.By); err != nil {
			a.refuse(w, err)
			return
		}
		acted, err := a.actor.Act(r.Context(), act)
		var changed *command.ChangedError
		switch unknown := (*command.UnknownContactError)(nil); {
		case errors.As(err, &changed):
			a.conflict(w, r, err.Error(), changed.Page)
		case errors.As(err, &unknown):
			response.Write(w, http.StatusBadRequest, err)
		case errors.Is(err, outbox.ErrNotFound):
			response.Write(w, http.StatusNotFound, errNoPage)
		case err != nil:
			a.logger.Error("cannot act on a page", "err", err)
			response.Write(w, http.StatusServiceUnavailable, errors.New("nothing was done: the outbox cannot be used; try again (see the log)"))
		case !acted.Done:
			a.conflict(w, r, acted.Text, acted.Page)
		default:
			shown := showWhole(acted.Page)
			shown.Confirmation = acted.Text
			respond(w, r, http.StatusOK, shown)
		}
	}
}

// conflict responds with the reason why nothing was done, and the current page.
func (a *API) conflict(w http.ResponseWriter, r *http.Request, why string, p outbox.Page) {
	respond(w, r, http.StatusConflict, map[string]any{"error": why, "page": showWhole(p)})
}

// refuse responds that the caller may not do something.
func (a *API) refuse(w http.ResponseWriter, err error) {
	code := access.Status(err)
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="smspager"`)
	}
	response.Write(w, code, err)
}

// decode reads the JSON body of a request.
func decode(r *http.Request, into any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return errors.New("the body cannot be read")
	case len(data) > maxBody:
		return fmt.Errorf("the body is larger than %d bytes", maxBody)
	case len(strings.TrimSpace(string(data))) == 0:
		return errors.New("the body is empty; see docs/http.md for the expected JSON")
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body is not the expected JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON of the body")
	}
	return nil
}

const maxNote = 1000 // characters

// into copies the fields of a body to an act.
func (b *actBody) into(act *command.Act) error {
	if b.Version == nil {
		return errors.New(`"version" is missing: send the version of the page that you saw, see GET /api/v1/pages/{id}`)
	}
	act.Version, act.Text = *b.Version, strings.TrimSpace(b.Text)
	switch {
	case act.Version < 0: // nobody can have seen command.AnyVersion
		return errors.New(`"version" must be that of the page that you saw; see GET /api/v1/pages/{id}`)
	case act.Verb == command.Silence:
		return b.silence(act)
	case b.For != "" || b.Until != "":
		return errors.New(`"for" and "until" are for silence only`)
	case act.Verb == command.Note && act.Text == "":
		return errors.New(`"text" is missing: say what others should know`)
	case act.Verb != command.Note && act.Text != "":
		return errors.New(`"text" is for note only`)
	case len([]rune(act.Text)) > maxNote:
		return fmt.Errorf(`"text" is longer than %d characters`, maxNote)
	}
	return nil
}

// silence adds to an act how long the page's alerts are to be silenced.
func (b *actBody) silence(act *command.Act) error {
	if (b.For == "") == (b.Until == "") || act.Text != "" {
		return errors.New(`say how long: "for":"2h" or "until":"09:00", and nothing else`)
	}
	if b.Until != "" {
		at, err := time.Parse("15:04", b.Until)
		if err != nil {
			return fmt.Errorf(`"until" must be a time of day such as 09:00, is %q`, b.Until)
		}
		act.Until = at.Format("1504")
		return nil
	}
	length, err := model.ParseDuration(b.For)
	if err != nil || length == 0 {
		return fmt.Errorf(`"for" must be a duration such as 30m or 2h, is %q`, b.For)
	}
	act.Length = time.Duration(length)
	return nil
}
