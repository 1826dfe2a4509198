package console_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
)

// try submits the playground's form, and returns the response.
func (w *world) try(form url.Values) (code int, body string, reswap string) {
	rec := w.do("POST", "/templates", form)
	return rec.Code, html.UnescapeString(rec.Body.String()), rec.Header().Get("HX-Reswap")
}

// TestPlayground: a template is tried with captured, stored and pasted notifications, and a fault shows its place.
func TestPlayground(t *testing.T) {
	w := newWorld(t, "")
	w.open("6281", "oncall", 3*time.Minute, firing("StoredAlert", "warning", "It is stored", template.KV{"pod": "a"}), bob)
	payload, err := json.Marshal(firing("PastedAlert", "critical", "It is pasted <b>", template.KV{"pod": "b"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		form url.Values
		want []string
	}{
		{"nothing", url.Values{}, []string{"NodeFilesystemAlmostOutOfSpace", `{{ template "sms.default" . }}`, "All 3\u00a0alerts are in the text.", "septets are left", `text: '{{ template "sms.default" . }}'`, "max_segments: 2"}},
		{"sample", url.Values{"sample": {"01-single-firing-critical"}}, []string{"The alert is in the text."}},
		{"cut by Alertmanager", url.Values{"sample": {"09-truncation-hides-firing"}}, []string{"left out: at most 2\u00a0segments (max_segments)."}},
		{"changed", url.Values{"sample": {"10-unicode-scripts-emoji"}, "template": {"a_b_c {{ len .Alerts }}"}}, []string{"a-b-c 7", "“_” is written as “-”, 2\u00a0times"}},
		{"one segment", url.Values{"max_segments": {"1"}}, []string{"<option selected>1</option>", "max_segments: 1"}},
		{"odd limit", url.Values{"max_segments": {"-7"}}, []string{"max_segments: 2"}},
		{"stored", url.Values{"sample": {"latest"}}, []string{"StoredAlert", "oncall, received 3 min ago"}},
		{"pasted", url.Values{"sample": {"pasted"}, "payload": {string(payload)}, "template": {"{{ range .Alerts }}{{ .Labels.alertname }} {{ .Annotations.summary }}{{ end }}"}}, []string{"PastedAlert It is pasted <b>"}},
		{"template", url.Values{"template": {"a: {{ .Status }}\r\n  b"}}, []string{"a: firing\nb", "text: |-\n      a: {{ .Status }}\n        b"}},
		{"no function", url.Values{"template": {"{{ .Status }}\n{{ itme . }}"}}, []string{"Line 2:", `function "itme" not defined`, "2 | {{ itme . }}", "No text"}},
		{"not closed", url.Values{"template": {"{{ if .Status }}\nx"}}, []string{"Line 2:", "unexpected EOF"}},
		{"no field", url.Values{"template": {"ж\nжж {{ .Alerts.None }}"}}, []string{"Line 2, column 14:", "2 | жж {{ .Alerts.None }}\n                 ^"}},
		{"fails at run time", url.Values{"template": {"\n{{ if eq (len .Alerts) 3 }}{{ index .Alerts 9 }}{{ end }}x"}}, []string{"Line 2, column 31:"}},
		{"empty text", url.Values{"template": {"{{/* nothing */}}"}}, []string{"Template:", "writes nothing"}},
		{"no template", url.Values{"template": {"{{ template \"none\" }}"}}, []string{"Line 1, column 13:", "template \"none\" not defined"}},
		{"too large", url.Values{"template": {strings.Repeat("x", 16<<10+1)}}, []string{"The template is larger than 16384 bytes."}},
		{"markup", url.Values{"template": {"</textarea><script>{{ .Status }}"}}, []string{"</textarea><script>firing"}},
		{"nothing pasted", url.Values{"sample": {"pasted"}}, []string{"Notification:", "Paste a notification first"}},
		{"not JSON", url.Values{"sample": {"pasted"}, "payload": {"{"}}, []string{"Notification:", "Unexpected end of JSON"}},
		{"no alerts", url.Values{"sample": {"pasted"}, "payload": {"{}"}}, []string{"Not a notification."}},
		{"no such sample", url.Values{"sample": {"../../x"}}, []string{"There is no such notification"}},
	} {
		code, body, reswap := w.try(c.form)
		if code != http.StatusOK {
			t.Errorf("%s: status %d", c.name, code)
		}
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is missing:\n%s", c.name, want, body[strings.Index(body, "<main"):])
			}
		}
		if faulty := strings.Contains(body, "banner bad\">\n<p>") || strings.Contains(body, "banner bad\"><p>"); faulty != (reswap == "none") {
			t.Errorf("%s: faulty: %t, and HX-Reswap is %q", c.name, faulty, reswap)
		}
		if raw := w.do("POST", "/templates", c.form).Body.String(); strings.Contains(raw, "<script>firing") {
			t.Errorf("%s: markup of the text is markup of the page", c.name)
		}
	}
	if len(w.messages) != 1 {
		t.Errorf("%d messages were made, want none", len(w.messages))
	}
	w.shows("/templates?receiver=storage&sample=01-single-firing-critical", http.StatusOK, `name="receiver" value="storage"`, "The alert is in the text.")
	w.shows("/templates?receiver=gone", http.StatusNotFound, "There is no such receiver.")
	if code, body, _ := w.try(url.Values{"payload": {strings.Repeat("x", 1<<20)}}); code != http.StatusRequestEntityTooLarge || !strings.Contains(body, "may have 1048576 bytes") {
		t.Errorf("a huge payload gives %d", code)
	}
}

// TestPlaygroundRoles: to try a template of one's own, a user needs the role responder, unless nobody
// can log in. Trying a notification needs no role.
func TestPlaygroundRoles(t *testing.T) {
	script := access.Caller{Role: config.Admin}
	for _, c := range []struct {
		name   string
		caller access.Caller
		may    bool
	}{{"responder", responder, true}, {"admin", admin, true}, {"script", script, true}, {"open", open, true}, {"viewer", viewer, false}, {"nobody", nobody, false}} {
		w := newWorld(t, "")
		w.caller = c.caller
		want := http.StatusOK
		if !c.may {
			want = access.Status(c.caller.May(config.Responder))
		}
		if code, _, _ := w.try(url.Values{"template": {"{{ range .Alerts }}x{{ end }}"}}); code != want {
			t.Errorf("%s: a template of one's own gives %d, want %d", c.name, code, want)
		}
		if tried := len(w.rendered) > 0; tried != c.may {
			t.Errorf("%s: the template was rendered: %t", c.name, tried)
		}
		code, body, _ := w.try(url.Values{"template": {`{{ template "sms.default" . }}` + "\r\n"}, "sample": {"05-some-resolved-mixed"}})
		if code != http.StatusOK || strings.Contains(body, " readonly") == c.may {
			t.Errorf("%s: a sample gives %d, %t", c.name, code, strings.Contains(body, " readonly"))
		}
		if last := w.rendered[len(w.rendered)-1]; last != "oncall " {
			t.Errorf("%s: %q was rendered, want the receiver's own template", c.name, last)
		}
	}
}

// TestPlaygroundYAML: the YAML contains exactly the template, whatever that is.
func TestPlaygroundYAML(t *testing.T) {
	w := newWorld(t, "")
	for _, text := range []string{"x", "a\nb", "  begins with spaces\nb", "a\n\n", "\n\na", "it's \"quoted\": #no\n\ttab", "a\r\nb", "ends with space \n x", "ж \u2028 \u00a0", "{{- /* c */ -}}\nx"} {
		_, body, _ := w.try(url.Values{"template": {text}})
		_, rest, ok := strings.Cut(body, `<pre tabindex="0">receivers:`)
		written, _, _ := strings.Cut(rest, "</pre>")
		var read struct{ Receivers []struct{ Name, Text string } }
		if err := yaml.Unmarshal([]byte("receivers:"+written), &read); !ok || err != nil || len(read.Receivers) != 1 || read.Receivers[0].Text != strings.ReplaceAll(text, "\r\n", "\n") {
			t.Errorf("%q is copied as %q, %v", text, written, err)
		}
	}
}

// TestSamples: the playground's notifications were sent by Alertmanager.
func TestSamples(t *testing.T) {
	files, err := os.ReadDir("samples")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue
		}
		n++
		ours, _ := os.ReadFile("samples/" + file.Name())
		theirs, err := os.ReadFile("../../testdata/payloads/" + file.Name())
		if err != nil || string(ours) != string(theirs) {
			t.Errorf("%s is another one than in receiver/testdata: %v", file.Name(), err)
		}
	}
	if n != 5 {
		t.Errorf("there are %d samples", n)
	}
}

// TestPlaygroundNumbers: everybody except admins sees a shortened number in a receiver's template, which
// still counts as the receiver's own.
func TestPlaygroundNumbers(t *testing.T) {
	w := newWorldOf(t, "textinghouse: {user: acme, password: secret}\nreceivers: [{name: sms, to: [\"+33639980001\"], text: \"{{ .Status }}, call +33639980007\"}]\n")
	w.caller = viewer
	w.shows("/templates", http.StatusOK, "{{ .Status }}, call +3363•••07", "!980007")
	if code, _, _ := w.try(url.Values{"template": {"{{ .Status }}, call +3363•••07"}}); code != http.StatusOK || w.rendered[1] != "sms " {
		t.Errorf("the receiver's own template gives %d, %q", code, w.rendered)
	}
	w.caller = admin
	w.shows("/templates", http.StatusOK, "{{ .Status }}, call +33639980007")
}
