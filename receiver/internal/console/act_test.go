package console_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
)

// one returns a world with one page at version 1.
func one(t *testing.T) *world {
	w := newWorld(t, "alertmanager: {urls: [\"http://127.0.0.1:1\"]}\n")
	w.open("6279", "oncall", 8*time.Minute, firing("KubePodCrashLooping", "critical", "Pod is crash looping", template.KV{"pod": "a"}, template.KV{"pod": "b"}), alice, bob)
	return w
}

// TestAct: each action reaches on-call in the reader's name, and the response shows its outcome.
func TestAct(t *testing.T) {
	for name, test := range map[string]struct {
		path string
		form url.Values
		code int
		want command.Act
		text string
	}{
		"acknowledge":          {"acknowledge", url.Values{"version": {"1"}}, 200, command.Act{Verb: command.Acknowledge, Version: 1}, "OK, 6279 is yours"},
		"acknowledge from now": {"acknowledge", url.Values{"version": {"1"}, "from": {"now"}}, 200, command.Act{Verb: command.Acknowledge, Version: 1}, "OK, 6279 is yours"},
		"silence":              {"silence", url.Values{"version": {"1"}, "for": {"4h"}}, 200, command.Act{Verb: command.Silence, Version: 1, Length: 4 * time.Hour}, "is being set in Alertmanager"},
		"silence until":        {"silence", url.Values{"version": {"1"}, "for": {"until 09:00"}}, 200, command.Act{Verb: command.Silence, Version: 1, Until: "0900"}, "is being set in Alertmanager"},
		"refused":              {"escalate", url.Values{"version": {"1"}}, 409, command.Act{Verb: command.Next, Version: 1}, "There is nobody else to page"},
		"undo":                 {"undo", url.Values{"version": {"1"}}, 200, command.Act{Verb: command.Undo, Version: 1}, "is open again"},
		"note":                 {"note", url.Values{"version": {"1"}, "text": {" it is the disk "}}, 200, command.Act{Verb: command.Note, Version: 1, Text: "it is the disk"}, "the note is added"},
		"old version":          {"acknowledge", url.Values{"version": {"7"}}, 409, command.Act{Verb: command.Acknowledge, Version: 7}, "the page has changed since you saw it"},
		"no version":           {"acknowledge", url.Values{}, 400, command.Act{}, "no version"},
		"forged version":       {"acknowledge", url.Values{"version": {"1 OR 1"}}, 400, command.Act{}, "no version"},
		"negative version":     {"acknowledge", url.Values{"version": {"-1"}}, 400, command.Act{}, "no version"},
		"silence for ever":     {"silence", url.Values{"version": {"1"}, "for": {"0s"}}, 400, command.Act{}, "has no end"},
		"silence until never":  {"silence", url.Values{"version": {"1"}, "for": {"until 25:00"}}, 400, command.Act{}, "has no end"},
		"no length":            {"silence", url.Values{"version": {"1"}}, 400, command.Act{}, "has no end"},
		"empty note":           {"note", url.Values{"version": {"1"}, "text": {"  "}}, 400, command.Act{}, "note is empty"},
		"long note":            {"note", url.Values{"version": {"1"}, "text": {strings.Repeat("x", 2001)}}, 400, command.Act{}, "too long"},
		"huge form":            {"note", url.Values{"version": {"1"}, "text": {strings.Repeat("x", 70_000)}}, 400, command.Act{}, "cannot be read"},
		"unknown action":       {"explode", url.Values{"version": {"1"}}, 404, command.Act{}, "nothing at this address"},
	} {
		t.Run(name, func(t *testing.T) {
			w := one(t)
			rec := w.do("POST", "/pages/6279/"+test.path, test.form)
			if rec.Code != test.code || !strings.Contains(rec.Body.String(), test.text) {
				t.Errorf("the response is %d, want %d and %q:\n%s", rec.Code, test.code, test.text, rec.Body)
			}
			test.want.Page, test.want.By, test.want.Via = "6279", "bob", "in the console"
			if (test.want.Verb != "") != (len(w.acts) == 1) || len(w.acts) == 1 && w.acts[0] != test.want {
				t.Errorf("on-call was asked for %+v, want %+v", w.acts, test.want)
			}
		})
	}
}

// TestWhoMayAct: only callers who may act see the buttons; the buttons' paths refuse everybody else.
func TestWhoMayAct(t *testing.T) {
	for name, test := range map[string]struct {
		caller access.Caller
		code   int
	}{
		"nobody can log in":           {open, http.StatusUnauthorized},
		"nobody has logged in":        {nobody, http.StatusUnauthorized},
		"viewer":                      {viewer, http.StatusForbidden},
		"responder without a contact": {access.Caller{Login: "ci", Role: config.Responder}, http.StatusBadRequest},
		"responder":                   {responder, http.StatusOK},
		"admin":                       {admin, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			w := one(t)
			w.open("6280", "oncall", time.Minute, firing("Other", "critical", "It is bad", template.KV{"pod": "a"}), alice, bob)
			w.caller = test.caller
			for _, path := range []string{"/", "/pages/6279", "/pages"} {
				text := w.get(path).Body.String()
				if has := strings.Contains(text, `method="post"`); has != (test.code == http.StatusOK && path != "/pages") {
					t.Errorf("%s has a form that acts: %t", path, has)
				}
			}
			for _, path := range []string{"/pages/6279/acknowledge", "/pages/6279/note", "/pages/acknowledge"} {
				form := url.Values{"version": {"1"}, "text": {"x"}, "page": {"6280:1:0"}}
				if path == "/pages/6279/note" && test.code == http.StatusOK {
					form.Set("version", "2") // after the acknowledgement
				}
				if rec := w.do("POST", path, form); rec.Code != test.code {
					t.Errorf("POST %s responds %d, want %d:\n%s", path, rec.Code, test.code, rec.Body)
				}
			}
			if test.code != http.StatusOK && len(w.acts) > 0 {
				t.Errorf("on-call was asked for %+v", w.acts)
			}
		})
	}
}

// TestGetDoesNotAct: a GET does not act, because scanners and prefetching browsers follow links.
func TestGetDoesNotAct(t *testing.T) {
	w := one(t)
	for _, method := range []string{"GET", "HEAD"} {
		for _, verb := range []string{"acknowledge", "silence", "escalate", "undo", "note"} {
			rec := w.do(method, "/pages/6279/"+verb+"?version=1&for=1h&text=x", nil)
			if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/pages/6279" {
				t.Errorf("%s of %s responds %d to %q", method, verb, rec.Code, rec.Header().Get("Location"))
			}
		}
	}
	if to := w.get("/pages/acknowledge").Header().Get("Location"); to != "/" {
		t.Errorf("a GET of all of mine leads to %q", to)
	}
	if len(w.acts) > 0 {
		t.Errorf("on-call was asked for %+v", w.acts)
	}
	// Without JavaScript, a browser then loads Now, and does not post again.
	if text := w.do("POST", "/pages/6279/acknowledge", url.Values{"version": {"1"}, "from": {"now"}}).Body.String(); !strings.Contains(text, `content="30;url=/"`) {
		t.Errorf("the page that shows the result is not replaced by Now:\n%s", text)
	}
}

// TestConflict: an action on an outdated page shows what has changed and who holds the page, and keeps what was typed.
func TestConflict(t *testing.T) {
	w := one(t)
	p := w.load("6279")
	seen := p.UpdatedAt.UnixMilli()
	p.Acknowledge(alice, time.Now(), "by reply")
	w.put(p)
	form := url.Values{"version": {"1"}, "seen": {itoa(seen)}, "text": {"I look at it"}}
	rec := w.do("POST", "/pages/6279/note", form)
	text := rec.Body.String()
	for _, want := range []string{"the page has changed since you saw it", "alice acknowledged it</li>", "alice has it.", ">I look at it</textarea>", `name="version" value="2"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %d:\n%s", want, rec.Code, text)
		}
	}
	if strings.Contains(text, "paged</li>") {
		t.Error("an event from before the form is listed as changed")
	}
	form.Set("seen", "9223372036854775807")
	if rec := w.do("POST", "/pages/6279/note", form); rec.Code != http.StatusConflict {
		t.Errorf("a form that has seen a future event gets %d", rec.Code)
	}
}

// TestAcknowledgeMine: all pages that paged the reader are acknowledged, except one that has changed, which is named.
func TestAcknowledgeMine(t *testing.T) {
	w := one(t)
	w.open("6280", "oncall", time.Minute, firing("Other", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	w.open("6281", "oncall", time.Minute, firing("Third", "critical", "It is bad", template.KV{"pod": "a"}), alice)
	text := w.get("/").Body.String()
	if !strings.Contains(text, "Acknowledge all 2 of mine") || !strings.Contains(text, "6279 and 6280: those that paged you") {
		t.Fatalf("the button for all of mine is missing:\n%s", text)
	}
	rec := w.do("POST", "/pages/acknowledge", url.Values{"page": {"6279:1:0", "6280:9:0", "nope:1:0"}})
	text = rec.Body.String()
	for _, want := range []string{"6280 is not acknowledged, because it has changed", "nope is not acknowledged", "<b>bob</b>"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if p := w.load("6279"); rec.Code != http.StatusConflict || p.AcknowledgedBy != "bob" {
		t.Errorf("the response is %d, 6279 is held by %q", rec.Code, p.AcknowledgedBy)
	}
	if rec := w.do("POST", "/pages/acknowledge", url.Values{"page": {"6279"}}); rec.Code != http.StatusBadRequest {
		t.Errorf("a forged field gives %d", rec.Code)
	}
}

// TestMarkup: what alerts and people write is shown as text, and only web addresses become links.
func TestMarkup(t *testing.T) {
	w := newWorld(t, "")
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>"'` + "\u202e\u2066backwards"
	n := firing(evil, "critical", evil, template.KV{"pod": evil}, template.KV{"pod": "javascript:alert(3)"})
	for i, address := range []string{"javascript:alert(1)", "data:text/html,x"} {
		for name := range map[string]bool{"runbook_url": true, "dashboard": true, "more": true} {
			n.Alerts[i].Annotations[name] = address
		}
		n.Alerts[i].GeneratorURL = "JavaScript://x/%0aalert(1)"
	}
	w.open("6279", "oncall", time.Minute, n, bob)
	p := w.load("6279")
	p.Note(time.Now(), "note", evil, evil)
	w.put(p)
	for _, path := range []string{"/", "/pages", "/pages/6279", "/pages/%3Cscript%3E"} {
		text := w.get(path).Body.String()
		for _, bad := range []string{"<script>alert", "<img", "ZgotmplZ", ">Runbook<", ">Dashboard<", ">Source in", `="javascript:`, `="data:`, `="JavaScript:`, "\u202e", "\u2066"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s:\n%s", path, bad, text)
			}
		}
		if path != "/pages/%3Cscript%3E" && !strings.Contains(strings.ReplaceAll(text, "<wbr>", ""), "&lt;script&gt;alert(1)") {
			t.Errorf("%s does not show what the alert says", path)
		}
	}
}

// TestStoredAgain: an action is performed although its page has been stored again, such as after a request
// to Alertmanager. Otherwise the reader would have to press the button twice.
func TestStoredAgain(t *testing.T) {
	w := one(t)
	seen := itoa(w.load("6279").UpdatedAt.UnixMilli())
	w.put(w.load("6279"))
	w.put(w.load("6279"))
	if rec := w.do("POST", "/pages/6279/acknowledge", url.Values{"version": {"1"}, "seen": {seen}}); rec.Code != http.StatusOK {
		t.Errorf("the response is %d:\n%s", rec.Code, rec.Body)
	}
	if p := w.load("6279"); p.AcknowledgedBy != "bob" {
		t.Errorf("the page is held by %q", p.AcknowledgedBy)
	}
}

// TestNumbersInTexts: only admins see whole numbers in what alerts and people write.
func TestNumbersInTexts(t *testing.T) {
	w := newWorld(t, "")
	n := firing("Down +33639980077", "critical", "call +33639980077", template.KV{"pod": "a", "sms_to": "+33639980077"}, template.KV{"pod": "+33639980077"})
	for _, a := range n.Alerts {
		a.Annotations["runbook_url"] = "" // addresses of links are not shortened
	}
	w.open("6279", "oncall", time.Minute, n, bob)
	p := w.load("6279")
	p.Note(time.Now(), "note", "bob", "I called +33639980077")
	w.put(p)
	w.text(p, bob, time.Now(), "call +33639980077", time.Second)
	// each of these pages has one text with a number
	one := func(code, severity string, own template.KV) *page.Page {
		return w.open(code, "oncall", time.Minute, firing("Down", severity, "It is down", own), bob)
	}
	for code, by := range map[string]string{"1001": "silenced by +33639980077 until 04:30 UTC", "1002": "muted by +33639980077"} {
		p := one(code, "critical", template.KV{"pod": "a"})
		p.Suppress([]string{"Down0"}, by, time.Now().Add(time.Hour), time.Now().Add(-time.Minute))
		p.Events = nil // the history is shortened elsewhere
		w.put(p)
	}
	one("1003", "critical", template.KV{"pod": "a", "of +33639980077": "x"})
	one("1004", "+33639980077", template.KV{"pod": "a"})
	ended := one("1005", "+33639980077", template.KV{"pod": "a"})
	ended.End(time.Now(), "all alerts are resolved")
	w.put(ended)
	w.cfg.Contacts[0].Aliases = []string{"+33639980077"}
	for _, path := range []string{"/", "/pages", "/pages/6279", "/pages/1001", "/pages/1002", "/pages/1003", "/pages/1004", "/contacts"} {
		for caller, whole := range map[*access.Caller]bool{&open: false, &viewer: false, &responder: false, &admin: true} {
			w.caller = *caller
			if text := html.UnescapeString(w.get(path).Body.String()); strings.Contains(text, "+33639980077") != whole {
				t.Errorf("%s as %s shows whole numbers: %t", path, caller.Role, !whole)
			}
		}
	}
}

// TestNumbersInResults: the outcome of an action shows no whole number to a responder.
func TestNumbersInResults(t *testing.T) {
	w := newWorld(t, "")
	n := firing("Down +33639980077", "critical", "It is down", template.KV{"pod": "a"})
	n.Alerts[0].Annotations["runbook_url"] = "" // addresses of links are not shortened
	w.open("6279", "oncall", time.Minute, n, bob)
	p := w.load("6279")
	p.Note(time.Now(), "note", "+33639980077", "I called")
	w.put(p)
	for i, want := range []string{"the page has changed since you saw it", "6279 is yours"} {
		text := html.UnescapeString(w.do("POST", "/pages/6279/acknowledge", url.Values{"version": {itoa(int64(i + 1))}, "seen": {"1"}}).Body.String())
		if !strings.Contains(text, want) || strings.Contains(text, "+33639980077") {
			t.Errorf("the response to version %d has a whole number, or lacks %q:\n%s", i+1, want, text)
		}
	}
}

// TestNumbersOfRecipients: everybody except admins sees shortened numbers of recipients without a contact.
func TestNumbersOfRecipients(t *testing.T) {
	text := strings.NewReplacer(`{after: 5m, to: [bob]}`, `{after: 5m, to: ["+33639980088"]}`, `turns: {start: "2026-11-02 09:00", days: 7, people: [bob, alice]}`, `calendar: nowhere.ics, default: ["+33639980099"]`).Replace(configuration)
	w := newWorldOf(t, text)
	w.open("6279", "oncall", time.Minute, firing("Down", "critical", "It is down", template.KV{"pod": "a"}), bob)
	for caller, whole := range map[*access.Caller]bool{&open: false, &responder: false, &admin: true} {
		w.caller = *caller
		all := html.UnescapeString(w.get("/").Body.String() + w.get("/pages/6279").Body.String())
		for n, shown := range map[string]string{"+33639980088": "+3363•••88", "+33639980099": "+3363•••99"} {
			if strings.Contains(all, n) != whole || strings.Contains(all, shown) == whole {
				t.Errorf("%s sees the whole of %s: %t", caller.Role, n, !whole)
			}
		}
	}
}

// TestOfferedSilences: only silences that the configuration allows are offered.
func TestOfferedSilences(t *testing.T) {
	for longest, want := range map[string]int{"24h": 3, "1h": 1, "30m": 0} {
		w := newWorld(t, "alertmanager: {urls: [\"http://127.0.0.1:1\"], max_silence: "+longest+"}\n")
		w.night()
		if n := strings.Count(w.get("/pages/6279").Body.String(), `name="for"`); n != want && n != want+1 { // shortly before nine, "until 09:00" may be allowed too
			t.Errorf("max_silence %s: %d silences are offered", longest, n)
		}
	}
}

// TestResultWithoutCard: the result of an action is shown even if its page is not.
func TestResultWithoutCard(t *testing.T) {
	w := newWorld(t, "")
	thousand(w)
	rec := w.do("POST", "/pages/10998/acknowledge", url.Values{"version": {"1"}, "from": {"now"}})
	if text := rec.Body.String(); !strings.Contains(text, "OK, 10998 is yours") {
		t.Errorf("the response is %d:\n%s", rec.Code, text)
	}
}
