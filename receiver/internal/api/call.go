package api

import (
	"context"
	"net/http"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/outbox"
)

// Call is a request by a person or a script to page others: the body of POST /api/v1/pages.
type Call struct {
	To       string `json:"to"` // a receiver or a contact
	Text     string `json:"text"`
	Severity string `json:"severity"` // "": critical
	Key      string `json:"key"`      // names the page, to update or resolve it; "": that is not possible
	Resolve  bool   `json:"resolve"`
	By       string `json:"by"` // the contact who calls; "": the contact of the login, if any
}

// Called is the outcome of a Call.
type Called struct {
	Status   string
	Messages []string // IDs
	Receiver string   // of the page
	Group    string
}

// Caller pages people by hand. Call also returns an HTTP status code for the error.
type Caller interface {
	Call(context.Context, Call) (Called, int, error)
}

func (a *API) serveCall(w http.ResponseWriter, r *http.Request) {
	caller := access.From(r.Context())
	if err := caller.May(config.Responder); err != nil {
		a.refuse(w, err)
		return
	}
	var call Call
	if err := decode(r, &call); err != nil {
		response.Write(w, http.StatusBadRequest, err)
		return
	}
	if call.By != "" || caller.Contact != "" {
		by, err := caller.As(call.By)
		if err != nil {
			a.refuse(w, err)
			return
		}
		call.By = by
	}
	called, status, err := a.callers.Call(r.Context(), call)
	if err != nil {
		response.Write(w, status, err)
		return
	}
	body := struct {
		Status   string   `json:"status"`
		Messages []string `json:"messages"`
		Page     *Page    `json:"page"` // null: the receiver has no pages
	}{Status: called.Status, Messages: called.Messages}
	if ps, err := a.store.Pages(r.Context(), outbox.PageQuery{GroupKey: called.Group, Receiver: called.Receiver, Limit: 1}); err == nil && len(ps) > 0 {
		shown := showPage(ps[0])
		body.Page = &shown
	}
	respond(w, r, http.StatusOK, body)
}
