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

// composition is what the functions of templates say about one notification. Its pieces
// are made once; a [choice] says which of them are written.
type composition struct {
	set    *Set
	view   *view
	now    time.Time
	alerts alertmanager.Alerts // as sorted by [SeverityOrder.sort], at most maxAlerts
	known  []*detail           // of the alerts, see detailAt
	first  *detail             // of the first alert
	total  int                 // of all alerts
	name   string              // of all alerts, "" if they differ
	single bool
	over   bool // nothing fires, nor may fire
	// unevaluated is why Grafana could not evaluate any of the rules, see [unevaluated].
	unevaluated string
	// ending is why Grafana ended all of the alerts, see [stateReason].
	ending      string
	context     []string // values that say where the group is
	least, most time.Duration

	ways    []one  // of a single alert
	leanest string // its sentence as short as it gets without a cut

	entries     []entry   // lines: those of firing alerts before those of resolved ones
	merged      []entry   // lines of what the rule's author named alone; nil: the same
	details     []*detail // of all alerts of one name, if they are few
	common      *saying   // what all alerts say
	place       string    // what all lines have in common
	namespace   string    // of all pods that the lines name
	lineRank    rank      // the most exact of the labels that distinguish them
	lineLabels  string    // those that distinguish the lines, for preview
	figuresFrom string    // where the figures of the lines were found, for preview
}

// choice is what fits: how much is written of a composition.
type choice struct {
	way      int  // of a single alert
	bare     bool // without the common sentence
	plain    bool // lines without figures
	quiet    bool // without the names of resolved alerts
	lean     bool // lines of what the rule's author named alone, the others counted
	names    bool // of several names: lines without objects but those that fit into room
	room     int
	lines    int // at most this many; -1: all
	segments int // that it is meant to take
}

// everything is the choice that leaves nothing out.
var everything = choice{lines: -1}

// compositionOf reads the alerts of a view.
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
	c.common = c.commonSaying()
	c.place = c.commonPlace()
	return c
}

// shared returns what all alerts have in common of a property, or "".
func shared(alerts alertmanager.Alerts, property func(*alertmanager.Alert) string) string {
	common := property(&alerts[0])
	for i := range alerts {
		if property(&alerts[i]) != common {
			return ""
		}
	}
	return common
}

// nameOf returns the name of an alert, with the reason if Grafana could not evaluate this
// rule but others.
func (c *composition) nameOf(a *alertmanager.Alert) string {
	name := alertName(a.Labels)
	if why := unevaluated(a); why != c.unevaluated {
		name += " (" + why + ")"
	}
	return name
}

// detailAt returns what a text may say about an alert.
func (c *composition) detailAt(i int) *detail {
	if c.known[i] == nil {
		d := c.set.detailOf(&c.alerts[i])
		c.known[i] = &d
	}
	return c.known[i]
}

// always are labels that a text gives although the group is not named by them: they
// say in which of several like places something is.
var always = []string{"cluster", "cluster_name", "k8s_cluster_name", "cluster_id", "environment", "env", "deployment_environment", "deployment_environment_name", "region"}

// contextOf returns the values that say where a group is: those that it is grouped by,
// and the cluster or environment that all have in common. labels are those of an alert.
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

// groupWord returns what a text says of a label that the group is named by, or "".
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

// severity returns the most severe severity of the alerts that fire, or of all alerts
// if nothing fires or those that may are not listed. If none has one, it is "FIRING", or
// "" if nothing fires.
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

// subject returns the name of the alerts and where the group is.
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

// object returns what the sentence about a single alert lacks of its place.
func (c *composition) object(ch choice) string {
	if c.single {
		return c.ways[ch.way].object
	}
	return ""
}

// sentence returns what is wrong: of a single alert its sentence, of several the
// sentence that all have.
func (c *composition) sentence(ch choice) string {
	if c.single {
		return c.ways[ch.way].sentence
	}
	if c.common == nil || ch.bare || c.over {
		return ""
	}
	return c.common.text
}

// commonSaying returns the sentence that all alerts share, or nil: of an annotation
// that is the same in all, or without the places in which the alerts differ.
func (c *composition) commonSaying() *saying {
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
			return !slices.ContainsFunc(d.sayings, func(other saying) bool { return other.from == s.from && placeless(d, &other) == text })
		}) {
			return &saying{text: text, from: s.from}
		}
	}
	return nil
}

// placeless returns a sentence without " on X" and the like, for X a label's value.
func placeless(d *detail, s *saying) string {
	return withoutPlaces(s.text, func(value string) bool {
		return slices.ContainsFunc(d.labels, func(l label) bool { return l.value == value || l.rank.short(l.value) == value })
	})
}

// age returns how long the alerts have been firing, or fired: "9m", or "12-17m" if
// the ages differ by more than a fifth; of a single alert "for 9m", of what is over
// "after 9m"; "" if it is not known or under a minute.
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

// ages returns the least and the greatest age of the alerts that fire, or of all.
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

// durations returns a range of durations, the unit once if both have the same.
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
