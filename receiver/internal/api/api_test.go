package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
)

var at = time.Date(2026, 11, 23, 19, 24, 46, 120e6, time.UTC)

// store is a read-only outbox.
type store struct {
	messages []outbox.Message // newest first
	pages    []outbox.Page    // newest first
	replies  []outbox.Mark
	query    outbox.Query // the last query
	err      error
}

func (s *store) Get(_ context.Context, id string) (outbox.Message, error) {
	for _, m := range s.messages {
		if m.ID == id {
			return m, s.err
		}
	}
	return outbox.Message{}, errors.Join(s.err, outbox.ErrNotFound)
}

func (s *store) List(_ context.Context, q outbox.Query) (ms []outbox.Message, err error) {
	s.query = q
	for _, m := range s.messages {
		if (q.Page == "" || m.PageID == q.Page) && (q.Before == "" || m.ID < q.Before) && len(ms) < q.Limit {
			ms = append(ms, m)
		}
	}
	return ms, s.err
}

func (s *store) Page(_ context.Context, id string) (outbox.Page, error) {
	for _, p := range s.pages {
		if p.ID == id {
			return p, s.err
		}
	}
	return outbox.Page{}, outbox.ErrNotFound
}

func (s *store) Pages(_ context.Context, q outbox.PageQuery) (ps []outbox.Page, err error) {
	for _, p := range s.pages {
		if (q.Code == "" || p.Code == q.Code) && (!q.Current || p.State.Current()) && len(ps) < q.Limit {
			ps = append(ps, p)
		}
	}
	return ps, s.err
}

func (s *store) Marks(context.Context, string) ([]outbox.Mark, error) { return s.replies, s.err }

// directory is a directory with two contacts.
type directory struct {
	asked  []string
	err    error
	roster *people.Roster
}

func (p *directory) Roster() *people.Roster { return p.roster }

func (p *directory) Contacts() []people.Contact {
	return []people.Contact{{Name: "alice", Verified: at}, {Name: "bob", Stopped: at}}
}

func (p *directory) Verify(_ context.Context, name string, _ bool) error {
	if name != "alice" {
		return people.ErrUnknownContact
	}
	p.asked = append(p.asked, name)
	return p.err
}

func filled() *store {
	return &store{
		messages: []outbox.Message{
			{ID: "03", To: "+33639980001", PageID: "", GroupKey: outbox.DigestGroup, Text: "2 more", State: outbox.Delivered, CreatedAt: at, UpdatedAt: at},
			{ID: "02", To: "+33639980001", PageID: "P2", State: outbox.Superseded, SupersededBy: "03", CreatedAt: at, UpdatedAt: at},
			{ID: "01", To: "+33639980001", PageID: "P2", State: outbox.Accepted, CreatedAt: at, UpdatedAt: at, Events: []outbox.Event{{At: at, Type: outbox.EventQueued, Detail: "d"}}},
		},
		pages: []outbox.Page{
			{ID: "P2", Code: "4821", State: outbox.PageOpen, OpenedAt: at, UpdatedAt: at, DueAt: at, Events: []outbox.PageEvent{{At: at, Type: outbox.PageEventOpened}}},
			{ID: "P1", Code: "1234", State: outbox.PageResolved, OpenedAt: at, UpdatedAt: at, AcknowledgedAt: at, AcknowledgedBy: "bob"},
		},
		replies: []outbox.Mark{
			{Name: "R1", At: at, Doc: json.RawMessage(`{"from":"+33639980002","text":"one"}`)},
			{Name: "R2", At: at, Doc: json.RawMessage(`{"from":"+33639980002","text":"two"}`)},
		},
	}
}

// serve returns the status code and the body of the response to a request.
func serve(s *store, p *directory, method, path string) (int, string) {
	return serveTo(access.Caller{Role: config.Viewer, Open: true}, s, p, method, path)
}

func serveTo(caller access.Caller, s *store, p *directory, method, path string) (int, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r = r.WithContext(access.With(r.Context(), caller))
	api.New(api.Options{Store: s, Contacts: p, Logger: slog.New(slog.DiscardHandler)}).ServeHTTP(w, r)
	if w.Header().Get("Content-Type") != "application/json" {
		return 0, "not JSON: " + w.Body.String()
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestResponses(t *testing.T) {
	for _, c := range []struct {
		request string
		code    int
		body    string // contained in the response
	}{
		{"GET /api/v1/messages", 200, `"next":""}`},
		{"GET /api/v1/messages?limit=2", 200, `"next":"02"}`},
		{"GET /api/v1/messages?limit=2&before=02", 200, `{"messages":[{"id":"01"`},
		{"GET /api/v1/messages?state=nope", 400, `{"error":"state must be one of`},
		{"GET /api/v1/messages?to=12", 400, `{"error":"to must be`},
		{"GET /api/v1/messages?limit=501", 400, `{"error":"limit must be a number from 1 to 500"}`},
		{"GET /api/v1/messages?color=red", 400, `known: state, to, receiver, limit, before`},
		{"GET /api/v1/messages/01", 200, `"created_at":"2026-11-23T19:24:46.120Z","updated_at":"2026-11-23T19:24:46.120Z","events":[{"at":"2026-11-23T19:24:46.120Z","type":"queued","detail":"d"}]}`},
		{"GET /api/v1/messages/nope", 404, `{"error":"no message has this id`},
		{"POST /api/v1/messages", 405, `{"error":"the method must be GET`},
		{"GET /api/v1/pages?limit=1", 200, `"next":"P2"}`},
		{"GET /api/v1/pages?state=current", 200, `{"pages":[{"id":"P2","version":0,"receiver":"","group_key":"","code":"4821","state":"open","headline":"","severity":"","opened_at":"2026-11-23T19:24:46.120Z","updated_at":"2026-11-23T19:24:46.120Z","acknowledged_at":null,"acknowledged_by":"","due_at":"2026-11-23T19:24:46.120Z"}],"next":""}`},
		{"GET /api/v1/pages?state=nope", 400, `{"error":"state must be current or one of`},
		{"GET /api/v1/pages?x=1", 400, `known: state, receiver, code, limit, before`},
		{"GET /api/v1/pages/P1", 200, `"acknowledged_by":"bob","due_at":null}`},
		{"GET /api/v1/pages/4821", 200, `{"id":"P2"`}, // by its code
		{"GET /api/v1/pages/nope", 404, `{"error":"no page has this id or code`},
		{"GET /api/v1/replies", 200, `{"replies":[{"id":"R2","at":"2026-11-23T19:24:46.120Z","from":"+33639980002","text":"two"},{"id":"R1"`},
		{"GET /api/v1/replies?limit=0", 400, `{"error":"limit must be`},
		{"GET /api/v1/replies?from=x", 400, `known: limit`},
		{"GET /api/v1/contacts", 200, `{"contacts":[{"name":"alice","state":"verified","verified_at":"2026-11-23T19:24:46.120Z","stopped_at":null},{"name":"bob","state":"stopped","verified_at":null,"stopped_at":"2026-11-23T19:24:46.120Z"}]}`},
		{"POST /api/v1/contacts/alice/verify", 200, `{"status":"sent"}`},
		{"POST /api/v1/contacts/carol/verify", 404, `{"error":"no contact has this name"}`},
		{"GET /api/v1/nope", 404, `{"error":"no such path; see docs/http.md"}`},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		if code, body := serve(filled(), new(directory), method, path); code != c.code || !strings.Contains(body, c.body) {
			t.Errorf("%s: %d %s, want %d with %s", c.request, code, body, c.code, c.body)
		}
	}
}

// TestToWithPlus: many clients do not encode the plus sign of a number, so the query contains a space.
func TestToWithPlus(t *testing.T) {
	for _, to := range []string{"%2B33639980001", "+33639980001"} {
		s := filled()
		if code, body := serve(s, nil, "GET", "/api/v1/messages?to="+to); code != 200 || s.query.To != "+33639980001" {
			t.Errorf("to=%s: %d %s, asks for %q", to, code, body, s.query.To)
		}
	}
}

// TestWholeNumbers: if people can log in, only admins see whole numbers, also in texts and filters.
func TestWholeNumbers(t *testing.T) {
	s := filled()
	s.messages[0].Text = "call +33639980001"
	s.pages[0].Headline, s.pages[0].Events[0].Detail = "Down +33639980001", "I called +33639980001"
	for _, c := range []struct {
		path       string
		admin, all int // status
	}{
		{"messages", 200, 200}, {"messages/03", 200, 200}, {"pages", 200, 200}, {"pages/P2", 200, 200}, {"replies", 200, 200}, {"messages?to=%2B33639980001", 200, 403},
	} {
		for caller, want := range map[access.Caller]int{
			{Role: config.Admin}: c.admin, {Login: "tv", Role: config.Viewer}: c.all, {Login: "al", Contact: "al", Role: config.Responder}: c.all,
		} {
			code, body := serveTo(caller, s, nil, "GET", "/api/v1/"+c.path)
			if whole := strings.Contains(body, "+3363998000"); code != want || whole != (caller.Role == config.Admin) {
				t.Errorf("%s as %s: %d %s", c.path, caller.Role, code, body)
			}
		}
	}
}

// TestMessagesOfAPage: the page's messages include the digest that replaced one of them.
func TestMessagesOfAPage(t *testing.T) {
	_, body := serve(filled(), nil, "GET", "/api/v1/pages/P2")
	var page api.Page
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range page.Messages {
		ids = append(ids, m.ID)
	}
	if !slices.Equal(ids, []string{"01", "02", "03"}) || len(page.Events) != 1 {
		t.Errorf("messages %v, events %v", ids, page.Events)
	}
}

// TestStoreFails: if the store fails, every path that reads it gets 503, and no response shows the reason.
func TestStoreFails(t *testing.T) {
	for _, path := range []string{"messages", "messages/01", "pages", "pages/P1", "replies"} {
		s := filled()
		s.err = errors.New("disk full")
		if code, body := serve(s, nil, "GET", "/api/v1/"+path); code != 503 || strings.Contains(body, "disk full") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := serve(filled(), &directory{err: errors.New("disk full")}, "POST", "/api/v1/contacts/alice/verify"); code != 503 || strings.Contains(body, "disk full") {
		t.Errorf("verify: %d %s", code, body)
	}
}
