package templating

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// composition holds what the functions of templates can write about one notification. Its pieces
// are made once; a [choice] selects which of them are written.
type composition struct {
	set    *Set
	view   *view
	now    time.Time
	alerts alertmanager.Alerts // sorted by [SeverityOrder.sort], at most maxAlerts
	known  []*detail           // details of the alerts, see detailAt
	first  *detail             // of the first alert
	total  int                 // number of all alerts
	name   string              // the name of all alerts, "" if they differ
	single bool
	over   bool // nothing fires or may fire
	// unevaluated is why Grafana could not evaluate any of the rules, see [unevaluated].
	unevaluated string
	// ending is why Grafana ended all of the alerts, see [stateReason].
	ending      string
	context     []string // values that say where the group is
	least, most time.Duration

	ways    []one  // for a single alert
	leanest string // the sentence of a single alert at its shortest without a cut

	entries     []entry    // lines, firing alerts before resolved ones
	merged      []entry    // lines with only the objects that the rule's author named; nil: same as entries
	details     []*detail  // of all alerts of one name, if they are few
	common      *statement // the sentence that all alerts share
	place       string     // what all lines have in common
	namespace   string     // the namespace of all pods in the lines
	lineRank    rank       // the most exact label that distinguishes the lines
	lineLabels  string     // labels that distinguish the lines, for preview
	figuresFrom string     // origin of the lines' figures, for preview
}

// choice selects how much of a composition is written.
type choice struct {
	way      int  // index into ways, for a single alert
	bare     bool // without the common sentence
	plain    bool // lines without figures
	quiet    bool // without the names of resolved alerts
	lean     bool // only the objects that the rule's author named; the others are counted
	names    bool // for several names: lines only with the objects that fit into room
	room     int
	lines    int // at most this many; -1: all
	segments int // number of segments that it should need
}

// everything is the choice that leaves nothing out.
var everything = choice{lines: -1}

// compositionOf returns the composition of a view, made from its alerts.
func (s *Set) compositionOf(v *view, alerts alertmanager.Alerts, now time.Time) *composition {
	c := &composition{set: s, view: v, now: now, alerts: alerts[:min(len(alerts), maxAlerts)], total: len(alerts), single: v.Single}
	c.over = v.Status == string(model.AlertResolved) && !v.MayStillFire
	c.known = make([]*detail, len(c.alerts))
	if len(c.alerts) == 0 {
		c.first = &detail{Alert: &alertmanager.Alert{Labels: v.CommonLabels, Annotations: v.CommonAnnotations}}
		c.first.name = cmp.Or(alertName(v.CommonLabels), v.GroupLabels[model.AlertNameLabel])
		c.name = c.first.name
		c.context = c.contextOf(nil)
		return c
	}
	c.first = c.detailAt(0)
	c.unevaluated = shared(alerts, unevaluated)
	c.ending = shared(alerts, stateReason)
	c.name = shared(alerts, c.nameOf)
	c.least, c.most = c.ages()
	c.context = c.contextOf(c.first.labels)
	if c.single {
		c.ways = c.oneOf(c.first)
		return c
	}
	c.entries = c.entriesOf(alerts)
	c.common = c.commonStatement()
	c.place = c.commonPlace()
	return c
}

// shared returns the value of a property that all alerts have in common, or "".
func shared(alerts alertmanager.Alerts, property func(*alertmanager.Alert) string) string {
	common := property(&alerts[0])
	for i := range alerts {
		if property(&alerts[i]) != common {
			return ""
		}
	}
	return common
}

// nameOf returns the name of an alert. If Grafana could not evaluate this rule, but others, it adds
// the reason.
func (c *composition) nameOf(a *alertmanager.Alert) string {
	name := alertName(a.Labels)
	if why := unevaluated(a); why != c.unevaluated {
		name += " (" + why + ")"
	}
	return name
}

// detailAt returns the detail of an alert, read once.
func (c *composition) detailAt(i int) *detail {
	if c.known[i] == nil {
		d := c.set.detailOf(&c.alerts[i])
		c.known[i] = &d
	}
	return c.known[i]
}

// always lists labels that a text gives even if the group is not named by them: they say in which
// of several like places something is.
var always = []string{"cluster", "cluster_name", "k8s_cluster_name", "cluster_id", "environment", "env", "deployment_environment", "deployment_environment_name", "region"}

// contextOf returns the values that say where a group is: the values that it is grouped by, and the
// cluster or environment that all alerts share. labels are those of one alert.
func (c *composition) contextOf(labels []label) []string {
	words := make([]string, 0, 4)
	add := func(word string) {
		if word != "" && word != c.name && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	v := c.view
	for _, name := range always {
		for _, p := range v.common {
			if c.set.ignored[canonical(p.Name)] {
				continue
			}
			if canonical(strings.TrimPrefix(p.Name, "exported_")) == name && v.CommonLabels["exported_"+p.Name] == "" {
				add(p.Value)
			}
		}
	}
	if len(v.GroupLabels) <= 4 {
		for _, p := range v.GroupLabels.SortedPairs() {
			if len(labels) == 0 || slices.ContainsFunc(labels, func(l label) bool { return l.name == p.Name && !l.foreign }) {
				add(c.groupWord(p))
			}
		}
	}
	return words
}

// groupWord returns what a text says about a label that the group is named by, or "".
func (c *composition) groupWord(p alertmanager.Pair) string {
	r := c.set.rankOf(p.Name)
	switch {
	case p.Name == model.AlertNameLabel || isSeverity(p.Name) || p.Name == "grafana_folder" || c.set.ignored[canonical(p.Name)]:
		return ""
	case c.name == "" && (r == rankIgnored || r == rankOwn):
		return p.Name + " " + p.Value
	case c.name != "" && (r == rankIgnored || r == rankJob || r == rankService):
		return ""
	}
	return p.Value
}

// severityOf returns the severity of an alert, or "".
func (c *composition) severityOf(a *alertmanager.Alert) string { return c.set.severities.of(a.Labels) }

// severity returns the most severe severity of the firing alerts, or of all alerts if nothing fires
// or unlisted alerts may fire. If none has a severity, it returns "FIRING", or "" if nothing fires.
func (c *composition) severity() string {
	for i := range c.alerts {
		a := &c.alerts[i]
		if word := severityWord(c.severityOf(a)); word != "" && (c.over || c.view.MayStillFire || a.Status == string(model.AlertFiring)) {
			return word
		}
	}
	if c.over {
		return ""
	}
	return "FIRING"
}

// subject returns the name of the alerts, and where the group is.
func (c *composition) subject(ch choice) string {
	if c.single {
		return c.ways[ch.way].subject
	}
	text, sentence := c.name, c.sentence(ch)
	switch {
	case c.name == "":
		text = c.unevaluated
	case c.unevaluated != "":
		text += " (" + c.unevaluated + ")"
	}
	words := c.context
	if !ch.quiet {
		words = append(slices.Clone(words), c.namespace)
	}
	for _, word := range append(slices.Clone(words), c.place) {
		if word != "" && !names(text, word) && !namesHost(sentence, word) {
			text = strings.TrimSpace(text + " " + word)
		}
	}
	return text
}

// object returns the part of a single alert's place that its sentence lacks.
func (c *composition) object(ch choice) string {
	if c.single {
		return c.ways[ch.way].object
	}
	return ""
}

// sentence returns what is wrong: the sentence of a single alert, or the sentence that several
// alerts share.
func (c *composition) sentence(ch choice) string {
	if c.single {
		return c.ways[ch.way].sentence
	}
	if c.common == nil || ch.bare || c.over {
		return ""
	}
	return c.common.text
}

// commonStatement returns the sentence that all alerts share, or nil. It comes from an annotation that
// is the same in all alerts, or is the same once the places that differ are left out.
func (c *composition) commonStatement() *statement {
	if c.name == "" {
		return nil
	}
	for _, s := range c.first.preferred() {
		name, _, _ := strings.Cut(s.from, ",")
		raw := c.first.Annotations[name]
		if raw != "" && !slices.ContainsFunc(c.alerts, func(a alertmanager.Alert) bool { return a.Annotations[name] != raw }) {
			return s
		}
	}
	for _, s := range c.first.preferred() {
		text := placeless(c.first, s)
		if len(c.details) == 0 || len(text) == len(s.text) || c.first.echoes(text) {
			continue
		}
		if !slices.ContainsFunc(c.details, func(d *detail) bool {
			return !slices.ContainsFunc(d.statements, func(other statement) bool { return other.from == s.from && placeless(d, &other) == text })
		}) {
			return &statement{text: text, from: s.from}
		}
	}
	return nil
}

// placeless returns a sentence without " on X" and similar phrases where X is the value of a label.
func placeless(d *detail, s *statement) string {
	return withoutPlaces(s.text, func(value string) bool {
		return slices.ContainsFunc(d.labels, func(l label) bool { return l.value == value || l.rank.short(l.value) == value })
	})
}

// age returns how long the alerts have been firing, or fired: "9m", or "12-17m" if the ages differ
// by more than a fifth; for a single alert "for 9m", if nothing fires "after 9m". It returns "" if
// the age is unknown or under a minute.
func (c *composition) age(short bool) string {
	least, most := c.least, c.most
	if short {
		least, most = coarse(least), coarse(most)
	}
	text := durations(least, most)
	switch {
	case text == "":
		return ""
	case c.over:
		return "after " + text
	case c.single:
		return "for " + text
	}
	return text
}

// isRange reports whether the ages differ so much that the text gives a range.
func (c *composition) isRange() bool { return c.most-c.least > c.most/5 }

// ages returns the lowest and the highest age of the firing alerts, or of all if none fires.
func (c *composition) ages() (least, most time.Duration) {
	for i := range c.alerts {
		a := &c.alerts[i]
		if c.view.FiringCount > 0 && a.Status != string(model.AlertFiring) {
			continue
		}
		d := age(a, c.now)
		if d == 0 {
			continue
		}
		if least == 0 || d < least {
			least = d
		}
		most = max(most, d)
	}
	return least, most
}

// coarse returns a duration without its smaller unit if that changes it by less than a tenth.
func coarse(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		if whole := d.Truncate(unit); whole > 0 && d-whole < d/10 {
			return whole
		}
	}
	return d
}

// durations returns a range of durations, with the unit once if both have the same.
func durations(least, most time.Duration) string {
	long := Duration(most)
	if most-least <= most/5 {
		return long
	}
	short := Duration(least)
	if n := len(long) - 1; n > 0 && short != "" && short[len(short)-1] == long[n] && strings.Trim(short[:len(short)-1]+long[:n], "0123456789") == "" {
		short = short[:len(short)-1]
	}
	return fmt.Sprintf("%s-%s", short, long)
}
