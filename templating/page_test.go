package templating_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// TestPage: the examples in docs/templates.md give the texts shown there.
func TestPage(t *testing.T) {
	const name = "../docs/templates.md"
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	for _, block := range []struct {
		name string
		body string
	}{{"functions", functionsOfPage(t)}, {"rules", rulesOfPage(t)}, {"texts", textsOfPage(t)}} {
		between := regexp.MustCompile(`(?s)(<!-- ` + block.name + `: [^\n]*-->\n).*?(<!-- end -->)`)
		at := between.FindStringSubmatchIndex(page)
		if at == nil {
			t.Fatalf("%s has no place for the %s", name, block.name)
		}
		page = page[:at[3]] + block.body + page[at[4]:]
	}
	if page == string(body) {
		return
	}
	if !*update {
		t.Errorf("the examples of %s do not match the output; if the output is right, run go test ./templating -update", name)
		return
	}
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

func functionsOfPage(t *testing.T) string {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	n := payload(t, "testdata/payloads/05-some-resolved-mixed.json")
	var b strings.Builder
	b.WriteString("| function | is | example | gives |\n|---|---|---|---|\n")
	for _, f := range []struct{ name, is, example string }{
		{"`since TIME`", "Alertmanager's: how long ago", `{{ range .Alerts.Firing }}{{ since .StartsAt }} {{ end }}`},
		{"`duration DURATION`", "a length of time with its two largest units", `{{ range .Alerts.Firing }}{{ since .StartsAt | duration }} {{ end }}`},
		{"`age ALERT`", "how long an alert fires, or fired until it was resolved; nothing in its first minute", `{{ range .Alerts }}{{ age . }} {{ end }}`},
		{"`clock TIME`", "the time of day in the receiver's `timezone`, on another day with the weekday, a week away with the date; without a `timezone`, in UTC, and the text says so", `{{ range .Alerts.Resolved }}{{ clock .EndsAt }} {{ end }}`},
		{"`short NUMBER TEXT`", "at most NUMBER septets: both ends of a name, the beginning of words", `{{ .CommonLabels.alertname | short 22 }}; {{ .CommonAnnotations.summary | short 22 }}`},
		{"`uniq LABEL ALERTS`", "the label's different values", `{{ .Alerts | uniq "instance" | join " " }}`},
		{"`uniq STRINGS`", "the different strings", `{{ stringSlice "a" "b" "a" | uniq | join " " }}`},
		{"`list NUMBER STRINGS`", "the first NUMBER, and how many more", `{{ .Alerts | uniq "instance" | list 2 }}`},
		{"`plural NUMBER NOUN [PLURAL]`", "the number and its noun", `{{ plural 1 "alert" }}, {{ plural .FiringCount "alert" }}, {{ plural 3 "query" "queries" }}`},
		{"`cheap TEXT`", "`(` for `[` and `{`, `/` for `|`: one septet for two", `{{ cheap "rate(x[5m]) {a|b}" }}`},
		{"`tail`", "what follows stays whatever is cut", `{{ .CommonAnnotations.summary }}{{ tail }} https://wiki.example/disk`},
		{"`start .`", "what has happened: `STILL` for a recipient who has had the page before, the severity; `RESOLVED`, or why Grafana ended it", `{{ start . }}`},
		{"`severity .`", "the most severe severity of the alerts that fire, in capitals; of a bare number `SEV1`", `{{ severity . }}`},
		{"`subject .`", "the alerts' name, and where the group is", `{{ subject . }}`},
		{"`counts .`", "how many alerts fire and are resolved", `{{ counts . }}`},
		{"`age .`", "how long the alerts have been firing, or fired; a range if the ages differ by more than a fifth", `{{ age . }}`},
		{"`spread .`", "the range of the figures, if the lines have no room for them", `{{ spread . }}`},
		{"`sentence .`", "of a single alert the sentence with the figure; of several the sentence that all share", `{{ sentence . }}`},
		{"`object .`", "of a single alert what is broken, if its sentence does not name it", `{{ object . }}`},
		{"`lines .`", "a line for each alert that fires, or for each name", `{{ lines . | join "; " }}`},
		{"`resolved .`", "the resolved alerts of a group that fires", `{{ resolved . }}`},
		{"`sentence ALERT`", "the sentence of one alert", `{{ sentence (index .Alerts 0) }}`},
		{"`object ALERT`", "what is broken, of one alert", `{{ object (index .Alerts 0) }}`},
		{"`differ ALERT`", "what distinguishes an alert from the others", `{{ range .Alerts }}{{ differ . }} {{ end }}`},
		{"`value ALERT`", "the figure of an alert that was measured", `{{ range .Alerts }}{{ value . }} {{ end }}`},
		{"`joined SEPARATOR TEXT...`", "the texts that are not empty, with a separator between them", `{{ joined ": " (subject .) "" (age .) }}`},
	} {
		set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := set.Text("x "+f.example, paris) // some write nothing if nothing fires
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		r := tmpl.Render(n, templating.Budget{MaxSegments: 2})
		if r.Err != nil {
			t.Errorf("%s: %v", f.name, r.Err)
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", f.name, strings.ReplaceAll(f.is, "|", `\|`), strings.ReplaceAll(f.example, "|", `\|`), cmp.Or(strings.TrimPrefix(strings.TrimPrefix(r.Text, "x"), " "), "nothing"))
	}
	return b.String()
}

func textsOfPage(t *testing.T) string {
	names, err := filepath.Glob("testdata/payloads/*.json")
	if err != nil || len(names) != 17 {
		t.Fatalf("%d payloads, %v", len(names), err)
	}
	var b strings.Builder
	tmpl := text(t, byDefault)
	for _, name := range names {
		fmt.Fprintf(&b, "### %s\n\n", strings.TrimSuffix(filepath.Base(name), ".json"))
		var first string
		for _, segments := range []int{2, 1} {
			r := tmpl.Render(payload(t, name), templating.Budget{MaxSegments: segments})
			if r.Err != nil {
				t.Errorf("%s: %v", name, r.Err)
			}
			check(t, r, segments)
			if r.Text == first {
				continue
			}
			first = r.Text
			how := fmt.Sprintf("%d septets, %s", r.Size.Units, templating.Counted(r.Size.Segments, "segment"))
			if r.Hidden > 0 {
				how += fmt.Sprintf(", %d of %d alerts", r.Shown, r.Shown+r.Hidden)
			}
			if n := len(r.Shortened); n > 0 {
				how += ", " + templating.Counted(n, "value") + " shortened"
			}
			if r.Cut {
				how += ", cut"
			}
			fmt.Fprintf(&b, "%s:\n\n```\n%s\n```\n\n", how, r.Text)
		}
	}
	return b.String()
}

// TestDefaultsAreCheap: every character that the built-in texts add takes one septet.
func TestDefaultsAreCheap(t *testing.T) {
	names, err := filepath.Glob("testdata/payloads/*.json")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := text(t, byDefault)
	for _, name := range names {
		if strings.Contains(name, "template-quotes") {
			continue // its summary is full of braces
		}
		r := tmpl.Render(payload(t, name), templating.Budget{MaxSegments: 2})
		if r.Text != gsm7.Cheap(r.Text) {
			t.Errorf("%s: %q holds a character of two septets", name, r.Text)
		}
	}
}
