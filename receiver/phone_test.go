package receiver_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const linked = `
api: {token: ` + apiToken + `}
web: {public_url: "https://sms.example.com", reply_number: "+33639980099"}
contacts:
  - {name: alice, number: "` + alice + `"}
  - {name: bob, number: "` + bob + `"}
receivers:
  - {name: oncall, to: [alice], escalate: [{after: 10m, to: [bob]}], limits: [], link: true}
`

// sendsOrigin makes browsers send the Origin header with forms: the header Referrer-Policy: no-referrer
// alone would make it null. Without TLS, and in older browsers, there is no Sec-Fetch-Site either, so the
// form would be refused.
const sendsOrigin = `<meta name="referrer" content="same-origin">`

var linkOf = regexp.MustCompile(`https://sms\.example\.com(/p/[0-9a-z]{16})$`)

// linkTo waits for a text to this number that contains part, and returns the path of the latest one's link.
func (c *chain) linkTo(number, part string) (path string) {
	c.t.Helper()
	c.texted(number, part)
	for _, m := range c.sim.Messages() {
		if found := linkOf.FindStringSubmatch(m.Text); m.To == strings.TrimPrefix(number, "+") && strings.Contains(m.Text, part) && found != nil {
			path = found[1]
		}
	}
	if path == "" {
		c.t.Fatalf("no text to %s ends with a link: %+v", number, c.sim.Messages())
	}
	return path
}

// press submits a form of a phone page.
func (c *chain) press(path, name, value string) (code int, body string) {
	c.t.Helper()
	return c.do("POST", path, url.Values{name: {value}}.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
}

// TestNumbersOnAPhonePage: a phone page shows no whole number of the person who is paged next.
func TestNumbersOnAPhonePage(t *testing.T) {
	for _, number := range []string{"+33639980077", "0033639980077", "+33 6 39 98 00 77"} {
		c := start(t, textinghousetest.Options{}, strings.Replace(linked, "to: [bob]", `to: ["`+number+`"]`, 1))
		c.act("pages", `{"to":"oncall","text":"Backup of db-3 failed","severity":"warning","key":"backup"}`)
		code, body := c.press(c.linkTo(alice, "Backup of db-3 failed"), "do", "show")
		if code != 200 || !strings.Contains(body, "Next: &#43;3363") || strings.Contains(strings.ReplaceAll(body, " ", ""), "639980077") {
			t.Errorf("%s: the response is %d %s", number, code, body)
		}
	}
}

func TestPhonePage(t *testing.T) {
	c := start(t, textinghousetest.Options{}, linked)
	c.act("pages", `{"to":"oncall","text":"Backup of db-3 failed","severity":"warning","key":"backup"}`)
	path := c.linkTo(alice, "Backup of db-3 failed")
	p := c.page()
	if text := p.Messages[0].Text; !strings.Contains(text, "/p/"+path[3:7]+"************") || strings.Contains(text, path) {
		t.Errorf("the API shows %q", text)
	}

	// Opening the link changes nothing, and shows the headline of the text.
	for range 3 {
		code, body := c.do("GET", path, "")
		if code != 200 || !strings.Contains(body, "WARNING Backup of db-3 failed") || !strings.Contains(body, "Re "+p.Code) || strings.Contains(body, "bob") || len(body) > 10<<10 {
			t.Errorf("GET: %d, %d bytes: %s", code, len(body), body)
		}
		for _, part := range []string{"sms:&#43;33639980099?&amp;body=" + p.Code + `"`, "body=" + p.Code + "%201h", "body=next%20" + p.Code, "noindex"} {
			if !strings.Contains(body, part) {
				t.Errorf("the page lacks %s: %s", part, body)
			}
		}
		if !strings.Contains(body, sendsOrigin) {
			t.Error("forms of browsers without Sec-Fetch-Site have the Origin null")
		}
		if code, _ := c.do("HEAD", path, ""); code != 200 {
			t.Error("the response to HEAD is", code)
		}
	}
	if now := c.page(); now.Version != p.Version {
		t.Errorf("the page changed: %+v", now)
	}
	resp, err := http.Get(c.http.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if h := resp.Header; h.Get("Cache-Control") != "no-store" || h.Get("X-Robots-Tag") != "noindex" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", h)
	}
	for _, press := range []struct{ name, value, part string }{
		{"do", "show", "Next: bob at "}, {"do", "explode", "Nothing was done"}, {"silence", "1h", "NOT silenced"},
		{"do", "acknowledge", "OK, " + p.Code + " is yours"}, {"do", "show", "alice has had it since"}, {"do", "undo", "Undone"},
		{"do", "next", "OK, bob is paged for " + p.Code},
	} {
		if code, body := c.press(path, press.name, press.value); code != 200 || !strings.Contains(body, press.part) {
			t.Errorf("%s=%s: %d %s", press.name, press.value, code, body)
		}
	}
	theirs := c.linkTo(bob, "Backup of db-3 failed")
	if theirs == path {
		t.Error("two people have one link")
	}
	if _, body := c.press(theirs, "do", "acknowledge"); !strings.Contains(body, "OK, "+p.Code+" is yours") {
		t.Error(body)
	}
	c.texted(alice, "bob has "+p.Code)
	if history := fmt.Sprint(c.page().Events); !strings.Contains(history, "acknowledged bob by link") {
		t.Error(history)
	}
	if code, _ := c.do("POST", theirs, "do=undo", "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://evil.example"); code != 403 {
		t.Errorf("a form of another site: %d", code)
	}

	// The links of ended pages, unknown links and malformed links get the same response.
	c.act("pages", `{"to":"oncall","key":"backup","resolve":true}`)
	testwait.Until(t, func() error {
		if p := c.page(); p.State != "resolved" {
			return fmt.Errorf("the page is %s", p.State)
		}
		return nil
	})
	_, want := c.do("GET", "/p/x", "")
	for _, dead := range []string{path, theirs, "/p/0000000000000000", path[:len(path)-1] + "0", "/p/%2e%2e", "/p/" + strings.Repeat("z", 4000)} {
		for _, method := range []string{"GET", "POST"} {
			if code, body := c.do(method, dead, "do=acknowledge"); code != 404 || body != want {
				t.Errorf("%s %s: %d %s", method, dead, code, body)
			}
		}
	}
	if n := c.metric("smspager_link_misses_total"); n != "13" {
		t.Errorf("%s misses", n)
	}
}

// TestGuessedLinks: a client that has tried many tokens gets no page any more, even with a valid one.
func TestGuessedLinks(t *testing.T) {
	c := start(t, textinghousetest.Options{}, linked)
	c.act("pages", `{"to":"oncall","text":"Backup failed"}`)
	path := c.linkTo(alice, "Backup failed")
	for i := range 20 {
		if code, _ := c.do("GET", fmt.Sprintf("/p/%016d", i), ""); code != 404 {
			t.Fatal(code)
		}
	}
	if code, _ := c.do("GET", path, ""); code != 404 {
		t.Errorf("a right token after 20 wrong ones: %d", code)
	}
}

// TestGuessesBehindAProxy: the client address that a trusted proxy reports counts, with or without a
// port, and one client's wrong tokens do not shut out the others. What an untrusted client reports is
// ignored.
func TestGuessesBehindAProxy(t *testing.T) {
	c := start(t, textinghousetest.Options{}, linked+"console: {login_header: X-User, trusted_proxies: [127.0.0.1/32]}\n")
	c.act("pages", `{"to":"oncall","text":"Backup failed"}`)
	path := c.linkTo(alice, "Backup failed")
	for _, client := range []string{"198.51.100.%d:4711", "198.51.101.%d", "[2001:db8:1::%d]:4711", "2001:db8:2::%d", "[2001:db8:3::%d]"} {
		for i := range 20 {
			if code, _ := c.do("GET", fmt.Sprintf("/p/%016d", i), "", "X-Forwarded-For", "203.0.113.1, "+fmt.Sprintf(client, i)); code != 404 {
				t.Fatal(code)
			}
		}
		if code, _ := c.do("GET", path, "", "X-Forwarded-For", fmt.Sprintf(client, 99)); code != 404 {
			t.Errorf("%s is not shut out", client)
		}
	}
	for _, client := range []string{"203.0.113.1:4711", "203.0.113.1", "[2001:db8:9::1]:4711"} {
		if code, _ := c.do("GET", path, "", "X-Forwarded-For", client); code != 200 {
			t.Errorf("%s is shut out: %d", client, code)
		}
	}
}

// TestLinkedVerification: a verification can test whether texts with links arrive.
func TestLinkedVerification(t *testing.T) {
	c := start(t, textinghousetest.Options{}, linked)
	if code, text := c.act("contacts/alice/verify?link=true", ""); code != 200 {
		t.Fatal(code, text)
	}
	c.texted(alice, "https://sms.example.com/p/0000000000000000")
	for range 2 {
		c.act("contacts/alice/verify", "")
	}
	if code, text := c.act("contacts/alice/verify", ""); code != 429 {
		t.Error("the fourth within an hour:", code, text)
	}
	if code, text := c.act("contacts/alice/verify?link=maybe", ""); code != 400 {
		t.Error(code, text)
	}
	resp, err := http.Get(c.http.URL + "/p/style.css")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if style, _ := io.ReadAll(resp.Body); len(style) > 4<<10 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/css") {
		t.Errorf("style: %d bytes", len(style))
	}
}
