package console_test

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// TestNow: the page shows the open pages, the most severe first, and who is on duty.
func TestNow(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	rec := w.get("/")
	text := rec.Body.String()
	if rec.Code != http.StatusOK {
		t.Fatalf("GET / responds %d:\n%s", rec.Code, text)
	}
	at := 0
	for _, want := range []string{
		`<meta name="referrer" content="same-origin">`, "<title>2 pages are not acknowledged", "Probe late:", "Not verified:", "2 others are", "6279", "Kube<wbr>Pod<wbr>Crash<wbr>Looping", "alice and bob were paged", "carol</b> <time", "Acknowledge", "6281",
		"5512", `is-ok">carol`, "4407", "Silenced", "by alice until", "Acknowledge all 2 of mine", "primary", "prometheus-eu", "alive", "4391", "alice acknowledged it after", "All pages", "Times are Europe/Paris",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing, or not in its place, after:\n%s", want, text[max(0, at-500):at])
		}
		at += i
	}
}

// TestPage: a page shows its alerts, people, silences and timeline.
func TestPage(t *testing.T) {
	w := newWorld(t, "alertmanager: {urls: [\"http://127.0.0.1:1\"]}\n")
	w.night()
	text := html.UnescapeString(w.get("/pages/6279").Body.String())
	at := 0
	for _, want := range []string{
		"<title>6279 KubePodCrashLooping", "CRITICAL", "Nobody has acknowledged it.", "carol is paged <time", "Acknowledge as bob", "alice gets a text that you are the holder.", "carol is not paged.",
		"Silence 2\u00a0alerts", "matched by all of their labels", "checkout-api-6c9f7d5b8d-x2lqp", "until 09:00", "Pages carol immediately instead of", "Nothing to undo", "Add note",
		"alice", "+3363•••01", "delivered", "after 4\u00a0s", "delivered late", "after 2\u00a0min\u00a041\u00a0s", "carol", "next", "Phone not verified.", "Alertmanager does not respond",
		"3\u00a0alerts", "cluster=prod-eu-1", "firing", "silenced by carol until ", "https://wiki.example/runbooks/KubePodCrashLooping", "Runbook", "Dashboard", "Source in Prometheus",
		"Timeline", "Page opened", "alice paged", "CRITICAL KubePodCrashLooping prod-eu-1", "Delivered to alice", "step 1 of 2: bob", "bob paged", "Late:", "delivered to bob", "carol paged, unless somebody acknowledges",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing, or not in its place, after:\n%s", want, text[max(0, at-500):at])
		}
		at += i
	}
	w.caller = admin
	if text := html.UnescapeString(w.get("/pages/6279").Body.String()); !strings.Contains(text, string(alice.Number)) {
		t.Error("an admin does not see the whole number")
	}
	for _, path := range []string{"/", "/pages", "/pages/6279", "/messages", "/messages/" + w.messages[0].ID, "/contacts", "/duty", "/health", "/templates?sample=latest"} {
		w.caller = responder
		if text := html.UnescapeString(w.get(path).Body.String()); strings.Contains(text, "+336399800") {
			t.Errorf("%s shows a whole number", path)
		}
	}
}

// TestDays: a timeline of several days names the days.
func TestDays(t *testing.T) {
	w := newWorld(t, "")
	w.open("6279", "oncall", 50*time.Hour, firing("Down", "critical", strings.Repeat("long ", 100), template.KV{"pod": "a"}), bob)
	p := w.load("6279")
	p.Note(time.Now(), outbox.PageEventNote, "bob", "still")
	w.put(p)
	text := w.get("/pages/6279").Body.String()
	first := strings.ReplaceAll(time.Now().Add(-50*time.Hour).In(paris).Format("Mon 2 Jan"), " ", "\u00a0")
	today := strings.ReplaceAll(time.Now().In(paris).Format("Mon 2 Jan"), " ", "\u00a0")
	line := text[strings.Index(text, `class="line"`):]
	if strings.Count(line, "<small>"+first) != 1 || !strings.Contains(line, "<small>"+today) || strings.Index(line, first) > strings.Index(line, "Page opened") {
		t.Errorf("the days %s and %s are not where they begin in\n%s", first, today, line)
	}
	if now := w.get("/").Body.String(); strings.Contains(now, strings.Repeat("long ", 50)) || !strings.Contains(now, "…") {
		t.Error("a card shows the whole of a long summary")
	}
}

// TestSilences: silences of the page's alerts are shown, with who set them, until when and why.
func TestSilences(t *testing.T) {
	ends := time.Now().Add(43 * time.Minute).UTC().Format(time.RFC3339)
	am := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v2/alerts":
			fmt.Fprint(rw, `[{"fingerprint":"KubePodCrashLooping1","status":{"silencedBy":["s1"]}},{"fingerprint":"other","status":{"silencedBy":["s1","s2"]}},{"fingerprint":"KubePodCrashLooping0","status":{}}]`)
		case "/api/v2/silence/s1":
			fmt.Fprintf(rw, `{"id":"s1","createdBy":"carol","comment":"9kd4w <is> my test","endsAt":%q}`, ends)
		case "/api/v2/silence/s2":
			fmt.Fprintf(rw, `{"id":"s2","createdBy":"dave","comment":"of another page","endsAt":%q}`, ends)
		}
	}))
	t.Cleanup(am.Close)
	w := newWorld(t, "alertmanager: {urls: ["+am.URL+"]}\n")
	w.night()
	text := w.get("/pages/6279").Body.String()
	for _, want := range []string{"<b>carol</b>, 1\u00a0alert", "42&nbsp;min&nbsp;left", "9kd4w &lt;is&gt; my test"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if strings.Contains(text, "dave") {
		t.Error("a silence of other alerts is shown")
	}
}

// TestPages: the list has filters, and continues with older pages.
func TestPages(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	for i := range 60 {
		w.open(fmt.Sprint(7000+i), "storage", 20*time.Hour+time.Duration(i)*time.Minute, firing("Old", "info", "It is old", template.KV{"pod": "x"}), bob)
	}
	for path, want := range map[string][]string{
		"/pages":                                   {">6279<", ">4391<", "Older pages"},
		"/pages?state=current&receiver=oncall":     {">6279<", "!>6281<", "!>4391<", "!Older pages"},
		"/pages?state=resolved":                    {"!>6279<", ">4391<", "acknowledged it after"},
		"/pages?receiver=storage&state=silenced":   {">4407<", "!>6281<"},
		"/pages?receiver=gone":                     {"No page matches"},
		"/pages?state=nope":                        {"There is no such state"},
		"/pages?before=" + w.load("7000").ID + "0": {">7000<", "!>6279<", "Newest"},
	} {
		text := w.get(path).Body.String()
		for _, s := range want {
			s, unwanted := strings.CutPrefix(s, "!")
			if strings.Contains(text, s) == unwanted {
				t.Errorf("%s: %q is there: %t", path, s, unwanted)
			}
		}
	}
}

// TestEmpty: an empty page says what it will show, and how to get it.
func TestEmpty(t *testing.T) {
	w := newWorldOf(t, `
textinghouse: {user: acme, password: secret}
receivers: [{name: sms, to: ["+33639980001"]}]
`)
	w.caller = open
	for path, want := range map[string][]string{
		"/":            {"No open pages", "amtool alert add", "Nobody can log in", "--web.config.file", "No rotas. Receiver sms always pages +3363•••01.", "heartbeats", "The way out", "Account", "accepted", "set probe.interval", "None yet"},
		"/pages":       {"No page was opened yet"},
		"/messages":    {"No message was sent yet", "smspager send --to=999"},
		"/duty":        {"No rotas", "turns: {start:"},
		"/templates":   {"NodeFilesystemAlmostOutOfSpace"},
		"/contacts":    {"No contacts", "contacts:"},
		"/health":      {"No message yet", "None in the last 30\u00a0days.", "Not read yet.", "Nobody was sent a text"},
		"/pages/1234":  {"No page has the code 1234"},
		"/no/such/way": {"There is nothing at this address"},
	} {
		rec := w.get(path)
		for _, s := range want {
			if !strings.Contains(html.UnescapeString(rec.Body.String()), s) {
				t.Errorf("%s (%d): %q is missing:\n%s", path, rec.Code, s, rec.Body)
			}
		}
	}
}

// TestBanner: problems are at the top, and what is broken is marked.
func TestBanner(t *testing.T) {
	w := newWorldOf(t, strings.Replace(configuration, `turns: {start: "2026-11-02 09:00", days: 7, people: [bob, alice]}`, "calendar: nowhere.ics", 1))
	at := time.Now()
	w.contacts[0].Stopped, w.contacts[2].Verified = at, time.Time{}
	w.beats = []status.Heartbeat{{Name: "prometheus-eu", State: "dead", LastAt: status.OrNil(at), DeadAt: status.OrNil(at)}}
	w.status = status.Status{
		Account: status.Account{Refused: "wrong password"}, Spool: status.Spool{Trouble: "disk full", Backlog: 3, Since: status.OrNil(at)}, Endpoints: []status.Endpoint{{Host: "a"}},
		Probe: status.Probe{Late: true, Interval: "5m"}, Calendars: []status.Calendar{{Rota: "second", Error: "404"}}, Configuration: status.Configuration{Error: "line 3"},
	}
	text := w.get("/").Body.String()
	for _, want := range []string{
		`banner bad"`, "Account refused:</span> wrong password", "The outbox cannot be written:</span> disk full", "3 wait since", "The provider does not respond:", "Heartbeat missing:</span> prometheus-eu",
		"Probe late:", "Calendar of second:</span> it was never read", "Configuration refused:</span> the old one stays in force: line 3", "Wants no texts:</span> alice", "Not verified:</span> carol",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	w.status, w.beats = status.Status{}, nil
	w.contacts[0].Stopped, w.contacts[2].Verified = time.Time{}, at
	if text := w.get("/pages/none").Body.String(); strings.Contains(text, "banner bad\">\n<li>") {
		t.Error("a banner is shown although all is well")
	}
}

// TestUnreadable: if the outbox cannot be read, an error page says so.
func TestUnreadable(t *testing.T) {
	w := newWorld(t, "")
	w.err = errors.New("disk on fire")
	for _, path := range []string{"/", "/pages", "/pages/6279", "/messages", "/contacts", "/health"} {
		if rec := w.get(path); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "The outbox cannot be read.") || strings.Contains(rec.Body.String(), "fire") {
			t.Errorf("%s responds %d:\n%s", path, rec.Code, rec.Body)
		}
	}
}

// TestFirstView: a browser loads at most 25 KB for the first page, compressed, of which the style sheet
// is at most 8 KB. The assets may be cached for ever.
func TestFirstView(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	load := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK || rec.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s responds %d, %v", path, rec.Code, rec.Header())
		}
		return rec
	}
	total := load("/").Body.Len()
	t.Logf("the page: %d bytes", total)
	files := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(w.get("/").Body.String(), -1)
	if len(files) != 5 {
		t.Fatalf("the page loads %v", files)
	}
	for _, file := range files {
		rec := load(file[1])
		t.Logf("%s: %d bytes", file[1], rec.Body.Len())
		total += rec.Body.Len()
		if !strings.Contains(rec.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s is cached as %q", file[1], rec.Header().Get("Cache-Control"))
		}
		if plain := w.get(file[1]).Body.Len(); strings.HasSuffix(file[1], ".css") && plain > 8<<10 {
			t.Errorf("the style sheet has %d bytes", plain)
		}
	}
	if total > 25_000 {
		t.Errorf("the first view has %d bytes, want at most 25,000", total)
	}
	if rec := w.get("/assets/style.css"); rec.Code != http.StatusNotFound {
		t.Errorf("an asset without its hash gives %d", rec.Code)
	}
}

// TestBase: below a prefix, every address begins with it.
func TestBase(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	w.base("/smspager")
	for _, path := range []string{"/", "/pages", "/pages/6279", "/messages", "/messages?state=delivered", "/messages/" + w.messages[0].ID, "/duty", "/templates", "/contacts", "/health", "/nowhere"} {
		for _, address := range regexp.MustCompile(`(?:src|href|action|hx-[a-z:]+)="(/[^"]*)"`).FindAllStringSubmatch(w.get(path).Body.String(), -1) {
			if !strings.HasPrefix(address[1], "/smspager/") {
				t.Errorf("%s has %s", path, address[0])
			}
		}
	}
	if to := w.get("/pages/6279/note").Header().Get("Location"); to != "/smspager/pages/6279" {
		t.Errorf("a GET of an action leads to %s", to)
	}
}

// thousand fills a world with 1,000 open pages.
func thousand(w *world) {
	for i := range 1000 {
		severity := []string{"critical", "warning", "info"}[i%3]
		w.open(fmt.Sprint(10000+i), "oncall", time.Duration(i)*time.Second, firing(fmt.Sprintf("Alert%d", i), severity, "It is bad", template.KV{"pod": "a"}, template.KV{"pod": "b"}), alice, bob)
	}
	w.messages = nil
}

// TestThousand: all of 1,000 open pages are shown, the most severe first.
func TestThousand(t *testing.T) {
	w := newWorld(t, "")
	thousand(w)
	text := w.get("/").Body.String()
	for i := range 1000 {
		if !strings.Contains(text, fmt.Sprintf("/pages/%d\"", 10000+i)) {
			t.Fatalf("page %d is missing", 10000+i)
		}
	}
	if !strings.Contains(text, "1000 pages are not acknowledged") || strings.LastIndex(text, "CRITICAL") > strings.Index(text, "WARNING") {
		t.Error("the pages are not in order")
	}
}

// BenchmarkThousand reads 1,000 open pages and renders them; the target is 50 ms.
func BenchmarkThousand(b *testing.B) {
	w := newWorld(b, "")
	thousand(w)
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	for _, p := range w.pages {
		p.Version = 0
		if _, err := store.Add(b.Context(), outbox.Entry{Page: &p}); err != nil {
			b.Fatal(err)
		}
	}
	w.store = store
	w.base("")
	for b.Loop() {
		if rec := w.get("/"); !strings.Contains(rec.Body.String(), "1000 pages are not acknowledged") {
			b.Fatal(rec.Body)
		}
	}
}
