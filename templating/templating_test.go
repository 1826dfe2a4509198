package templating_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

var update = flag.Bool("update", false, "write the golden files")

// now is a few minutes after the payloads were captured.
func now() time.Time { return time.Date(2026, 11, 23, 19, 34, 0, 0, time.UTC) }

const byDefault = `{{ template "sms.default" . }}`

func text(t testing.TB, source string, globs ...string) *templating.Text {
	t.Helper()
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: now, Globs: globs})
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.Text(source, nil)
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

// check checks what holds for every rendering.
func check(t testing.TB, r templating.Rendering, segments int) {
	t.Helper()
	if r.Text == "" || r.Size != gsm7.Measure(r.Text) || r.Size.Segments > segments {
		t.Errorf("%q is %v, of at most %d segments", r.Text, r.Size, segments)
	}
	for _, c := range r.Text {
		if !textinghouse.Alphabet.Has(c) {
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
		if r := text(t, source).Render(n, templating.Budget{MaxSegments: 2}); !strings.Contains(r.Text, want) || r.Err != nil {
			t.Errorf("%s gives %q, %v, want %q in it", source, r.Text, r.Err, want)
		}
	}
}

// TestAlertmanagersTemplates runs templates that people have for Alertmanager.
func TestAlertmanagersTemplates(t *testing.T) {
	n := payload(t, "testdata/payloads/05-some-resolved-mixed.json")
	for source, want := range map[string]string{
		`[{{ .Status | toUpper }}:{{ .Alerts.Firing | len }}] {{ .GroupLabels.SortedPairs.Values | join " " }}`: "[FIRING:2] ",
		`{{ range .Alerts.Firing }}{{ .Labels.alertname }} {{ end }}`:                                           "NodeFilesystemAlmostOutOfSpace NodeFilesystemAlmostOutOfSpace",
		`{{ .CommonLabels.Remove (stringSlice "alertname") | len }} {{ reReplaceAll "a" "b" "aaa" }}`:           " bbb",
		`{{ (now).Format "15:04" }} {{ .ExternalURL }}`:                                                         "19:34 http://alertmanager.example:9093",
	} {
		if r := text(t, source).Render(n, templating.Budget{MaxSegments: 2}); !strings.Contains(r.Text, want) || r.Err != nil {
			t.Errorf("%s gives %q, %v, want %q in it", source, r.Text, r.Err, want)
		}
	}
}

// group returns a firing group of some alerts, the last one the newest.
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
	// These templates work on the samples, whose reasons are known.
	for source, want := range map[string]string{
		`{{ if eq .NotificationReason "another" }}{{ index .Alerts 99 }}{{ end }}x`:                                            "out of range",
		`{{ if ne .NotificationReason "another" }}x{{ end }}`:                                                                  "writes nothing",
		`{{ define "r" }}{{ template "r" . }}{{ end }}{{ if eq .NotificationReason "another" }}{{ template "r" . }}{{ end }}x`: "nested more than 1000 deep",
		`x{{ if eq .NotificationReason "another" }}{{ reReplaceAll "(" "" "x" }}{{ end }}`:                                     "missing closing",
		`x{{ if eq .NotificationReason "another" }}{{ range 1000000000 }}{{ end }}{{ end }}`:                                   "needs more than 1048576 steps",
	} {
		set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := set.Text(source, nil)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		r := tmpl.Render(n, templating.Budget{MaxSegments: 2})
		check(t, r, 2)
		if r.Err == nil || !strings.Contains(r.Err.Error(), want) || !strings.HasPrefix(r.Text, "CRITICAL KubePodCrashLooping") {
			t.Errorf("%s gives %q, %v", source, r.Text, r.Err)
		}
	}
}

func TestFallbackDoesNotCallResolvedAlertsFiring(t *testing.T) {
	n := payload(t, "testdata/payloads/09-truncation-hides-firing.json")
	n.NotificationReason = "another"
	r := text(t, `x{{ if eq .NotificationReason "another" }}{{ index .Alerts 99 }}{{ end }}`).Render(n, templating.Budget{MaxSegments: 2})
	if want := "CRITICAL TargetDown: 5 resolved, up to 35 more may still fire"; r.Err == nil || r.Text != want {
		t.Errorf("the text is %q (%v), want %q", r.Text, r.Err, want)
	}
}

func TestEndlessOutputIsCut(t *testing.T) {
	r := text(t, `{{ range 1000000000 }}word {{ end }}`).Render(group(1), templating.Budget{MaxSegments: 1})
	check(t, r, 1)
	if !r.Cut || !strings.HasPrefix(r.Text, "word word") {
		t.Errorf("the result is %+v", r)
	}
}

func TestHugeGroup(t *testing.T) {
	n := group(10_000)
	for i := range n.Alerts {
		n.Alerts[i].Annotations = map[string]string{"summary": strings.Repeat("x", 10_000)}
	}
	n.TruncatedAlerts = 1 << 63
	r := text(t, byDefault).Render(n, templating.Budget{MaxSegments: 2})
	check(t, r, 2)
	if r.Shown == 0 {
		t.Errorf("the result is %+v", r)
	}
}

func TestOddNotifications(t *testing.T) {
	tmpl := text(t, byDefault)
	for name, n := range map[string]templating.Notification{
		"nothing at all":           {},
		"only a status":            {Data: dataOf("firing")},
		"resolved, without alerts": {Data: dataOf("resolved")},
		"may still fire":           {Data: dataOf("firing"), TruncatedAlerts: 35, MayStillFire: true},
		"no labels":                {Data: dataOf("firing", payloadAlert)},
		"two without labels":       {Data: dataOf("firing", payloadAlert, payloadAlert)},
	} {
		r := tmpl.Render(n, templating.Budget{MaxSegments: 2})
		check(t, r, 2)
		t.Logf("%s: %q", name, r.Text)
		if r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
}

// TestOneAlertOrAll checks what the functions accept: an alert within a range, or all alerts.
func TestOneAlertOrAll(t *testing.T) {
	n := payload(t, "testdata/payloads/15-v031-mixed-phone-label.json")
	if got := text(t, `{{ range .Alerts }}{{ severity . }} {{ end }}`).Render(n, templating.Budget{}).Text; got != "CRITICAL WARNING WARNING" {
		t.Errorf("the severities are %q", got)
	}
	if got := text(t, `{{ severity . }} {{ .Status }}`).Render(payload(t, "testdata/payloads/02-single-resolved.json"), templating.Budget{}).Text; got != "CRITICAL resolved" {
		t.Errorf("the severity of a resolved group is %q", got)
	}
	set, err := templating.New(templating.Options{})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(source, want string) {
		if _, err := set.Text(source, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", source, err, want)
		}
	}
	for _, function := range []string{"start", "counts", "subject", "spread", "lines", "resolved"} {
		refused(`{{ range .Alerts }}{{ `+function+` . }}{{ end }}`, function+": requires the notification ($), got an alert")
	}
	for _, function := range []string{"severity", "object", "sentence", "age"} {
		refused(`{{ `+function+` .CommonLabels }}`, function+": requires the notification ($) or an alert, got labels or annotations")
	}
}

func TestErrorsHaveAPosition(t *testing.T) {
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
		" {{/* nothing */}} ": "writes nothing",
	} {
		if _, err := set.Text(source, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", source, err, want)
		}
	}
}

func TestUsersFilesReplaceTheDefault(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "mine.tmpl")
	if err := os.WriteFile(mine, []byte(`{{ define "sms.default" }}mine: {{ .Status }}{{ end }}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := text(t, byDefault, mine).Render(group(1), templating.Budget{MaxSegments: 1}); r.Text != "mine: firing" {
		t.Errorf("the text is %q", r.Text)
	}
}

// TestPanic: whatever goes wrong, somebody is paged.
func TestPanic(t *testing.T) {
	clock := now
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: func() time.Time { return clock() }})
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := set.Text(byDefault, nil)
	if err != nil {
		t.Fatal(err)
	}
	clock = func() time.Time { panic("no clock") }
	r := tmpl.Render(group(3), templating.Budget{MaxSegments: 1, Tail: "Re 4821"})
	check(t, r, 1)
	if r.Err == nil || r.Text != "FIRING critical: TargetDown, 3 alerts\nRe 4821" || r.Headline == "" {
		t.Errorf("the result is %+v", r)
	}
}
