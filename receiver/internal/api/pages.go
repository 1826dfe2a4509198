package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// Page is the API's form of a page. Lists omit Events and Messages.
type Page struct {
	ID             string       `json:"id"`
	Version        int          `json:"version"` // of the page; an action must send the version that its caller saw
	Receiver       string       `json:"receiver"`
	GroupKey       string       `json:"group_key"`
	Code           string       `json:"code"`
	State          string       `json:"state"`
	Headline       string       `json:"headline"`
	Severity       string       `json:"severity"`
	OpenedAt       status.Time  `json:"opened_at"`
	UpdatedAt      status.Time  `json:"updated_at"`
	AcknowledgedAt *status.Time `json:"acknowledged_at"` // null: nobody has acknowledged it
	AcknowledgedBy string       `json:"acknowledged_by"`
	DueAt          *status.Time `json:"due_at"` // when smspager acts next; null: never
	Events         []PageEvent  `json:"events,omitempty"`
	Messages       []Message    `json:"messages,omitempty"` // oldest first, including digests
	// Confirmation is the text that a phone would get. Only responses to an action have it.
	Confirmation string `json:"confirmation,omitempty"`
}

// PageEvent is the API's form of a page's event.
type PageEvent struct {
	At     status.Time `json:"at"`
	Type   string      `json:"type"`
	Who    string      `json:"who"`
	Detail string      `json:"detail"`
}

// Pages is the response to a list of pages.
type Pages struct {
	Pages []Page `json:"pages"`
	Next  string `json:"next"` // the parameter before for the next part of the list; "": this is the last
}

func (a *API) servePages(w http.ResponseWriter, r *http.Request) {
	q, err := parsePageQuery(r.URL.Query())
	if err != nil {
		response.Write(w, http.StatusBadRequest, err)
		return
	}
	limit := q.Limit
	q.Limit++ // one more, to see whether there is a next part
	ps, err := a.store.Pages(r.Context(), q)
	if err != nil {
		a.unavailable(w, err)
		return
	}
	list := Pages{Pages: []Page{}}
	ps, list.Next = cut(ps, limit, func(p outbox.Page) string { return p.ID })
	for _, p := range ps {
		list.Pages = append(list.Pages, showPage(p))
	}
	respond(w, r, http.StatusOK, list)
}

// servePage serves GET /api/v1/pages/{id}. The id may be the page's code.
func (a *API) servePage(w http.ResponseWriter, r *http.Request) {
	p, err := outbox.FindPage(r.Context(), a.store, r.PathValue("id"))
	var ms []outbox.Message
	if err == nil {
		ms, err = outbox.MessagesOf(r.Context(), a.store, p.ID)
	}
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		response.Write(w, http.StatusNotFound, errNoPage)
		return
	case err != nil:
		a.unavailable(w, err)
		return
	}
	shown := showWhole(p)
	for _, m := range ms {
		shown.Messages = append(shown.Messages, show(m))
	}
	respond(w, r, http.StatusOK, shown)
}

func parsePageQuery(values url.Values) (q outbox.PageQuery, err error) {
	q.Limit = defaultLimit
	for name, given := range values {
		value := given[0]
		switch name {
		case "state":
			q.State = outbox.PageState(value)
			if value == "current" {
				q.State, q.Current = "", true
			} else if value != "" && !slices.Contains(outbox.PageStates(), q.State) {
				return q, fmt.Errorf("state must be current or one of %v", outbox.PageStates())
			}
		case "receiver":
			q.Receiver = value
		case "code":
			q.Code = value
		case "before":
			q.Before = value
		case "limit":
			if q.Limit, err = parseLimit(value); err != nil {
				return q, err
			}
		default:
			return q, fmt.Errorf("unknown parameter %q; known: state, receiver, code, limit, before", name)
		}
	}
	return q, nil
}

// errNoPage is the error for a page that does not exist.
var errNoPage = errors.New("no page has this id or code; GET /api/v1/pages (smspager pages) lists them")

// showWhole returns a page with its events.
func showWhole(p outbox.Page) Page {
	shown := showPage(p)
	for _, e := range p.Events {
		shown.Events = append(shown.Events, PageEvent{At: status.Time(e.At), Type: string(e.Type), Who: e.Who, Detail: e.Detail})
	}
	return shown
}

func showPage(p outbox.Page) Page {
	return Page{
		ID: p.ID, Version: p.Version, Receiver: p.Receiver, GroupKey: p.GroupKey, Code: p.Code, State: string(p.State), Headline: p.Headline, Severity: p.Severity,
		OpenedAt: status.Time(p.OpenedAt), UpdatedAt: status.Time(p.UpdatedAt), AcknowledgedAt: status.OrNil(p.AcknowledgedAt), AcknowledgedBy: p.AcknowledgedBy, DueAt: status.OrNil(p.DueAt),
	}
}
