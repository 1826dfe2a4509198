package templating

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating/gsm7"
)

// entry is a line of a list: alerts of one name and status, or one alert in a group of one name.
type entry struct {
	name     string // "" in a group of one name
	severity string // if it differs from the text's
	alerts   []int  // indexes into the composition's alerts, at most maxAlerts in all
	count    int    // number of all alerts
	objects  []string
	lean     []string // objects without what else names them; nil: same as objects
	figure   string
	resolved bool
	first    *alertmanager.Alert
}

// entriesOf returns the lines of several alerts.
func (c *composition) entriesOf(alerts alertmanager.Alerts) []entry {
	if c.name != "" {
		return c.entriesOfOneName()
	}
	return c.entriesOfNames(alerts)
}

func (c *composition) isResolved(i int) bool {
	return c.alerts[i].Status != string(model.AlertFiring)
}

// entriesOfOneName returns an entry for each alert.
func (c *composition) entriesOfOneName() []entry {
	all := make([]int, len(c.alerts))
	for i := range all {
		all[i] = i
	}
	objects, named := c.differ(all)
	if !slices.ContainsFunc(objects, func(o string) bool { return o != "" }) { // only annotations may differ
		for i := range all {
			if statements := c.detailAt(i).preferred(); len(statements) > 0 && len(all) <= 10 {
				objects[i] = statements[0].text
			}
		}
	}
	entries := make([]entry, len(all))
	for i := range all {
		entries[i] = entry{alerts: all[i : i+1], count: 1, first: &c.alerts[i], severity: c.milder(&c.alerts[i]), objects: objects[i : i+1], resolved: c.isResolved(i)}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(c.compareAlerts(a.first, b.first), natural(a.objects[0], b.objects[0]))
	})
	c.addFigures(entries)
	if named != nil {
		c.merged = mergedEntries(entries, named)
	}
	same := mergedEntries(entries, objects)
	if len(same) == len(entries) || objects[0] == "" {
		return entries
	}
	return same
}

// mergedEntries returns an entry for each different object and status.
func mergedEntries(entries []entry, objects []string) []entry {
	type key struct {
		object, severity, ending string
		resolved                 bool
	}
	at := map[key]int{}
	var merged []entry
	for _, e := range entries {
		k := key{objects[e.alerts[0]], e.severity, stateReason(e.first), e.resolved}
		i, seen := at[k]
		if !seen {
			i = len(merged)
			at[k] = i
			merged = append(merged, entry{first: e.first, figure: e.figure, severity: e.severity, resolved: e.resolved, objects: objects[e.alerts[0] : e.alerts[0]+1]})
		}
		if merged[i].figure != e.figure {
			merged[i].figure = ""
		}
		merged[i].alerts = append(merged[i].alerts, e.alerts...)
		merged[i].count++
	}
	return merged
}

// entriesOfNames returns an entry for each name and status.
func (c *composition) entriesOfNames(alerts alertmanager.Alerts) []entry {
	type key struct {
		name     string
		resolved bool
	}
	at := map[key]int{}
	var entries []entry
	for i := range alerts {
		k := key{name: c.nameOf(&alerts[i]), resolved: alerts[i].Status != string(model.AlertFiring)}
		j, seen := at[k]
		if !seen {
			j = len(entries)
			at[k] = j
			entries = append(entries, entry{resolved: k.resolved, name: k.name, first: &alerts[i]})
		}
		entries[j].count++
		if i < len(c.alerts) {
			entries[j].alerts = append(entries[j].alerts, i)
		}
	}
	c.lineLabels = model.AlertNameLabel
	for i := range entries {
		e := &entries[i]
		switch len(e.alerts) {
		case 0: // not among the first maxAlerts
		case 1:
			d := c.detailAt(e.alerts[0])
			e.objects = []string{c.compose(d, "", "", shortWording).object}
			if lean := leanObject(d); lean != "" {
				e.lean = []string{lean}
			}
			if f, ok := figureOf(d); ok && !e.resolved {
				e.figure = f
			}
		default:
			e.objects, e.lean = c.differ(e.alerts)
			if !slices.ContainsFunc(e.objects, func(o string) bool { return o != "" }) {
				e.objects[0] = c.compose(c.detailAt(e.alerts[0]), "", "", shortWording).object
			}
			e.objects, e.lean = c.objectsBySeverity(e, e.objects), c.objectsBySeverity(e, e.lean)
		}
		e.objects, e.lean = c.different(e, c.inContext(e, e.objects)), c.different(e, e.lean)
		e.severity = c.milder(e.first)
		if e.name == "" {
			e.name = "alert"
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		i, j := a.first, b.first
		return cmp.Or(c.compareAlerts(i, j), natural(a.name, b.name))
	})
	return entries
}

// milder returns the severity of a firing alert if it differs from the text's.
func (c *composition) milder(a *alertmanager.Alert) string {
	word := cmp.Or(severityWord(c.severityOf(a)), "FIRING")
	if a.Status != string(model.AlertFiring) || word == c.severity() {
		return ""
	}
	return word
}

// objectsBySeverity orders the objects of an entry's alerts, most severe first, and writes a
// severity before the first object of each milder one.
func (c *composition) objectsBySeverity(e *entry, objects []string) []string {
	if objects == nil {
		return nil
	}
	order := make([]int, len(objects))
	for i := range order {
		order[i] = i
	}
	severity := func(i int) string { return c.severityOf(&c.alerts[e.alerts[i]]) }
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(c.set.severities.Rank(severity(i))-c.set.severities.Rank(severity(j)), natural(objects[i], objects[j]))
	})
	sorted := make([]string, len(order))
	for i, j := range order {
		sorted[i] = objects[j]
		if now := severity(j); objects[j] != "" && !e.resolved && i > 0 && severity(order[i-1]) != now && severityWord(now) != "" {
			sorted[i] = severityWord(now) + " " + objects[j]
		}
	}
	return sorted
}

// inContext prefixes each object with the cluster or environment of its alert, unless all alerts
// share it.
func (c *composition) inContext(e *entry, objects []string) []string {
	if len(objects) != len(e.alerts) {
		return objects
	}
	for i, k := range e.alerts {
		for _, l := range c.detailAt(k).labels {
			if l.rank != rankContext || c.view.CommonLabels[l.name] != "" || !slices.Contains(always, canonical(strings.TrimPrefix(l.name, "exported_"))) {
				continue
			}
			if !names(objects[i], l.value) {
				objects[i] = strings.TrimSpace(l.value + " " + objects[i])
			}
			break
		}
	}
	return objects
}

// different returns each object once, without those that the text names already.
func (c *composition) different(e *entry, objects []string) []string {
	return slices.DeleteFunc(slices.Compact(objects), func(o string) bool {
		return o == "" || names(e.name, o) || slices.Contains(c.context, o)
	})
}

// objectsOf returns the objects of an entry that a choice writes.
func (e *entry) objectsOf(ch choice) []string {
	if ch.lean && len(e.lean) > 0 {
		return e.lean
	}
	return e.objects
}

// head returns the name of an entry and its number of alerts.
func (e *entry) head() string {
	if e.count > 1 && e.name != "" {
		return fmt.Sprintf("%s x%d", e.name, e.count)
	}
	return e.name
}

// line returns the text of an entry with some of its objects.
func (e *entry) line(objects int, ch choice, ending string) string {
	text := e.head()
	if all := e.objectsOf(ch); objects > 0 && len(all) > 0 {
		list := listed(all[:min(objects, len(all))])
		if objects < len(all) {
			list += fmt.Sprintf(", +%d", len(all)-objects)
		}
		text = strings.TrimSpace(text + " " + list)
		if e.name == "" && e.count > 1 {
			text += fmt.Sprintf(" x%d", e.count)
		}
	}
	if !ch.plain && e.figure != "" {
		text = strings.TrimSpace(text + " " + e.figure)
	}
	if why := stateReason(e.first); e.resolved && why != ending {
		text = strings.TrimSpace(text + " (" + why + ")")
	}
	return text
}

// listed joins objects. Of pods of one workload, only the first has the workload's name.
func listed(objects []string) string {
	var b strings.Builder
	for i, object := range objects {
		if i > 0 {
			b.WriteString(", ")
			if samePod(objects[i-1], object) {
				object = object[strings.Index(object, "-..")+1:]
			}
		}
		b.WriteString(object)
	}
	return b.String()
}

// lines returns the lines of firing or of resolved alerts. A severity that several lines in a row
// share is written above them. Pods of one workload share a line.
func (c *composition) lines(ch choice, resolved bool) []string {
	if ch.quiet && resolved && c.view.FiringCount > 0 {
		return nil
	}
	var all []string
	entries := c.shown(ch)
	var filled []int
	if ch.names {
		filled = c.fill(entries, ch)
	}
	for i := range entries {
		e := &entries[i]
		if e.resolved != resolved {
			continue
		}
		objects := len(e.objectsOf(ch))
		if ch.names {
			objects = filled[i]
		}
		line := e.line(objects, ch, c.ending)
		if line == "" { // nothing distinguishes the alert; the first line counts it
			continue
		}
		if e.severity != "" {
			first := i == 0 || entries[i-1].severity != e.severity
			more := i+1 < len(entries) && entries[i+1].severity == e.severity && entries[i+1].resolved == resolved
			switch {
			case first && more:
				all = append(all, e.severity+":")
			case first:
				line = e.severity + " " + line
			}
		}
		if last := len(all) - 1; last >= 0 && e.name == "" && samePod(all[last], line) {
			all[last] += ", " + line[strings.Index(line, "-..")+1:]
			continue
		}
		all = append(all, line)
	}
	return all
}

// samePod reports whether two lines begin with pods of one workload, see [shortPod].
func samePod(a, b string) bool {
	i, j := strings.Index(a, "-.."), strings.Index(b, "-..")
	return i > 0 && i == j && a[:i] == b[:j] && !strings.Contains(a[:i], " ")
}

// fill returns how many objects of each entry fit into the room of a choice: first one of each
// entry, then more.
func (c *composition) fill(entries []entry, ch choice) []int {
	counts := make([]int, len(entries))
	left := ch.room
	for i := range entries {
		if entries[i].resolved && ch.quiet {
			continue
		}
		if widths := entries[i].widths(ch, c.set.to); len(widths) > 1 && widths[1] <= left {
			counts[i] = 1
			left -= widths[1]
		}
	}
	for i := range entries {
		if counts[i] == 0 {
			continue
		}
		widths := entries[i].widths(ch, c.set.to)
		for n := len(widths) - 1; n > 1; n-- {
			if more := widths[n] - widths[1]; more <= left {
				counts[i] = n
				left -= more
				break
			}
		}
	}
	return counts
}

// widths returns the septets of the first n objects of an entry, by n: with a space before them,
// and ", +N" for the others.
func (e *entry) widths(ch choice, to gsm7.Alphabet) []int {
	all := e.objectsOf(ch)
	widths := make([]int, 1, len(all)+1)
	width := 0
	for n := 1; n <= len(all) && width <= ch.room; n++ {
		piece := all[n-1]
		if n > 1 && samePod(all[n-2], piece) {
			piece = piece[strings.Index(piece, "-..")+1:]
		}
		width += septets(piece, to) + 2 // ", ", or a space before the first
		rest := 0
		if n < len(all) {
			rest = len(", +") + len(strconv.Itoa(len(all)-n))
		}
		widths = append(widths, width-1+rest)
	}
	return widths
}

// shown returns the entries that a choice writes as lines.
func (c *composition) shown(ch choice) []entry {
	all := c.entries
	if ch.lean && c.merged != nil {
		all = c.merged
	}
	if ch.lines < 0 {
		return all
	}
	return all[:min(ch.lines, len(all))]
}

// hidden returns how many alerts the chosen lines leave out.
func (c *composition) hidden(ch choice) int {
	if c.single {
		return 0
	}
	n := c.total
	for _, e := range c.shown(ch) {
		n -= e.count
	}
	return n
}
