package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/outbox"
)

// shows checks that the page at a path contains some texts, and none of those that begin with an
// exclamation mark.
func (w *world) shows(path string, status int, texts ...string) {
	w.t.Helper()
	rec := w.get(path)
	body := html.UnescapeString(strings.ReplaceAll(rec.Body.String(), "<wbr>", ""))
	if rec.Code != status {
		w.t.Errorf("%s responds %d, want %d:\n%s", path, rec.Code, status, body)
		return
	}
	for _, text := range texts {
		text, unwanted := strings.CutPrefix(text, "!")
		if strings.Contains(body, text) == unwanted {
			w.t.Errorf("%s: %q is there: %t, in\n%s", path, text, unwanted, body)
		}
	}
}

// message adds a message and returns it.
func (w *world) message(to outbox.Person, ago time.Duration, state outbox.State, text string, events ...outbox.Event) *outbox.Message {
	p := w.open(fmt.Sprint(8000+len(w.pages)), "storage", ago, firing("Other", "info", "It is bad"))
	w.text(p, to, time.Now().Add(-ago), text, 4*time.Second)
	m := &w.messages[len(w.messages)-1]
	if m.State = state; state != outbox.Delivered {
		m.Events = m.Events[:1]
	}
	m.Events = append(m.Events, events...)
	return m
}

// TestMessages: the list has filters, and continues with older messages. Probes are listed only on request.
func TestMessages(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	w.probe(time.Now(), time.Second)
	for i := range 40 {
		w.message(bob, 20*time.Hour+time.Duration(i)*time.Minute, outbox.Delivered, fmt.Sprintf("old %d.", i))
	}
	w.message(carol, 30*time.Hour, outbox.Failed, "lost", outbox.Event{At: time.Now(), Type: outbox.EventFailed, Detail: "status 4: out of reach"})
	middle := w.messages[len(w.messages)-20].ID
	for path, want := range map[string][]string{
		"/messages":                              {"KubePodCrash", "delivered late", "Older messages", "!>999<", "!lost", "!Newest</a>"},
		"/messages?state=failed":                 {"lost", "Status 4: out of reach.", "!KubePod", "!Older messages"},
		"/messages?to=carol":                     {"lost", "!>bob</a>"},
		"/messages?receiver=oncall":              {"KubePod", "!old 1."},
		"/messages?receiver=probe%3A999":         {">999</a> probe", "!KubePod"},
		"/messages?before=" + middle:             {"Older messages</h2>", "Newest</a>", "!KubePod"},
		"/messages?before=" + middle + "&to=bob": {"/messages?to=bob\"", "before=" + middle},
		"/messages?receiver=gone":                {"No message matches", "All messages"},
	} {
		w.shows(path, http.StatusOK, want...)
	}
	w.shows("/messages?state=nope", http.StatusBadRequest, "There is no such state.")
	w.shows("/messages?to=dave", http.StatusBadRequest, "There is no such contact.")
	w.shows("/messages/none", http.StatusNotFound, "There is no such message.")
	for _, caller := range []access.Caller{responder, viewer, nobody, open} { // none of them finds out whose number it is
		w.caller = caller
		w.shows("/messages?to="+url.QueryEscape(string(carol.Number)), http.StatusBadRequest, "There is no such contact.")
	}
	w.caller = admin
	w.shows("/messages?to="+url.QueryEscape(string(carol.Number)), http.StatusOK, "lost")
	w.shows("/messages?to="+string(carol.Number), http.StatusOK, "lost") // the plus sign is decoded as a space
	w.shows("/messages?to=12", http.StatusBadRequest, "no such number")
}

// TestMessage: a message shows its text in segments, what was left out and why, and its history.
func TestMessage(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	w.month()
	path := "/messages/" + w.messages[0].ID
	w.shows(path, http.StatusOK,
		"<title>Message to carol", "+3363•••03", "page <a href=\"/pages/", "5512</a>",
		"node02 /srv/media 3.1%</span><span class=\"seg\">\n<mark class=\"cut\">files-archi...-eu-west-1</mark>", `<mark class="cut">+3 more</mark>`,
		"segment 1\u00a0of\u00a02", "153 of 153\u00a0septets", "segment 2\u00a0of\u00a02", "102 of 153\u00a0septets",
		"3 of 9\u00a0alerts left out: the text has at most 2\u00a0segments (max_segments: 2).", "1\u00a0value shortened",
		"Queued", "Attempt 1", "Accepted", "API ID 7f0c2e91", "Delivered", "status 3", "Reply from carol", "“ok”", "!"+string(carol.Number))
	w.caller = admin
	w.shows(path, http.StatusOK, string(carol.Number))
}

// TestMessageTexts: markup is shown as text. Everybody except admins sees shortened numbers, even
// across segments. The segments are those of the text as sent.
func TestMessageTexts(t *testing.T) {
	w := newWorld(t, "")
	border := strings.Repeat("x", 148) + "+33639980007 is down" // the number spans both segments
	ucs2 := strings.Repeat("ж", 80)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"markup", `<script>alert("x")</script> & <img src=x onerror=y>`, []string{`&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &lt;img`, "!<script>a", "!<img"}},
		{"number", "call +33639980007 now", []string{"call &#43;3363•••07 now", "!980007"}},
		{"border", border, []string{"&#43;3363•••07</span>", `<span class="seg"> is down`, "153 of 153", "!39980007", "!9980"}},
		{"UCS-2", ucs2, []string{"67 of 67\u00a0UTF-16 units", "segment 2\u00a0of\u00a02"}},
		{"failed template", "short", []string{"The built-in text was sent, because the receiver’s template failed: text:3: &lt;b&gt; of &#43;3363•••07."}},
		{"empty", "", []string{`<div class="bubble">`}},
	} {
		m := w.message(alice, time.Minute, outbox.Accepted, c.text)
		if c.name == "failed template" {
			m.Events[0].Detail = "the template failed: text:3: <b> of +33639980007"
		}
		body := w.get("/messages/" + m.ID).Body.String()
		for _, s := range c.want {
			s, unwanted := strings.CutPrefix(s, "!")
			if strings.Contains(strings.ReplaceAll(body, "&nbsp;", "\u00a0"), s) == unwanted {
				t.Errorf("%s: %q is there: %t, in\n%s", c.name, s, unwanted, body)
			}
		}
	}
	w.caller = admin
	if m := w.message(alice, time.Minute, outbox.Accepted, border); !strings.Contains(w.get("/messages/"+m.ID).Body.String(), `&#43;3363</span><span class="seg">9980007 is down`) {
		t.Error("an admin does not see the border as it is")
	}
}

// TestSharedNumber: a number that several contacts share is shown by the name of the first of them, on each load.
func TestSharedNumber(t *testing.T) {
	w := newWorldOf(t, strings.Replace(configuration, "contacts:\n", "contacts:\n  - {name: zoe, number: \"+33639980001\"}\n", 1))
	w.open("6279", "oncall", time.Minute, firing("Down", "critical", "It is down", nil), carol)
	w.text(w.load("6279"), alice, time.Now(), "It is down", time.Second)
	for range 20 {
		w.shows("/messages", http.StatusOK, ">zoe<", "!>alice</a>")
		w.shows("/pages/6279", http.StatusOK, "Delivered to zoe", "!Delivered to alice")
	}
}
