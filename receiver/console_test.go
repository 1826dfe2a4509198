package receiver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/smspager/smspager/internal/browsertest"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// loggedIn is the tail of a configuration with a console behind a proxy that logs people in.
const loggedIn = `
console:
  login_header: X-User
  trusted_proxies: [127.0.0.1/32]
  users:
    - {login: al, contact: alice, role: responder}
    - {login: bo, contact: bob, role: responder}
    - {login: eve, role: viewer}
contacts:
  - {name: alice, number: "` + alice + `"}
  - {name: bob, number: "` + bob + `"}
  - {name: carol, number: "+33639980003"}
receivers:
  - {name: oncall, to: [alice, bob], escalate: [{after: 10m, to: [carol]}], limits: []}
`

// proxy returns the URL of a proxy that has logged the user in.
func (c *chain) proxy(login string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-User", login)
		c.r.Handler().ServeHTTP(w, r)
	}))
	c.t.Cleanup(s.CloseClientConnections)
	return s.URL
}

// TestAcknowledgeInBrowser: a click stops the escalation, texts the others, and updates their browsers.
func TestAcknowledgeInBrowser(t *testing.T) {
	tab := browsertest.New(t)
	other := tab.Tab()
	c := start(t, textinghousetest.Options{}, loggedIn)
	tab.Open(c.proxy("al")+"/", "dark", 390)
	other.Open(c.proxy("bo")+"/", "light", 1280)
	c.post("/alertmanager/oncall", payload(t, "payloads/01-single-firing-critical.json"))
	tab.Until(`document.querySelector('.page button')`)
	other.Until(`document.querySelector('.page button')`)
	before := c.page()
	if before.DueAt == nil || time.Until(time.Time(*before.DueAt)) > time.Hour {
		t.Fatalf("the page is due at %v, want in 10 minutes", before.DueAt)
	}
	tab.Do(chromedp.Click(chromedp.CSS(".page button")))
	tab.Until(`document.querySelector('.page .result')?.innerText.includes('OK, ` + before.Code + ` is yours')`)
	other.Until(`document.querySelector('.page dd').innerText.includes('alice')`)
	c.texted(bob, "alice has "+before.Code)
	p := c.page()
	if p.State != "acknowledged" || p.AcknowledgedBy != "alice" || p.DueAt != nil && time.Until(time.Time(*p.DueAt)) < time.Hour {
		t.Errorf("the page is %s by %q, and due at %v", p.State, p.AcknowledgedBy, p.DueAt)
	}
	for _, fault := range append(tab.Faults(), other.Faults()...) {
		t.Error(fault)
	}
}

// TestConsoleForgery: a form from another site, a stranger or a user without the role changes nothing.
func TestConsoleForgery(t *testing.T) {
	c := start(t, textinghousetest.Options{}, loggedIn)
	c.post("/alertmanager/oncall", payload(t, "payloads/01-single-firing-critical.json"))
	p := c.page()
	form := func(version int) string { return url.Values{"version": {fmt.Sprint(version)}}.Encode() }
	for name, test := range map[string]struct {
		method string
		header []string
		code   int
	}{
		"another site":         {"POST", []string{"X-User", "al", "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"a sibling":            {"POST", []string{"X-User", "al", "Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		"an origin elsewhere":  {"POST", []string{"X-User", "al", "Origin", "https://evil.example"}, http.StatusForbidden},
		"no origin":            {"POST", []string{"X-User", "al", "Origin", "null"}, http.StatusForbidden},
		"nobody":               {"POST", nil, http.StatusUnauthorized},
		"an unknown login":     {"POST", []string{"X-User", "mallory"}, http.StatusForbidden},
		"a viewer":             {"POST", []string{"X-User", "eve"}, http.StatusForbidden},
		"the webhook's header": {"POST", []string{"Authorization", "Bearer " + token}, http.StatusUnauthorized},
		"a prefetch":           {"GET", []string{"X-User", "al", "Sec-Purpose", "prefetch"}, http.StatusSeeOther},
	} {
		code, text := c.do(test.method, "/pages/"+p.Code+"/acknowledge", form(1), append(test.header, "Content-Type", "application/x-www-form-urlencoded")...)
		if code != test.code {
			t.Errorf("%s: %d, want %d: %s", name, code, test.code, text)
		}
	}
	if p := c.page(); p.State != "open" {
		t.Errorf("the page is %s by %s", p.State, p.AcknowledgedBy)
	}
	c.r.Handler().ServeHTTP(httptest.NewRecorder(), forged(form(1), p.Code)) // from an address that is not a trusted proxy
	if p := c.page(); p.State != "open" {
		t.Errorf("a login in a header from anywhere acknowledges the page")
	}
	testwait.Until(t, func() error { // the page's version grows while its messages are being sent
		if code, text := c.do("POST", "/pages/"+p.Code+"/acknowledge", form(c.page().Version), "X-User", "al", "Content-Type", "application/x-www-form-urlencoded"); code != http.StatusOK {
			return fmt.Errorf("alice's own form: %d %s", code, text)
		}
		return nil
	})
	if code, text := c.do("POST", "/pages/"+p.Code+"/acknowledge", form(1), "X-User", "bo", "Content-Type", "application/x-www-form-urlencoded"); code != http.StatusConflict || !strings.Contains(text, "alice acknowledged it") {
		t.Errorf("a replayed form: %d %s", code, text)
	}
}

func forged(form, code string) *http.Request {
	r := httptest.NewRequest("POST", "/pages/"+code+"/acknowledge", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-User", "al")
	r.RemoteAddr = "203.0.113.7:4711"
	return r
}
