package receiver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const apiToken = "api-token-0123456789"

// acting is the tail of a configuration with an API token and a receiver that escalates.
const acting = `
api: {token: ` + apiToken + `}
contacts:
  - {name: alice, number: "` + alice + `"}
  - {name: bob, number: "` + bob + `"}
receivers:
  - {name: oncall, to: [alice], escalate: [{after: 10m, to: [bob]}], limits: []}
  - {name: log, to: [bob], limits: []}
`

// act posts to the API with the token.
func (c *chain) act(path, body string) (code int, text string) {
	c.t.Helper()
	return c.do("POST", "/api/v1/"+path, body, "Authorization", "Bearer "+apiToken)
}

// page reads the only page.
func (c *chain) page() (p api.Page) {
	c.t.Helper()
	_, text := c.do("GET", "/api/v1/pages?limit=1", "")
	var list api.Pages
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Pages) != 1 {
		c.t.Fatalf("pages: %s", text)
	}
	_, text = c.do("GET", "/api/v1/pages/"+list.Pages[0].ID, "")
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// texted waits until the provider has a message to this number whose text contains part.
func (c *chain) texted(number, part string) {
	c.t.Helper()
	testwait.Until(c.t, func() error {
		for _, m := range c.sim.Messages() {
			if m.To == strings.TrimPrefix(number, "+") && strings.Contains(m.Text, part) {
				return nil
			}
		}
		return fmt.Errorf("%s was not sent %q: %+v", number, part, c.sim.Messages())
	})
}

// TestActs: the API does what a reply does: it records who acted, and texts the others who were
// paged.
func TestActs(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	if code, text := c.act("pages", `{"to":"oncall","text":"Backup of db-3 failed","severity":"warning","key":"backup"}`); code != 200 || !strings.Contains(text, `"status":"accepted"`) {
		t.Fatal(code, text)
	}
	c.texted(alice, "WARNING Backup of db-3 failed")
	p := c.page()
	step := func(verb, body string, want int, part string) api.Page {
		t.Helper()
		code, text := c.act("pages/"+p.Code+"/"+verb, fmt.Sprintf(body, c.page().Version))
		if code != want || !strings.Contains(text, part) {
			t.Fatalf("%s: %d %s, want %d with %s", verb, code, text, want, part)
		}
		return c.page()
	}
	step("note", `{"version":%d,"by":"bob","text":"the disk is on order"}`, 200, `"confirmation":"OK, the note is added`)
	step("escalate", `{"version":%d,"by":"alice"}`, 200, "OK, bob is paged")
	c.texted(bob, "Backup of db-3 failed")
	if now := step("acknowledge", `{"version":%d,"by":"bob"}`, 200, `is yours`); now.State != "acknowledged" || now.AcknowledgedBy != "bob" {
		t.Errorf("after the acknowledgement, the page is %+v", now)
	}
	c.texted(alice, "bob has "+p.Code)
	step("acknowledge", `{"version":%d,"by":"alice"}`, 409, "bob has "+p.Code)
	step("silence", `{"version":%d,"by":"bob","for":"2h"}`, 409, "NOT silenced: a person made this page")
	if now := step("undo", `{"version":%d,"by":"bob"}`, 200, "Undone"); now.State != "open" {
		t.Errorf("after the undo, the page is %+v", now)
	}
	history := fmt.Sprint(c.page().Events)
	for _, part := range []string{"note bob the disk is on order", "passed alice", "acknowledged bob by API", "undone bob"} {
		if !strings.Contains(history, part) {
			t.Errorf("the history lacks %q: %s", part, history)
		}
	}
}

// TestRefusedActs: a request without permission, or with an invalid body, changes nothing.
func TestRefusedActs(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	c.act("pages", `{"to":"oncall","text":"Backup failed","key":"backup"}`)
	p := c.page()
	good := fmt.Sprintf(`{"version":%d,"by":"alice"}`, p.Version)
	for name, q := range map[string]struct {
		path, body string
		header     []string
		want       int
		part       string
	}{
		"nobody":           {"acknowledge", good, []string{}, 401, "log in first"},
		"wrong token":      {"acknowledge", good, []string{"Authorization", "Bearer x"}, 401, "log in first"},
		"unchecked basic":  {"acknowledge", good, []string{"Authorization", "Basic YWxpY2U6eA=="}, 401, "log in first"},
		"no version":       {"acknowledge", `{"by":"alice"}`, nil, 400, `version\" is missing`},
		"old version":      {"acknowledge", fmt.Sprintf(`{"version":%d,"by":"alice"}`, p.Version-1), nil, 409, "has changed"},
		"future version":   {"acknowledge", fmt.Sprintf(`{"version":%d,"by":"alice"}`, p.Version+1), nil, 409, "has changed"},
		"any version":      {"acknowledge", `{"version":-1,"by":"alice"}`, nil, 400, "that you saw"},
		"no contact":       {"acknowledge", fmt.Sprintf(`{"version":%d,"by":"carol"}`, p.Version), nil, 400, "no contact is named"},
		"a number":         {"acknowledge", fmt.Sprintf(`{"version":%d,"by":"%s"}`, p.Version, alice), nil, 400, "no contact is named"},
		"nobody named":     {"acknowledge", fmt.Sprintf(`{"version":%d}`, p.Version), nil, 400, "name the contact"},
		"not JSON":         {"acknowledge", "x", nil, 400, "not the expected JSON"},
		"empty":            {"acknowledge", "", nil, 400, "empty"},
		"unknown field":    {"acknowledge", `{"version":1,"who":"x"}`, nil, 400, "who"},
		"two documents":    {"acknowledge", good + good, nil, 400, "follows"},
		"a brace too many": {"acknowledge", good + "}", nil, 400, "follows"},
		"for":              {"acknowledge", fmt.Sprintf(`{"version":%d,"by":"alice","for":"2h"}`, p.Version), nil, 400, "silence only"},
		"silence, no end":  {"silence", good, nil, 400, "say how long"},
		"silence, no time": {"silence", fmt.Sprintf(`{"version":%d,"by":"alice","for":"soon"}`, p.Version), nil, 400, "duration"},
		"empty note":       {"note", fmt.Sprintf(`{"version":%d,"by":"alice","text":" "}`, p.Version), nil, 400, `text\" is missing`},
		"unknown verb":     {"explode", good, nil, 404, "no such path"},
	} {
		header := q.header
		if header == nil {
			header = []string{"Authorization", "Bearer " + apiToken}
		}
		if code, text := c.do("POST", "/api/v1/pages/"+p.ID+"/"+q.path, q.body, header...); code != q.want || !strings.Contains(text, q.part) {
			t.Errorf("%s: %d %s, want %d with %s", name, code, text, q.want, q.part)
		}
	}
	if code, text := c.act("pages/0000/acknowledge", good); code != 404 {
		t.Error(code, text)
	}
	if now := c.page(); now.Version != p.Version || now.State != "open" {
		t.Errorf("the page changed: %+v", now)
	}
	if code, text := c.do("PUT", "/api/v1/pages/"+p.ID+"/acknowledge", good, "Authorization", "Bearer "+apiToken); code != 200 {
		t.Error("the response to PUT is", code, text)
	}
	if code, text := c.act("pages/"+p.ID+"/acknowledge", good); code != 409 || !strings.Contains(text, "acknowledged by alice") {
		t.Error("the response to a repeated request is", code, text)
	}
}

// TestPagedByHand: a text with the key of an open page updates that page, or ends it.
func TestPagedByHand(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	count := func() int { return len(c.sim.Messages()) }
	call := func(body string, want int, part string) {
		t.Helper()
		if code, text := c.act("pages", body); code != want || !strings.Contains(text, part) {
			t.Fatalf("%s: %d %s, want %d with %s", body, code, text, want, part)
		}
	}
	call(`{"to":"oncall","text":"Backup failed","key":"backup"}`, 200, `"state":"open"`)
	c.texted(alice, "CRITICAL Backup failed")
	call(`{"to":"oncall","text":"Backup failed","key":"backup"}`, 200, `"status":"duplicate"`)
	call(`{"to":"oncall","text":"Backup failed twice","key":"backup"}`, 200, `"status":"accepted"`)
	c.texted(alice, "Backup failed twice")
	if n := count(); n != 2 {
		t.Errorf("%d messages were sent, want 2", n)
	}
	if p := c.page(); p.State != "open" || !strings.Contains(p.Headline, "Backup failed twice") {
		t.Errorf("after the update, the page is %+v", p)
	}
	call(`{"to":"oncall","key":"backup","resolve":true}`, 200, `"state":"resolved"`)
	c.texted(alice, "RESOLVED")
	call(`{"to":"oncall","key":"backup","resolve":true}`, 404, "no open page has this key")
	call(`{"to":"bob","text":"Please call the NOC","severity":"info"}`, 200, `"receiver":"contact:bob"`)
	c.texted(bob, "INFO Please call the NOC")
	call(`{"to":"alice","text":"Please call me","by":"bob"}`, 200, `"headline":"CRITICAL Please call me"`)
	call(`{"to":"log","text":"no pages here"}`, 200, `"page":null`)
	call(`{"to":"nobody","text":"x"}`, 404, "receivers: oncall, log")
	call(`{"to":"oncall"}`, 400, `text\" is missing`)
	call(`{"to":"oncall","text":"\u200b\u0000 \u202e"}`, 400, `text\" is missing`)
	call(`{"to":"oncall","text":"x","severity":"critical\n"}`, 200, `"severity":"critical"`)
	call(`{"to":"oncall","text":"x","severity":"criti\ncal"}`, 400, `severity\" must be a word`)
	call(`{"to":"oncall","text":"x","severity":"`+strings.Repeat("x", 51)+`"}`, 400, `severity\" must be a word`)
	call(`{"text":"x"}`, 400, `to\" is missing`)
	call(`{"to":"oncall","resolve":true}`, 400, `key\" is missing`)
	call(`{"to":"oncall","text":"`+strings.Repeat("x", 1001)+`"}`, 400, "longer than 1000")
	call(`{"to":"oncall","text":"x","colour":"red"}`, 400, "colour")
	if code, _ := c.do("POST", "/api/v1/pages", `{"to":"oncall","text":"x"}`); code != 401 {
		t.Error("without a login:", code)
	}
}

// TestOtherSites: another web site cannot make a browser change anything.
func TestOtherSites(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	for _, path := range []string{"/alertmanager/oncall", "/api/v1/pages", "/api/v1/contacts/alice/verify", "/-/reload", "/textinghouse/" + token + "/mo"} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "same-site"}} {
			if code, text := c.do("POST", path, payload(t, "payloads/01-single-firing-critical.json"), append(header, "Authorization", "Bearer "+apiToken)...); code != 403 || !strings.Contains(text, "another web site") {
				t.Errorf("%s with %v: %d %s", path, header, code, text)
			}
		}
	}
	if n := len(c.sim.Messages()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	if code, text := c.do("POST", "/alertmanager/oncall", payload(t, "payloads/01-single-firing-critical.json"), "Sec-Fetch-Site", "same-origin"); code != 200 {
		t.Error(code, text)
	}
	resp, err := http.Get(c.http.URL + "/-/healthy")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if h := resp.Header; !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") ||
		h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", h)
	}
}

// TestEvents: the event stream reports pages and messages.
func TestEvents(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	resp, err := http.Get(c.http.URL + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(kind, part string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == "event: "+kind && lines.Scan() && strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("no event %s with %s", kind, part)
	}
	next("ping", "{}")
	// The feed reports only changes after its first read, so the page is made after that. The second round
	// begins once the first has read.
	testwait.Until(t, func() error {
		if rounds := c.metric(`smspager_loop_rounds_total{loop="events"}`); rounds == "0" || rounds == "1" {
			return fmt.Errorf("the feed has not read")
		}
		return nil
	})
	c.act("pages", `{"to":"oncall","text":"Backup failed","key":"backup"}`)
	next("page", `"state":"open"`)
	next("message", `"state":"`)
	c.act("pages", `{"to":"oncall","key":"backup","resolve":true}`)
	next("page", `"state":"resolved"`)
}

// TestEventsAfterReload: a reload ends the event streams, because it may change who a client is.
func TestEventsAfterReload(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	resp, err := http.Get(c.http.URL + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if code, text := c.do("POST", "/-/reload", "", "Authorization", "Bearer "+apiToken); code != 200 {
		t.Fatal(code, text)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
}

// TestRoutePrefix: everything but the public paths is below the prefix.
func TestRoutePrefix(t *testing.T) {
	c := start(t, textinghousetest.Options{}, acting)
	cfg, err := receiver.LoadConfig(c.file)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Storage.SQLite = t.TempDir() + "/other.db"
	r, err := receiver.New(cfg, receiver.Options{RoutePrefix: "/pager/", ExternalURL: "https://ops.example.com/pager/"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for path, want := range map[string]int{
		"/pager/-/healthy": 200, "/-/healthy": 404, "/pager/api/v1/pages": 200, "/api/v1/pages": 404, "/": 302, "/pager": 302, "/pagerx": 404,
		"/pager//-//healthy": 200, "/textinghouse/wrong/dlr": 404, "/pager/nope": 404, "/pager/": 200, "/pager/pages": 200, "/assets/x": 404,
	} {
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
		if to := w.Header().Get("Location"); w.Code == 302 && to != "/pager/" {
			t.Errorf("%s goes to %s", path, to)
		}
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/pager/", nil))
	_, style, _ := strings.Cut(w.Body.String(), `rel="stylesheet" href="`)
	style, _, _ = strings.Cut(style, `"`)
	asset := httptest.NewRecorder()
	if r.Handler().ServeHTTP(asset, httptest.NewRequest("GET", style, nil)); !strings.HasPrefix(style, "/pager/assets/") || asset.Code != 200 {
		t.Errorf("the style sheet of the console, %q, gives %d", style, asset.Code)
	}
	for path, want := range map[string]bool{"/pager/-/healthy": true, "/-/healthy": true, "/pagerx/-/healthy": false, "/pager/metrics": false, "/textinghouse/x/mo": true, "//textinghouse/x/mo": true, "/pager//-//ready": true, "//pager/metrics": false} {
		if got := r.NeedsNoLogin(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s needs no login: %v", path, got)
		}
	}
	for _, o := range []receiver.Options{
		{RoutePrefix: "pager"}, {RoutePrefix: "/a{b}"}, {RoutePrefix: "//"}, {RoutePrefix: "/a//b"}, {RoutePrefix: "/a/../b"}, {RoutePrefix: "/p/"}, {RoutePrefix: "/p/a"},
		{RoutePrefix: "/textinghouse"}, {ExternalURL: "ops.example.com"}, {ExternalURL: "https://ops.example.com//pager"}, {ExternalURL: "https://ops.example.com/pager?x=1"},
	} {
		if _, err := receiver.New(cfg, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
