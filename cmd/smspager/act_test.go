package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestActs: the command line can do what a reply from a phone can do, in the contact's name.
func TestActs(t *testing.T) {
	p, sim, _ := onCallProcess(t, `
api: {token: 0123456789abcdef-api}
contacts:
  - {name: alice, number: "+33612345678"}
  - {name: bob, number: "+33612345679"}
receivers:
  - {name: sms, to: [alice], limits: [], escalate: [{after: 10m, to: [bob]}]}
`)
	login := filepath.Join(t.TempDir(), "http.yml")
	writeFile(t, login, "authorization: {credentials: 0123456789abcdef-api}\n")
	cli := func(want int, part string, args ...string) {
		t.Helper()
		code, out, stderr := smspager(t, "", append(args, "--url="+p.url, "--http.config.file="+login)...)
		if code != want || !strings.Contains(out+stderr, part) {
			t.Fatalf("%v exits with %d: %s%s, want %d with %s", args, code, out, stderr, want, part)
		}
	}
	alice, bob := sim.Phone("+33612345678"), sim.Phone("+33612345679")
	cli(0, "is open: CRITICAL Backup failed", "page-now", "sms", "Backup", "failed", "--key=backup", "--by=bob")
	text := next(t, alice, "CRITICAL Backup failed").Text
	code := text[len(text)-4:]
	cli(0, "nothing was sent", "page-now", "sms", "Backup failed", "--key=backup", "--by=bob")
	cli(0, "OK, the note is added", "note", code, "the", "disk is on order", "--by=alice")
	cli(0, "OK, the note is added", "note", code, "two\nlines \u202eand \x1b[31mred", "--by=alice")
	cli(0, "two lines and  [31mred\n", "page", code)
	cli(0, "OK, bob is paged", "escalate", code, "--by=alice")
	next(t, bob, "Backup failed")
	cli(0, "is yours", "ack", code, "--by=bob")
	next(t, alice, "bob has "+code)
	cli(1, "bob has "+code, "ack", code, "--by=alice")
	cli(1, "NOT silenced", "silence", code, "2h", "--by=bob")
	cli(1, "NOT silenced", "silence", code, "until", "9", "--by=bob")
	cli(1, "until what time", "silence", code, "until", "later", "--by=bob")
	cli(0, "Undone", "undo", code, "--by=bob")
	next(t, alice, "bob undid the acknowledgement of "+code+". It is open again")
	cli(1, "name the contact", "ack", code)
	cli(1, "no contact is named", "ack", code, "--by=carol")
	cli(1, "no page has this id or code", "ack", "0000", "--by=alice")
	cli(0, `"confirmation":"OK, `+code+` is yours`, "ack", code, "--by=alice", "--output=json")
	cli(0, "is resolved", "page-now", "sms", "--key=backup", "--resolve")
	cli(1, "no receiver or contact", "page-now", "nobody", "x")
	cli(0, "page ", "page-now", "bob", "please call")
}

// TestLogins: with basic auth, a request acts as the contact of its login. Health checks and tokens need
// no password; everything else does.
func TestLogins(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	web := filepath.Join(dir, "web.yml")
	writeFile(t, web, "basic_auth_users: {al: "+string(hash)+", tv: "+string(hash)+"}\n")
	_, sim, _ := onCallProcess(t, onCallTeam)
	tail := onCallTeam + `
api: {token: 0123456789abcdef-api}
webhook: {token: 0123456789abcdef-hook}
console: {users: [{login: al, contact: alice, role: responder}]}
`
	file := configFile(t, sim, tail)
	p := serveProcess(t, file, "--web.config.file="+web)
	request := func(method, path, body string, auth func(*http.Request)) int {
		t.Helper()
		req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if auth != nil {
			auth(req)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if h := resp.Header; h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s %s: %d without the headers for browsers: %v", method, path, resp.StatusCode, h)
		}
		return resp.StatusCode
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	const call = `{"to":"bob","text":"x"}`
	for _, c := range []struct {
		method, path, body string
		auth               func(*http.Request)
		want               int
	}{
		{"GET", "/-/healthy", "", nil, 200}, {"GET", "/-/ready", "", nil, 200},
		{"GET", "/metrics", "", nil, 401}, {"GET", "/api/v1/pages", "", nil, 401}, {"GET", "/", "", nil, 401},
		{"GET", "/metrics", "", basic("tv", "secret"), 200}, {"GET", "/metrics", "", basic("tv", "wrong"), 401},
		{"GET", "/metrics", "", bearer("0123456789abcdef-api"), 200}, {"GET", "/metrics", "", bearer("0123456789abcdef-hook"), 401},
		{"POST", "/alertmanager/sms", notification(1), bearer("0123456789abcdef-hook"), 200},
		{"POST", "/alertmanager/sms", notification(2), bearer("wrong"), 401},
		{"POST", "//alertmanager//sms", notification(2), bearer("0123456789abcdef-hook"), 200},
		{"POST", "//textinghouse//" + callbackToken + "//dlr", `{}`, nil, 400}, {"GET", "//-//healthy", "", nil, 200}, {"GET", "//metrics", "", nil, 401},
		{"GET", "/p%2f../metrics", "", nil, 404}, {"GET", "/p//..//metrics", "", nil, 307},
		{"POST", "/textinghouse/" + callbackToken + "/dlr", `{}`, nil, 400}, {"POST", "/textinghouse/wrong/dlr", `{}`, nil, 404},
		{"POST", "/api/v1/pages", call, basic("tv", "secret"), 403}, {"POST", "/api/v1/pages", call, basic("al", "secret"), 200},
		{"POST", "/-/reload", "", basic("al", "secret"), 403}, {"POST", "/-/reload", "", bearer("0123456789abcdef-api"), 200},
		{"POST", "/api/v1/contacts/bob/verify", "", basic("al", "secret"), 403},
		{"GET", "/-/healthy", "", basic("tv", "wrong"), 200},
	} {
		if code := request(c.method, c.path, c.body, c.auth); code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, code, c.want)
		}
	}
	if code, out, stderr := smspager(t, "", "health", "--url="+p.url+"/-/ready"); code != 0 {
		t.Errorf("health: %s%s", out, stderr)
	}
	login := filepath.Join(dir, "http.yml")
	writeFile(t, login, "basic_auth: {username: al, password: secret}\n")
	if code, out, stderr := smspager(t, "", "page-now", "bob", "call me", "--url="+p.url, "--http.config.file="+login); code != 0 {
		t.Errorf("page-now: %s%s", out, stderr)
	}
	// A user who is removed from the file can no longer log in, even if the file has no other users.
	writeFile(t, web, "basic_auth_users: {}\n")
	if code := request("POST", "/api/v1/pages", call, basic("al", "secret")); code != 401 {
		t.Errorf("a user who was taken out: %d", code)
	}
}

// TestWhoWithURL: who can ask a running smspager.
func TestWhoWithURL(t *testing.T) {
	p, _, _ := onCallProcess(t, `
contacts: [{name: alice, number: "+33612345678"}]
rotas: [{name: primary, timezone: Europe/Paris, turns: {start: 2026-11-02 09:00, days: 7, people: [alice]}}]
receivers: [{name: sms, to: ["rota:primary"]}]
`)
	if code, out, stderr := smspager(t, "", "who", "--url="+p.url); code != 0 || !strings.HasPrefix(out, "primary: alice, until ") {
		t.Errorf("exits with %d: %s%s", code, out, stderr)
	}
	if code, _, stderr := smspager(t, "", "who", "--url=http://user:hunter2@127.0.0.1:1"); code != 1 || strings.Contains(stderr, "hunter2") {
		t.Errorf("exits with %d: %s", code, stderr)
	}
}
