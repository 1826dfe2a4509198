// Package api shows people, and their scripts, what was sent.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

// Store is what the console reads. An outbox.Store is one.
type Store interface {
	Get(ctx context.Context, id string) (outbox.Message, error)
	List(context.Context, outbox.Query) ([]outbox.Message, error)
	Page(ctx context.Context, id string) (outbox.Page, error)
	Pages(context.Context, outbox.PageQuery) ([]outbox.Page, error)
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// Console serves the API under /api/v1/messages, /api/v1/pages and /api/v1/replies.
type Console struct {
	store  Store
	logger *slog.Logger
}

// New makes a Console. A nil logger logs nothing.
func New(store Store, logger *slog.Logger) *Console {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Console{store, logger}
}

// Message is a message as the API shows it.
type Message struct {
	ID           string  `json:"id"`
	To           string  `json:"to"`
	Receiver     string  `json:"receiver"`
	GroupKey     string  `json:"group_key"`
	Page         string  `json:"page"` // the id of the page that it tells of, "" for none
	Text         string  `json:"text"`
	Encoding     string  `json:"encoding"`
	Segments     int     `json:"segments"`
	State        string  `json:"state"`
	SupersededBy string  `json:"superseded_by"` // the id of the message that tells more, such as a digest, "" without one
	APIID        string  `json:"api_id"`
	Attempts     int     `json:"attempts"`
	CreatedAt    Time    `json:"created_at"`
	UpdatedAt    Time    `json:"updated_at"`
	Events       []Event `json:"events"`
}

// Event is a line of a message's history as the API shows it.
type Event struct {
	At     Time   `json:"at"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
}

// Time is written as RFC 3339 in UTC with milliseconds.
type Time time.Time

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(b []byte) error { return (*time.Time)(t).UnmarshalText(b) }

// Messages is the answer of the list of messages.
type Messages struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next"` // the "before" of the next page, "" on the last
}

// ServeList answers GET /api/v1/messages.
func (c *Console) ServeList(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		reply(w, http.StatusBadRequest, err)
		return
	}
	q.Limit++ // one more tells whether there is a next page
	ms, err := c.store.List(r.Context(), q)
	if err != nil {
		c.unavailable(w, err)
		return
	}
	page := Messages{Messages: []Message{}}
	if len(ms) == q.Limit {
		ms = ms[:q.Limit-1]
		page.Next = ms[len(ms)-1].ID
	}
	for _, m := range ms {
		page.Messages = append(page.Messages, show(m))
	}
	reply(w, http.StatusOK, page)
}

// ServeMessage answers GET /api/v1/messages/{id}.
func (c *Console) ServeMessage(w http.ResponseWriter, r *http.Request) {
	m, err := c.store.Get(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		reply(w, http.StatusNotFound, errors.New("no message has this id; GET /api/v1/messages lists them"))
	case err != nil:
		c.unavailable(w, err)
	default:
		reply(w, http.StatusOK, show(m))
	}
}

func (c *Console) unavailable(w http.ResponseWriter, err error) {
	c.logger.Error("cannot read the outbox", "err", err)
	reply(w, http.StatusServiceUnavailable, errors.New("the outbox cannot be read; try again (the log says why)"))
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
				value = "+" + rest // a plus sign that was not written %2B
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

func parseLimit(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fmt.Errorf("limit must be a number from 1 to %d", maxLimit)
	}
	return n, nil
}

func show(m outbox.Message) Message {
	s := Message{
		ID: m.ID, To: string(m.To), Receiver: m.Receiver, GroupKey: m.GroupKey, Page: m.PageID, Text: m.Text, Encoding: m.Encoding, Segments: m.Segments,
		State: string(m.State), SupersededBy: m.OutdatedBy, APIID: m.APIID, Attempts: m.Attempts, CreatedAt: Time(m.CreatedAt), UpdatedAt: Time(m.UpdatedAt),
		Events: []Event{},
	}
	for _, e := range m.Events {
		s.Events = append(s.Events, Event{At: Time(e.At), Type: string(e.Type), Detail: e.Detail})
	}
	return s
}

// reply writes a value as JSON, an error as {"error": "…"}.
func reply(w http.ResponseWriter, code int, v any) {
	if err, ok := v.(error); ok {
		v = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}
