package templating_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

func TestFitting(t *testing.T) {
	n := group(40)
	list := text(t, `{{ len .Alerts.Firing }} of {{ .FiringCount }}:{{ range .Alerts }} {{ .Labels.instance }}{{ end }}`)
	r := list.Render(n, templating.Budget{MaxSegments: 1})
	check(t, r, 1)
	if r.Shown+r.Hidden != 40 || r.Hidden == 0 || r.Cut || !strings.HasSuffix(r.Text, fmt.Sprintf(" +%d more", r.Hidden)) {
		t.Errorf("the result is %+v", r)
	}
	// One more alert would not have fitted.
	if longer := r.Size.Units + len(" node-00.example"); longer <= 160 {
		t.Errorf("%d septets leave room for another alert", r.Size.Units)
	}
	if first := n.Alerts[39].Labels["instance"]; !strings.Contains(r.Text, ": "+first) {
		t.Errorf("%q does not begin with the newest, %s", r.Text, first)
	}
	counted := text(t, `{{ range .Alerts }}{{ .Labels.instance }} {{ end }}and {{ .Hidden }} others`).Render(n, templating.Budget{MaxSegments: 1})
	if !strings.HasSuffix(counted.Text, fmt.Sprintf("and %d others", counted.Hidden)) {
		t.Errorf("a template that writes the number of hidden alerts gives %q", counted.Text)
	}
	all := text(t, `{{ len .Alerts }} alerts`).Render(n, templating.Budget{MaxSegments: 1})
	if all.Text != "40 alerts" || all.Hidden != 0 {
		t.Errorf("a group that fits gives %+v", all)
	}
	for range 3 {
		if again := list.Render(n, templating.Budget{MaxSegments: 1}); again.Text != r.Text {
			t.Errorf("the text is first %q, then %q", r.Text, again.Text)
		}
	}
}

func TestMostSevereAreShown(t *testing.T) {
	n := group(40)
	n.Alerts[7].Labels["severity"] = "page"
	for i := range n.Alerts {
		if i != 7 {
			n.Alerts[i].Labels["severity"] = "warning"
		}
	}
	n.Alerts[39].Status = "resolved"
	r := text(t, byDefault).Render(n, templating.Budget{MaxSegments: 1})
	if !strings.HasPrefix(r.Text, "PAGE TargetDown: 39 firing, 1 resolved, 2-40m\nnode-07\nWARNING:\nnode-37\nnode-38\n") || !strings.HasSuffix(r.Text, fmt.Sprintf("\n+%d more", r.Hidden)) || r.Shown+r.Hidden != 40 {
		t.Errorf("the text is %q", r.Text)
	}
}

// long returns a single alert that says more than two segments hold.
func long() templating.Notification {
	n := group(1)
	n.Alerts[0].Labels["pod"] = "kubernetes-prod-worker-payments-checkout-api-6c9f7d5b8d-x2lqp"
	n.Alerts[0].Annotations = map[string]string{"summary": "Words " + strings.Repeat("and words ", 50) + "https://wiki.example/" + strings.Repeat("x", 80)}
	return n
}

func TestValuesAreShortened(t *testing.T) {
	tmpl := text(t, `{{ range .Alerts }}Pod {{ .Labels.pod }}: {{ .Annotations.summary }} in {{ .Labels.instance }}{{ end }}`)
	r := tmpl.Render(long(), templating.Budget{MaxSegments: 1})
	check(t, r, 1)
	if r.Cut || len(r.Shortened) != 1 || r.Size.Units < 150 || !strings.HasSuffix(r.Text, "and... in node-00.example") || !strings.HasPrefix(r.Text, "Pod kubernetes-prod-worker-payments-checkout-api-6c9f7d5b8d-x2lqp: Words") {
		t.Errorf("the result is %+v", r)
	}
	names := text(t, `{{ range .Alerts }}{{ .Labels.pod }} {{ .Labels.pod }} {{ .Labels.pod }} {{ .Labels.pod }}{{ end }}`)
	r = names.Render(long(), templating.Budget{MaxSegments: 1})
	check(t, r, 1)
	if want := strings.TrimSpace(strings.Repeat("kubernetes-prod-worker-payment...-x2lqp ", 4)); r.Text != want || len(r.Shortened) != 1 {
		t.Errorf("the result is %+v, want %q", r, want)
	}
	// A value that a template compares is not shortened.
	decides := text(t, `{{ range .Alerts }}{{ if eq .Labels.pod "kubernetes-prod-worker-payments-checkout-api-6c9f7d5b8d-x2lqp" }}it: {{ .Annotations.summary }}{{ end }}{{ end }}-`)
	if r := decides.Render(long(), templating.Budget{MaxSegments: 1}); !strings.HasPrefix(r.Text, "it: Words") {
		t.Errorf("the text is %q", r.Text)
	}
}

func TestCutAtAWord(t *testing.T) {
	r := text(t, `{{ range .Alerts }}`+strings.Repeat("literal text ", 20)+`{{ .Annotations.summary }}{{ end }}`).Render(long(), templating.Budget{MaxSegments: 1})
	check(t, r, 1)
	if !r.Cut || !strings.HasSuffix(r.Text, " text...") {
		t.Errorf("the result is %+v", r)
	}
}

func TestTightSpellingSavesASegment(t *testing.T) {
	n := group(1)
	tmpl := func(fill int) string {
		return strings.Repeat("a", fill) + ` [{{ .Status }}] {{ range .Alerts }}{{ .Labels.instance }}{{ end }}`
	}
	loose := text(t, tmpl(100)).Render(n, templating.Budget{MaxSegments: 2})
	if !strings.Contains(loose.Text, "[firing]") {
		t.Errorf("if no segment is saved, the text is %q", loose.Text)
	}
	tight := text(t, tmpl(135)).Render(n, templating.Budget{MaxSegments: 2})
	if tight.Size.Segments != 1 || !strings.Contains(tight.Text, "(firing) node-00") ||
		!slices.Contains(tight.Changes(), gsm7.Change{From: "[", To: "(", Count: 1}) {
		t.Errorf("the result is %+v, %v", tight, tight.Changes())
	}
}

func TestAFewSeptetsDoNotCostASegment(t *testing.T) {
	n := group(1)
	render := func(words int) templating.Rendering {
		n.CommonAnnotations = map[string]string{"summary": strings.TrimSpace(strings.Repeat("word ", words)) + "s"}
		r := text(t, `{{ .CommonAnnotations.summary }}{{ if not .CommonAnnotations.summary }}-{{ end }}`).Render(n, templating.Budget{MaxSegments: 3})
		check(t, r, 3)
		return r
	}
	for _, tc := range []struct{ words, segments, shortened int }{
		{32, 1, 0}, // 160 septets
		{33, 1, 1},
		{35, 1, 1}, // 175
		{36, 2, 0}, // 180
		{61, 2, 0}, // 305
		{62, 2, 1}, // 310
		{65, 3, 0},
	} {
		if r := render(tc.words); r.Size.Segments != tc.segments || len(r.Shortened) != tc.shortened || r.Cut {
			t.Errorf("%d words give %d segments, %d values shortened: %q", tc.words, r.Size.Segments, len(r.Shortened), r.Text)
		}
	}
}

// Tight spelling alone saves no segment, but leaves only a few septets in the last one.
func TestAFewSeptetsOfTheTightSpelling(t *testing.T) {
	n := group(1)
	n.CommonAnnotations = map[string]string{"summary": strings.TrimSpace(strings.Repeat("word ", 28))}
	r := text(t, strings.Repeat("[]", 11)+`{{ .CommonAnnotations.summary }}`).Render(n, templating.Budget{MaxSegments: 2})
	check(t, r, 1)
	if len(r.Shortened) != 1 || r.Cut || !strings.HasPrefix(r.Text, "()()") {
		t.Errorf("the result is %+v", r)
	}
}

func TestAgesOfDaysAreShortIfThatSavesASegment(t *testing.T) {
	n := group(8)
	for i := range n.Alerts {
		n.Alerts[i].StartsAt = now().Add(-30 * time.Hour)
	}
	tmpl := text(t, `{{ range .Alerts }}{{ .Labels.instance }} {{ age . }} {{ end }}`)
	if r := tmpl.Render(n, templating.Budget{MaxSegments: 2}); r.Size.Segments != 1 || !strings.Contains(r.Text, " 1d ") {
		t.Errorf("the result is %+v", r)
	}
	n.Alerts = n.Alerts[:2]
	if r := tmpl.Render(n, templating.Budget{MaxSegments: 2}); !strings.Contains(r.Text, " 1d6h") {
		t.Errorf("if no segment is saved, the result is %+v", r)
	}
}

func TestTailStays(t *testing.T) {
	n := long()
	n.TruncatedAlerts = 3
	tmpl := text(t, `{{ range .Alerts }}{{ .Annotations.summary }} {{ .Annotations.summary }}{{ end }}{{ tail }} https://wiki.example/{{ .GroupLabels.alertname }}?q=[1]`)
	for segments := 1; segments <= 3; segments++ {
		r := tmpl.Render(n, templating.Budget{MaxSegments: segments, Tail: "Re 4821"})
		check(t, r, segments)
		if !strings.HasPrefix(r.Text, "Words and") || !strings.HasSuffix(r.Text, " +3 more https://wiki.example/TargetDown?q=[1]\nRe 4821") {
			t.Errorf("the text is %q", r.Text)
		}
	}
	// If a template's tail leaves no room for what fires, it counts as text; the budget's tail
	// always stays.
	greedy := text(t, `What fires: {{ .Status }}.{{ tail }}{{ range 40 }} tail{{ end }}`).Render(n, templating.Budget{MaxSegments: 1, Tail: "Re 4821"})
	if check(t, greedy, 1); !strings.HasPrefix(greedy.Text, "What fires: firing. tail") || !strings.HasSuffix(greedy.Text, "tail... +3 more\nRe 4821") || !greedy.Cut {
		t.Errorf("the result is %+v", greedy)
	}
	// A URL that is too long is left out, what fires stays.
	url := " https://wiki.example/" + strings.Repeat("path/", 40)
	for _, source := range []string{`{{ template "sms.default" . }}{{ tail }}` + url, `{{ subject . }}: {{ sentence . }}` + url} {
		r := text(t, source).Render(n, templating.Budget{MaxSegments: 1})
		if check(t, r, 1); !strings.Contains(r.Text, "TargetDown") || r.Size.Units < 100 || strings.Contains(r.Text, "https") || !r.Cut {
			t.Errorf("%s gives %q", source, r.Text)
		}
	}
	// The built-in text has the tail too.
	n.NotificationReason = "another"
	failing := text(t, `x{{ if eq .NotificationReason "another" }}{{ index .Alerts 9 }}{{ end }}`).Render(n, templating.Budget{MaxSegments: 1, Tail: "Re 4821"})
	if check(t, failing, 1); failing.Err == nil || !strings.HasSuffix(failing.Text, " +3 more\nRe 4821") {
		t.Errorf("the result is %+v", failing)
	}
}

func TestHostsAreShortIfUnambiguous(t *testing.T) {
	n := group(7)
	for i, instance := range []string{"db-1.example.com:9100", "db-2.example.com:9100", "db-2.example.com:9104", "10.0.0.1:9100", "web.eu.example:80", "web.us.example:80", "x.example:1"} {
		n.Alerts[i].Labels["instance"] = instance
		n.Alerts[i].StartsAt = now().Add(-time.Duration(i) * time.Minute)
	}
	r := text(t, byDefault).Render(n, templating.Budget{MaxSegments: 2})
	want := "CRITICAL TargetDown: 7 firing, 1-6m\ndb-1\ndb-2.example.com:9100\n10.0.0.1\ndb-2.example.com:9104\nweb.eu\nweb.us\nx.example"
	if r.Text != want {
		t.Errorf("the text is %q, want %q", r.Text, want)
	}
}

func TestTidy(t *testing.T) {
	r := text(t, "a  b \n\n\n\n  c\n{{ .Status }}\t \n").Render(group(1), templating.Budget{MaxSegments: 1})
	if want := "a b\n\nc\nfiring"; r.Text != want {
		t.Errorf("the text is %q, want %q", r.Text, want)
	}
}

func TestClock(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: now}) // Monday 23 November 2026, 20:34 in Paris
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ago  time.Duration
		zone *time.Location
		want string
	}{
		{time.Hour, paris, "19:34"},
		{time.Hour, nil, "18:34 UTC"},
		{21 * time.Hour, paris, "Sun 23:34"},
		{40 * 24 * time.Hour, paris, "14 Oct 21:34"}, // in summer time
	} {
		n := group(1)
		n.Alerts[0].StartsAt = now().Add(-tc.ago)
		tmpl, err := set.Text(`{{ range .Alerts }}{{ clock .StartsAt }}{{ end }}-`, tc.zone)
		if err != nil {
			t.Fatal(err)
		}
		if r := tmpl.Render(n, templating.Budget{}); r.Text != tc.want+"-" {
			t.Errorf("%v ago in %v gives %q, want %q", tc.ago, tc.zone, r.Text, tc.want)
		}
	}
}

func TestFunctionErrorsSayWhatTheyWant(t *testing.T) {
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		`{{ uniq 5 }}`:               "wants a list of strings, has int",
		`{{ uniq }}`:                 "has 0 arguments",
		`{{ uniq .Alerts "job" }}`:   "wants a label's name and alerts",
		`{{ plural 1 "a" "b" "c" }}`: `takes at most one plural of "a", got 2`,
		"{{ if true }}\n{{ template \"gone\" . }}{{ end }}": `text:2:12: template "gone" not defined`,
	} {
		if _, err := set.Text(source, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", source, err, want)
		}
	}
}

// TestAlertmanagersList: list works as Alertmanager's unless its arguments are those of ours.
func TestAlertmanagersList(t *testing.T) {
	r := text(t, `{{ range list "a" "b" }}{{ . }}-{{ end }}{{ len (list) }}{{ len (append (list 1) 2 3) }} {{ template "__subject" . }}`).Render(group(1), templating.Budget{})
	if want := "a-b-03 [FIRING:1] TargetDown (critical)"; r.Text != want {
		t.Errorf("the text is %q, want %q", r.Text, want)
	}
}
