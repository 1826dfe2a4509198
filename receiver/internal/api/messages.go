package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// Message is the API's form of a message.
type Message struct {
	ID           string      `json:"id"`
	To           string      `json:"to"`
	Receiver     string      `json:"receiver"`
	GroupKey     string      `json:"group_key"`
	Page         string      `json:"page"` // the ID of its page; "": none
	Text         string      `json:"text"`
	Encoding     string      `json:"encoding"`
	Segments     int         `json:"segments"`
	State        string      `json:"state"`
	SupersededBy string      `json:"superseded_by"` // the ID of the message that replaces it, such as a digest; "": none
	APIID        string      `json:"api_id"`
	Attempts     int         `json:"attempts"`
	CreatedAt    status.Time `json:"created_at"`
	UpdatedAt    status.Time `json:"updated_at"`
	Events       []Event     `json:"events"`
}

// Event is the API's form of a message's event.
type Event struct {
	At     status.Time `json:"at"`
	Type   string      `json:"type"`
	Detail string      `json:"detail"`
}

// Messages is the response to a list of messages.
type Messages struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next"` // the parameter before for the next part of the list; "": this is the last
}

func (a *API) serveMessages(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		response.Write(w, http.StatusBadRequest, err)
		return
	}
	if caller := access.From(r.Context()); q.To != "" && !seesNumbers(caller) { // the response would confirm a guess
		a.refuse(w, caller.May(config.Admin))
		return
	}
	limit := q.Limit
	q.Limit++ // one more, to see whether there is a next part
	ms, err := a.store.List(r.Context(), q)
	if err != nil {
		a.unavailable(w, err)
		return
	}
	page := Messages{Messages: []Message{}}
	ms, page.Next = cut(ms, limit, func(m outbox.Message) string { return m.ID })
	for _, m := range ms {
		page.Messages = append(page.Messages, show(m))
	}
	respond(w, r, http.StatusOK, page)
}

// cut returns the first messages or pages of a list. If there are more, it also returns the ID of the last
// one.
func cut[T any](all []T, limit int, id func(T) string) (first []T, next string) {
	if len(all) <= limit {
		return all, ""
	}
	return all[:limit], id(all[limit-1])
}

func (a *API) serveMessage(w http.ResponseWriter, r *http.Request) {
	m, err := a.store.Get(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		response.Write(w, http.StatusNotFound, errors.New("no message has this id; GET /api/v1/messages lists them"))
	case err != nil:
		a.unavailable(w, err)
	default:
		respond(w, r, http.StatusOK, show(m))
	}
}

func parseQuery(values url.Values) (q outbox.Query, err error) {
	q.Limit = defaultLimit
	for name, given := range values {
		value := given[0]
		switch name {
		case "state":
			q.State = outbox.State(value)
			if value != "" && !slices.Contains(outbox.States(), q.State) {
				return q, fmt.Errorf("state must be one of %v", outbox.States())
			}
		case "to":
			if value == "" {
				break
			}
			if rest, bare := strings.CutPrefix(value, " "); bare {
				value = "+" + rest // the plus sign was not encoded as %2B
			}
			if q.To, err = e164.Parse(value); err != nil {
				return q, fmt.Errorf("to %w", err)
			}
		case "receiver":
			q.Receiver = value
		case "before":
			q.Before = value
		case "limit":
			if q.Limit, err = parseLimit(value); err != nil {
				return q, err
			}
		default:
			return q, fmt.Errorf("unknown parameter %q; known: state, to, receiver, limit, before", name)
		}
	}
	return q, nil
}

func show(m outbox.Message) Message {
	s := Message{
		ID: m.ID, To: string(m.To), Receiver: m.Receiver, GroupKey: m.GroupKey, Page: m.PageID, Text: m.Text, Encoding: m.Encoding, Segments: m.Segments,
		State: string(m.State), SupersededBy: m.SupersededBy, APIID: m.APIID, Attempts: m.Attempts, CreatedAt: status.Time(m.CreatedAt), UpdatedAt: status.Time(m.UpdatedAt),
		Events: []Event{},
	}
	for _, e := range m.Events {
		s.Events = append(s.Events, Event{At: status.Time(e.At), Type: string(e.Type), Detail: e.Detail})
	}
	return s
}
