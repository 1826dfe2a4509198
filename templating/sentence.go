package templating

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// Annotations in which rules say what is wrong, most preferred first.
var (
	shortAnnotations = []string{"summary", "Summary", "message", "title"}
	longAnnotations  = []string{"description", "Description", "message", "details", "text", "body"}
)

// detail is what a text can say about an alert.
type detail struct {
	*alertmanager.Alert
	name        string
	severity    string
	labels      []label // most exact first
	statements  []statement
	wordsOfName []string // see nameWords
	// value is the VALUE in the rule's description.
	value string
}

// statement is one sentence of an annotation.
type statement struct {
	text    string // without its full stop, figures rounded
	from    string // its origin, for preview
	summary bool
	echo    bool // it says no more than the name and the labels
	advice  bool // it says what to do, not what is wrong
	figures []figure
	known   []span // label values
}

// measured reports whether a statement has a figure that was measured.
func (s *statement) measured() bool {
	return slices.ContainsFunc(s.figures, func(f figure) bool { return !f.constant })
}

// alertName returns the name of an alert, or of its rule if Grafana could not evaluate it.
func alertName(labels alertmanager.KV) string {
	name := labels[model.AlertNameLabel]
	if name == grafanaNoData || name == grafanaError {
		return cmp.Or(labels[grafanaRule], name)
	}
	return name
}

// forgetAddresses marks an address as not named if the annotations have it only in "(instance X)":
// a pod's name says more.
func (d *detail) forgetAddresses(text string) {
	for i := range d.labels {
		l := &d.labels[i]
		if l.rank == rankInstance && l.named && isAddress(l.value) && !names(strings.ReplaceAll(text, "(instance "+l.value+")", ""), l.value) {
			l.named = false
		}
	}
}

// detailOf reads the detail of an alert.
func (s *Set) detailOf(a *alertmanager.Alert) detail {
	d := detail{Alert: a, name: alertName(a.Labels), severity: s.severities.of(a.Labels)}
	summary, summaryFrom := firstAnnotation(a.Annotations, shortAnnotations)
	description, descriptionFrom := firstAnnotation(a.Annotations, longAnnotations)
	if descriptionFrom == summaryFrom {
		description = ""
	}
	summary, description = d.expanded(withoutDump(summary)), d.expanded(withoutDump(description))
	links := ""
	for _, name := range a.Annotations.Names() { // a link to a dashboard may name the object, too
		if name != summaryFrom && name != descriptionFrom && len(links) < longestAnnotation {
			links += "\n" + capped(a.Annotations[name])
		}
	}
	d.labels = s.labelsOf(a, summary+"\n"+description, links, d.nameWords())
	d.forgetAddresses(summary + "\n" + description)
	if summary != "" {
		d.read(summary, summaryFrom, true)
	}
	if description != "" && description != summary {
		d.read(description, descriptionFrom, false)
	}
	if reason := unevaluated(a); reason != "" && d.name != "" && a.Labels[grafanaRule] != "" {
		from := a.Labels[model.AlertNameLabel]
		if why := cmp.Or(words(a.Annotations["Error"]), words(a.Annotations["error"])); why != "" {
			reason += ": " + why
		}
		d.statements = append([]statement{{text: reason, from: from, summary: true}}, d.statements...)
	}
	return d
}

func firstAnnotation(annotations alertmanager.KV, names []string) (text, from string) {
	for _, name := range names {
		if text := words(annotations[name]); text != "" {
			return text, name
		}
	}
	return "", ""
}

// withoutDump removes the list of all labels that some rules append to their descriptions.
func withoutDump(s string) string {
	before, _, found := cutField(s, "LABELS")
	if !found {
		if text, labels, found := cutField(s, "Labels"); found && (strings.HasPrefix(labels, "map[") || strings.HasPrefix(labels, "{")) {
			return text
		}
	}
	return before
}

// cutField cuts a text at a field such as "VALUE = 5".
func cutField(s, field string) (before, value string, found bool) {
	for from := 0; ; {
		i := strings.Index(s[from:], field)
		if i < 0 {
			return s, "", false
		}
		i += from
		from = i + len(field)
		rest := strings.TrimLeft(s[from:], " ")
		if (i == 0 || !isWordByte(s[i-1])) && rest != "" && (rest[0] == '=' || rest[0] == ':') {
			return s[:i], strings.TrimLeft(rest[1:], " "), true
		}
	}
}

// read adds the sentences of an annotation to the detail.
func (d *detail) read(text, from string, summary bool) {
	if before, value, found := cutField(text, "VALUE"); found {
		end := numberEnd(strings.TrimPrefix(value, "-"), 0)
		if end > 0 && d.value == "" {
			d.value = rounded(value[:end+len(value)-len(strings.TrimPrefix(value, "-"))])
		}
		text = before
	}
	number := 0
	for _, one := range sentences(text) {
		one = d.withoutInstance(withoutTopics(one))
		if strings.Trim(one, "0123456789") == "" {
			continue
		}
		number++
		one = d.withoutLead(withoutWindow(one))
		if one == "" {
			continue
		}
		s := statement{text: one, from: from, summary: summary, advice: isAdvice(one) || strings.HasPrefix(one, "- ") || strings.HasPrefix(one, "* ")}
		if number > 1 {
			s.from += ", sentence " + strconv.Itoa(number)
		}
		s.known = d.known(one)
		s.figures = figures(one, s.known)
		if short := withRounded(one, s.figures); short != one {
			s.text = short
			s.known = d.known(short)
			s.figures = figures(short, s.known)
		}
		for i := range s.figures { // a number that is also in the name
			f := &s.figures[i]
			f.constant = f.constant || isDigit(f.text[len(f.text)-1]) && slices.Contains(d.nameWords(), f.text)
		}
		s.echo = d.echoes(s.text)
		d.statements = append(d.statements, s)
		if number == 6 {
			break
		}
	}
}

// expanded replaces {{ $labels.name }} by the label's value: some tools quote such expressions once
// too often, so Prometheus does not expand them.
func (d *detail) expanded(text string) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(text, "{{")
		inside, after, closed := strings.Cut(rest, "}}")
		if !open || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		if name, isLabel := strings.CutPrefix(strings.TrimSpace(inside), "$labels."); isLabel {
			b.WriteString(d.Labels[name])
		} else if !strings.HasPrefix(strings.TrimSpace(inside), "$") {
			b.WriteString("{{" + inside + "}}")
		}
		text = after
	}
}

// withoutTopics removes words such as "#page" at the end of a sentence.
func withoutTopics(s string) string {
	for {
		i := strings.LastIndexByte(s, ' ')
		if i < 0 || i+2 >= len(s) || s[i+1] != '#' || isDigit(s[i+2]) {
			return s
		}
		s = s[:i]
	}
}

// withoutLead removes words before a sentence that the text says already: "[CRITICAL]", "FIRING:",
// the alert's name.
func (d *detail) withoutLead(s string) string {
	for range 3 {
		rest := strings.TrimLeft(s, "[( ")
		cut := ""
		for _, lead := range [...]string{d.severity, d.Status, "alert", "warning", "critical", d.name} {
			if lead != "" && len(rest) > len(lead) && strings.EqualFold(rest[:len(lead)], lead) && strings.IndexByte("]):-", strings.TrimLeft(rest[len(lead):], " ")[0]) >= 0 {
				cut = strings.TrimLeft(rest[len(lead):], "]) :-")
				break
			}
		}
		if cut == "" {
			return s
		}
		s = cut
	}
	return s
}

// withoutInstance removes a label in brackets, such as "(instance X)".
func (d *detail) withoutInstance(s string) string {
	for _, word := range [...]string{"(instance ", "(instance:", "(host ", "[instance "} {
		begin := strings.Index(s, word)
		if begin < 0 {
			continue
		}
		end := strings.IndexAny(s[begin:], ")]")
		if end < 0 {
			continue
		}
		s = strings.TrimSpace(strings.TrimRight(s[:begin], " ") + s[begin+end+1:])
	}
	return strings.TrimRight(s, " .,;:-")
}

// known returns the spans of a text that are values of labels.
func (d *detail) known(text string) []span {
	var all []span
	for _, l := range d.labels {
		if !l.named && !(len(l.value) == 1 && isDigit(l.value[0])) {
			continue
		}
		if i := index(text, l.value); i >= 0 {
			all = append(all, span{i, i + len(l.value)})
		}
	}
	return all
}

// fillers holds words that mean nothing by themselves.
var fillers = map[string]bool{
	"a": true, "an": true, "the": true, "is": true, "are": true, "was": true, "has": true, "have": true, "had": true, "been": true, "be": true, "of": true, "on": true, "in": true, "at": true,
	"for": true, "to": true, "and": true, "by": true, "with": true, "from": true, "instance": true, "alert": true, "there": true, "its": true, "it": true, "this": true, "that": true, "too": true,
	"some": true, "soon": true, "server": true, "having": true, "least": true, "one": true,
}

// echoes reports whether a text says no more than the alert's name and labels.
func (d *detail) echoes(text string) bool {
	name, lower := d.nameWords(), strings.ToLower(d.name)
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }) {
		w := strings.ToLower(word)
		if fillers[w] || len(w) > 3 && strings.Contains(lower, w) || slices.ContainsFunc(name, func(n string) bool { return alike(n, w) }) {
			continue
		}
		if !slices.ContainsFunc(d.labels, func(l label) bool {
			return l.rank < rankUnlikely && (strings.Contains(strings.ToLower(l.value), w) || l.name == w)
		}) {
			return false
		}
	}
	return true
}

// alike reports whether two words have the same stem: "replicas" and "replica",
// "filling" and "fill".
func alike(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if a == b {
		return true
	}
	common := 0
	for common < len(a) && a[common] == b[common] {
		common++
	}
	return common >= 4 && len(a)-common <= 2 && len(b)-common <= 3 || common == len(a) && common >= 3 && len(b)-common <= 4
}

// nameWords returns the words of a name in CamelCase or with separators, in lower case.
func nameWords(name string) []string {
	var all []string
	begin := 0
	add := func(end int) {
		if end > begin {
			all = append(all, strings.ToLower(name[begin:end]))
		}
		begin = end
	}
	isUpper := func(i int) bool { return i < len(name) && name[i] >= 'A' && name[i] <= 'Z' }
	for i := range len(name) {
		switch c := name[i]; {
		case strings.IndexByte("_- .:/", c) >= 0:
			add(i)
			begin = i + 1
		case i > begin && isDigit(c) != isDigit(name[i-1]) && !isUpper(i):
			add(i)
		case i > begin && isUpper(i) && (!isUpper(i-1) || i+1 < len(name) && !isUpper(i+1) && strings.IndexByte("_- .:/s", name[i+1]) < 0):
			add(i)
		}
	}
	add(len(name))
	return all
}

// preferred returns the statements, most preferred first: the summary if it has a measured figure,
// other sentences with one, the summary if it has any figure, the summary without, then the rest.
// It leaves out statements that say no more than the name and the labels, and advice unless there is
// nothing else.
func (d *detail) preferred() []*statement {
	class := func(s *statement) int {
		switch {
		case s.advice:
			return 6
		case s.summary && s.measured():
			return 0
		case s.measured():
			return 1
		case s.summary && len(s.figures) > 0:
			return 2
		case s.summary:
			return 3
		}
		return 4
	}
	all := make([]*statement, len(d.statements))
	for i := range d.statements {
		all[i] = &d.statements[i]
	}
	slices.SortStableFunc(all, func(a, b *statement) int { return class(a) - class(b) })
	all = slices.DeleteFunc(all, func(s *statement) bool { return s.echo })
	if len(all) > 0 && !all[0].advice { // advice is better than nothing
		all = slices.DeleteFunc(all, func(s *statement) bool { return s.advice })
	}
	return all
}
