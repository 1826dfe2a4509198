package receiver_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// form posts a form to the console as a user who has logged in.
func (c *chain) form(login, path string, form url.Values) (code int, body string) {
	c.t.Helper()
	code, body = c.do("POST", path, form.Encode(), "X-User", login, "Content-Type", "application/x-www-form-urlencoded")
	return code, html.UnescapeString(body)
}

// TestPlaygroundIsPreview: the playground shows the text that the API's preview returns, with the
// receiver's own max_segments.
func TestPlaygroundIsPreview(t *testing.T) {
	c := start(t, textinghousetest.Options{}, loggedIn)
	payload := payload(t, "payloads/05-some-resolved-mixed.json")
	for _, text := range []string{"", "{{ range .Alerts }}{{ .Labels.instance }} {{ end }}"} {
		body, err := json.Marshal(map[string]any{"receiver": "oncall", "payload": json.RawMessage(payload), "text": text})
		if err != nil {
			t.Fatal(err)
		}
		code, response := c.do("POST", "/api/v1/preview", string(body), "X-User", "al")
		var preview struct{ Segments []struct{ Text string } }
		if err := json.Unmarshal([]byte(response), &preview); err != nil || code != http.StatusOK || len(preview.Segments) == 0 {
			t.Fatal(code, response)
		}
		for _, form := range []url.Values{{"sample": {"05-some-resolved-mixed"}}, {"sample": {"pasted"}, "payload": {payload}}} {
			form.Set("template", text)
			code, page := c.form("al", "/templates", form)
			for _, s := range preview.Segments {
				if !strings.Contains(page, `<span class="seg">`+s.Text+"</span>") {
					t.Errorf("%d: %q is not on\n%s", code, s.Text, page)
				}
			}
		}
	}
	long := "{{ range .Alerts }}{{ . | printf \"%v\" }} {{ end }}"
	if _, page := c.form("al", "/templates", url.Values{"template": {long}, "max_segments": {"3"}}); !strings.Contains(page, "segment 1\u00a0of\u00a03") || !strings.Contains(page, "max_segments: 3") {
		t.Errorf("three segments are\n%s", page)
	}
	if _, page := c.form("al", "/templates", url.Values{"sample": {"pasted"}, "payload": {`{"version":"4"}`}}); !strings.Contains(page, "Notification:") {
		t.Errorf("an invalid notification gives\n%s", page)
	}
	if code, _ := c.form("eve", "/templates", url.Values{"template": {"{{ range .Alerts }}x{{ end }}"}}); code != http.StatusForbidden {
		t.Errorf("a viewer's template gives %d", code)
	}
	if n := len(c.sim.Messages()); n != 0 {
		t.Errorf("%d texts were sent", n)
	}
}

// TestConsolePages: a verification from the console is sent and its message listed; the health page shows
// the credit that the provider reports.
func TestConsolePages(t *testing.T) {
	c := start(t, textinghousetest.Options{}, strings.Replace(loggedIn, "al, contact: alice, role: responder", "al, contact: alice, role: admin", 1))
	if code, page := c.form("al", "/contacts/carol/verify", nil); code != http.StatusOK || !strings.Contains(page, "A code was sent to carol.") {
		t.Fatal(code, page)
	}
	c.texted("+33639980003", "smspager: reply ")
	if code, _ := c.form("bo", "/contacts/carol/verify", nil); code != http.StatusForbidden {
		t.Errorf("a responder's verification gives %d", code)
	}
	if _, page := c.do("GET", "/messages?to=carol", "", "X-User", "al"); !strings.Contains(page, "to confirm this is carol") {
		t.Errorf("the verification is not on\n%s", page)
	}
	testwait.Until(t, func() error {
		_, page := c.do("GET", "/health", "", "X-User", "bo")
		if !strings.Contains(page, "Credit at the end of the day") {
			return fmt.Errorf("no credit on\n%s", page)
		}
		return nil
	})
	for _, path := range []string{"/messages", "/duty", "/templates", "/contacts", "/health"} {
		if code, page := c.do("GET", path, "", "X-User", "eve"); code != http.StatusOK || strings.Contains(page, "+33639980003") || strings.Contains(page, "&#43;33639980003") {
			t.Errorf("%s gives %d", path, code)
		}
	}
}
