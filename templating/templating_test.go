package templating_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

var update = flag.Bool("update", false, "write the golden files")

// now is a few minutes after the captured payloads.
func now() time.Time { return time.Date(2026, 11, 23, 19, 34, 0, 0, time.UTC) }

const byDefault = `{{ template "sms.default" . }}`

func text(t testing.TB, source string, globs ...string) *templating.Text {
	t.Helper()
	set, err := templating.New(templating.Options{Now: now, Globs: globs})
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.Text(source)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func payload(t testing.TB, name string) templating.Notification {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var n templating.Notification
	if err := json.Unmarshal(body, &n); err != nil {
		t.Fatal(err)
	}
	if n.Status == "resolved" && n.TruncatedAlerts > 0 && n.NotificationReason != "all alerts resolved" {
		n.Status, n.MayStillFire = "firing", true // as the intake does
	}
	return n
}

// TestPayloads shows the text of every captured payload, at two segments and at
// one, in testdata/payloads.golden: read it after a change.
func TestPayloads(t *testing.T) {
	names, err := filepath.Glob("testdata/payloads/*.json")
	if err != nil || len(names) != 15 {
		t.Fatalf("%d payloads, %v", len(names), err)
	}
	var out bytes.Buffer
	tmpl := text(t, byDefault)
	for _, name := range names {
		for _, segments := range []int{2, 1} {
			r := tmpl.Render(payload(t, name), segments)
			if r.Err != nil {
				t.Errorf("%s: %v", name, r.Err)
			}
			check(t, r, segments)
			fmt.Fprintf(&out, "== %s, at most %d: %d septets, %d segments, %d shown, %d hidden, cut %v\n%s\n\n",
				filepath.Base(name), segments, r.Size.Units, r.Size.Segments, r.Shown, r.Hidden, r.Cut, r.Text)
		}
	}
	const golden = "testdata/payloads.golden"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Errorf("the texts have changed; if that is right, run go test ./templating -update\n%s", out.String())
	}
}

// check is what holds for every rendering.
func check(t testing.TB, r templating.Rendering, segments int) {
	t.Helper()
	if r.Text == "" || r.Size != gsm7.Measure(r.Text) || r.Size.Segments > segments {
		t.Errorf("%q is %v, of at most %d segments", r.Text, r.Size, segments)
	}
	for _, c := range r.Text {
		if !gsm7.Allowed(c) {
			t.Errorf("%q holds %q", r.Text, c)
		}
	}
}

func TestLabelValuesAreNotTemplates(t *testing.T) {
	n := payload(t, "testdata/payloads/11-template-quotes-newlines.json")
	n.RouteLabels = map[string]string{"team": "{{ .Status }}"}
	for source, want := range map[string]string{
		byDefault:                     "{{ .Labels.foo }}",
		`is {{ .CommonLabels.foo }}`:  "is {{ .Labels.foo }}",
		`x{{ routeLabels "team" }}`:   "x{{ .Status }}",
		`{{ .CommonLabels.query }} a`: `{job="api",code=~"5.."} a`,
	} {
		if r := text(t, source).Render(n, 2); !strings.Contains(r.Text, want) || r.Err != nil {
			t.Errorf("%s gives %q, %v, want %q in it", source, r.Text, r.Err, want)
		}
	}
}

// TestAlertmanagersTemplates runs what people have in their Alertmanager.
func TestAlertmanagersTemplates(t *testing.T) {
	n := payload(t, "testdata/payloads/05-some-resolved-mixed.json")
	for source, want := range map[string]string{
		`[{{ .Status | toUpper }}:{{ .Alerts.Firing | len }}] {{ .GroupLabels.SortedPairs.Values | join " " }}`: "[FIRING:2] ",
		`{{ range .Alerts.Firing }}{{ .Labels.alertname }} {{ end }}`:                                           "NodeFilesystemAlmostOutOfSpace NodeFilesystemAlmostOutOfSpace",
		`{{ .CommonLabels.Remove (stringSlice "alertname") | len }} {{ reReplaceAll "a" "b" "aaa" }}`:           " bbb",
		`{{ (now).Format "15:04" }} {{ .ExternalURL }}`:                                                         "19:34 http://alertmanager.example:9093",
	} {
		if r := text(t, source).Render(n, 2); !strings.Contains(r.Text, want) || r.Err != nil {
			t.Errorf("%s gives %q, %v, want %q in it", source, r.Text, r.Err, want)
		}
	}
}

func TestFitting(t *testing.T) {
	n := group(40)
	list := text(t, `{{ len .Alerts.Firing }} of {{ .FiringCount }}:{{ range .Alerts }} {{ .Labels.instance }}{{ end }}`)
	r := list.Render(n, 1)
	check(t, r, 1)
	if r.Shown+r.Hidden != 40 || r.Hidden == 0 || r.Cut || !strings.HasSuffix(r.Text, fmt.Sprintf(" +%d more", r.Hidden)) {
		t.Errorf("gives %+v", r)
	}
	// One more would not have fitted.
	if longer := r.Size.Units + len(" node-00.example"); longer <= 160 {
		t.Errorf("%d septets leave room for another alert", r.Size.Units)
	}
	if first := n.Alerts[39].Labels["instance"]; !strings.Contains(r.Text, ": "+first) {
		t.Errorf("%q does not begin with the newest, %s", r.Text, first)
	}
	told := text(t, `{{ range .Alerts }}{{ .Labels.instance }} {{ end }}and {{ .Hidden }} others`).Render(n, 1)
	if !strings.HasSuffix(told.Text, fmt.Sprintf("and %d others", told.Hidden)) {
		t.Errorf("a template that tells what is hidden gives %q", told.Text)
	}
	all := text(t, `{{ len .Alerts }} alerts`).Render(n, 1)
	if all.Text != "40 alerts" || all.Hidden != 0 {
		t.Errorf("what fits gives %+v", all)
	}
	unlisted := text(t, `{{ .CommonAnnotations.long }}{{ if not .CommonAnnotations.long }}-{{ end }}`)
	n.CommonAnnotations = map[string]string{"long": strings.Repeat("many words ", 100)}
	if r := unlisted.Render(n, 1); !r.Cut || r.Hidden != 0 || !strings.HasSuffix(r.Text, "...") {
		t.Errorf("a long text without a list gives %+v", r)
	}
}

// group is a firing group of so many alerts, the last the newest.
func group(size int) templating.Notification {
	n := templating.Notification{}
	n.Status = "firing"
	n.GroupLabels = map[string]string{"alertname": "TargetDown"}
	n.CommonLabels = map[string]string{"alertname": "TargetDown", "severity": "critical"}
	for i := range size {
		a := payloadAlert
		a.Labels = map[string]string{"alertname": "TargetDown", "severity": "critical", "instance": fmt.Sprintf("node-%02d.example", i)}
		a.StartsAt = now().Add(time.Duration(i-size) * time.Minute)
		n.Alerts = append(n.Alerts, a)
	}
	return n
}

func TestFallback(t *testing.T) {
	n := payload(t, "testdata/payloads/01-single-firing-critical.json")
	n.NotificationReason = "another"
	// On the samples, whose reasons are known, these templates work.
	for source, want := range map[string]string{
		`{{ if eq .NotificationReason "another" }}{{ template "nope" }}{{ end }}x`:                                           `"nope" not defined`,
		`{{ if eq .NotificationReason "another" }}{{ index .Alerts 99 }}{{ end }}x`:                                          "out of range",
		`{{ if ne .NotificationReason "another" }}x{{ end }}`:                                                                "empty text",
		`{{ define "r" }}{{ template "r" . }}{{ end }}{{ if eq .NotificationReason "another" }}{{ template "r" }}{{ end }}x`: "exceeded maximum template depth",
		`x{{ if eq .NotificationReason "another" }}{{ reReplaceAll "(" "" "x" }}{{ end }}`:                                   "missing closing",
	} {
		set, err := templating.New(templating.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := set.Text(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		r := tmpl.Render(n, 2)
		check(t, r, 2)
		if r.Err == nil || !strings.Contains(r.Err.Error(), want) || !strings.HasPrefix(r.Text, "CRITICAL KubePodCrashLooping") {
			t.Errorf("%s gives %q, %v", source, r.Text, r.Err)
		}
	}
}

func TestFallbackDoesNotCallResolvedAlertsFiring(t *testing.T) {
	n := payload(t, "testdata/payloads/09-truncation-hides-firing.json")
	n.NotificationReason = "another"
	r := text(t, `x{{ if eq .NotificationReason "another" }}{{ index .Alerts 99 }}{{ end }}`).Render(n, 2)
	if want := "TargetDown: 5 resolved, 35 more may still fire"; r.Err == nil || r.Text != want {
		t.Errorf("gives %q, %v, want %q", r.Text, r.Err, want)
	}
}

func TestEndlessOutputIsCut(t *testing.T) {
	r := text(t, `{{ range 1000000000 }}word {{ end }}`).Render(group(1), 1)
	check(t, r, 1)
	if !r.Cut || !strings.HasPrefix(r.Text, "word word") {
		t.Errorf("gives %+v", r)
	}
}

func TestHugeGroup(t *testing.T) {
	n := group(10_000)
	for i := range n.Alerts {
		n.Alerts[i].Annotations = map[string]string{"summary": strings.Repeat("x", 10_000)}
	}
	n.TruncatedAlerts = 1 << 63
	r := text(t, byDefault).Render(n, 2)
	check(t, r, 2)
	if r.Shown == 0 {
		t.Errorf("gives %+v", r)
	}
}

func TestOddNotifications(t *testing.T) {
	tmpl := text(t, byDefault)
	for name, n := range map[string]templating.Notification{
		"nothing at all":   {},
		"a status alone":   {Data: dataOf("firing")},
		"resolved, none":   {Data: dataOf("resolved")},
		"may still fire":   {Data: dataOf("firing"), TruncatedAlerts: 35, MayStillFire: true},
		"no labels":        {Data: dataOf("firing", payloadAlert)},
		"two of no labels": {Data: dataOf("firing", payloadAlert, payloadAlert)},
	} {
		r := tmpl.Render(n, 2)
		check(t, r, 2)
		t.Logf("%s: %q", name, r.Text)
		if r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
}

func TestErrorsTellWhere(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.tmpl")
	if err := os.WriteFile(bad, []byte("{{ define \"x\" }}\nfine\n{{ .Alerts | nope }}\n{{ end }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for glob, want := range map[string]string{
		bad:                             bad + `:3: function "nope" not defined`,
		filepath.Join(dir, "none.tmpl"): "no such template file",
		filepath.Join(dir, "[a-.tmpl"):  "not a file pattern",
	} {
		if _, err := templating.New(templating.Options{Globs: []string{glob}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", glob, err, want)
		}
	}
	set, err := templating.New(templating.Options{Globs: []string{filepath.Join(dir, "*.none")}})
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"{{ .Status":          "text:1: unclosed action",
		"\n{{ .Nope }}":       "text:2:3: executing \"text\" at <.Nope>: can't evaluate field Nope",
		`{{ template "no" }}`: `"no" not defined`,
		" {{/* nothing */}} ": "empty text",
	} {
		if _, err := set.Text(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", source, err, want)
		}
	}
}

func TestUsersFilesReplaceTheDefault(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "mine.tmpl")
	if err := os.WriteFile(mine, []byte(`{{ define "sms.default" }}mine: {{ .Status }}{{ end }}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := text(t, byDefault, mine).Render(group(1), 1); r.Text != "mine: firing" {
		t.Errorf("gives %q", r.Text)
	}
}
