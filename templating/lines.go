package templating

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// entry is a line of a list: alerts of one name and status. In a group of one name it
// is one alert.
type entry struct {
	name     string // "" in a group of one name
	severity string // if it is not the text's
	alerts   []int  // of the composition, at most maxAlerts in all
	count    int    // of all alerts
	objects  []string
	lean     []string // objects without what else names them; nil: as they are
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

// entriesOfOneName has an entry for each alert.
func (c *composition) entriesOfOneName() []entry {
	all := make([]int, len(c.alerts))
	for i := range all {
		all[i] = i
	}
	objects, named := c.differ(all)
	entries := make([]entry, len(all))
	for i := range all {
		entries[i] = entry{alerts: all[i : i+1], count: 1, first: &c.alerts[i], objects: objects[i : i+1], resolved: c.isResolved(i)}
	}
	c.addFigures(entries)
	slices.SortStableFunc(entries, func(a, b entry) int {
		i, j := a.first, b.first
		return cmp.Or(compareAlerts(i, j, c.now), natural(a.objects[0], b.objects[0]))
	})
	if named != nil {
		c.merged = mergedEntries(entries, named)
	}
	return entries
}

// mergedEntries returns an entry for each different object and status.
func mergedEntries(entries []entry, objects []string) []entry {
	type key struct {
		object   string
		resolved bool
	}
	at := map[key]int{}
	var merged []entry
	for _, e := range entries {
		k := key{objects[e.alerts[0]], e.resolved}
		i, seen := at[k]
		if !seen {
			i = len(merged)
			at[k] = i
			merged = append(merged, entry{first: e.first, resolved: e.resolved, objects: objects[e.alerts[0] : e.alerts[0]+1]})
		}
		merged[i].count++
	}
	return merged
}

// entriesOfNames has an entry for each name and status.
func (c *composition) entriesOfNames(alerts alertmanager.Alerts) []entry {
	type key struct {
		name     string
		resolved bool
	}
	at := map[key]int{}
	var entries []entry
	for i := range alerts {
		k := key{name: alertName(alerts[i].Labels), resolved: alerts[i].Status != string(model.AlertFiring)}
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
	most := c.severity()
	for i := range entries {
		e := &entries[i]
		switch len(e.alerts) {
		case 0: // not among the first
		case 1:
			d := c.detailAt(e.alerts[0])
			e.objects = []string{c.compose(&d, "", "", short).object}
			if lean := c.leanObject(&d); lean != "" {
				e.lean = []string{lean}
			}
			if f, ok := figureOf(&d); ok {
				e.figure = f
			}
		default:
			e.objects, e.lean = c.differ(e.alerts)
		}
		e.objects, e.lean = c.different(e, e.objects), c.different(e, e.lean)
		if word := severityWord(severityOf(e.first.Labels)); !e.resolved && word != most {
			e.severity = word
		}
		if why := unevaluated(e.first.Labels); why != "" && why != c.unevaluated {
			e.name += " (" + why + ")"
		}
		if e.name == "" {
			e.name = "alert"
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		i, j := a.first, b.first
		return cmp.Or(compareAlerts(i, j, c.now), natural(a.name, b.name))
	})
	return entries
}

// different returns objects in order, each once, without those that the text names
// already.
func (c *composition) different(e *entry, objects []string) []string {
	slices.SortStableFunc(objects, natural)
	return slices.DeleteFunc(slices.Compact(objects), func(o string) bool {
		return o == "" || names(e.name, o) || slices.Contains(c.contextOf(c.first.labels), o)
	})
}

// objectsOf returns the objects of an entry that a choice writes.
func (e *entry) objectsOf(ch choice) []string {
	if ch.merged && len(e.lean) > 0 {
		return e.lean
	}
	return e.objects
}

func (c *composition) detailAt(i int) detail {
	if i == 0 {
		return c.first
	}
	return c.set.detailOf(&c.alerts[i])
}

// head returns the name of an entry and how many alerts it has.
func (e *entry) head() string {
	if e.count > 1 && e.name != "" {
		return fmt.Sprintf("%s x%d", e.name, e.count)
	}
	return e.name
}

// line returns an entry with so many of its objects.
func (e *entry) line(objects int, ch choice) string {
	text := e.head()
	if all := e.objectsOf(ch); objects > 0 && len(all) > 0 {
		list := listed(all[:min(objects, len(all))])
		if objects < len(all) {
			list += ", .."
		}
		text = strings.TrimSpace(text + " " + list)
		if e.name == "" && e.count > 1 {
			text += fmt.Sprintf(" x%d", e.count)
		}
	}
	if !ch.plain && e.figure != "" {
		text = strings.TrimSpace(text + " " + e.figure)
	}
	return text
}

// listed joins objects; of pods of one workload the first has its name.
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

// lines returns the lines of firing or of resolved alerts. A severity that several
// lines in a row have stands above them. Pods of one workload share a line.
func (c *composition) lines(ch choice, resolved bool) []string {
	if ch.quiet && resolved && c.view.FiringCount > 0 {
		return nil
	}
	var all []string
	entries := c.shown(ch)
	var filled []int
	if ch.names {
		filled = fill(entries, ch)
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
		line := e.line(objects, ch)
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

// fill returns how many objects of each entry fit into the room of a choice: first one
// of each, then more.
func fill(entries []entry, ch choice) []int {
	counts := make([]int, len(entries))
	left := ch.room
	need := func(i, n int) int {
		all := entries[i].objectsOf(ch)
		if n == 0 || n > len(all) {
			return 0
		}
		septets := septets(listed(all[:n])) + 1
		if n < len(all) {
			septets += len(", ..")
		}
		return septets
	}
	take := func(i, n int) bool {
		more := need(i, n) - need(i, counts[i])
		if n > len(entries[i].objectsOf(ch)) || more > left {
			return false
		}
		left -= more
		counts[i] = n
		return true
	}
	for i := range entries {
		if !ch.quiet || !entries[i].resolved {
			take(i, 1)
		}
	}
	for i := range entries {
		for n := len(entries[i].objectsOf(ch)); n > counts[i] && counts[i] > 0; n-- {
			if take(i, n) {
				break
			}
		}
	}
	return counts
}

// shown returns the entries of which a choice writes lines.
func (c *composition) shown(ch choice) []entry {
	all := c.entries
	if ch.merged && c.merged != nil {
		all = c.merged
	}
	if ch.lines < 0 {
		return all
	}
	return all[:min(ch.lines, len(all))]
}

// hidden returns how many of the alerts the chosen lines leave out.
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

// addFigures gives each entry the one figure in which the alerts' sentences differ.
func (c *composition) addFigures(entries []entry) {
	const enough = 60 // lines; more never fit
	list := entries[:min(len(entries), enough)]
	found := make([][]figure, len(list))
	texts := make([]*saying, len(list))
	details := make([]detail, len(list))
	for i := range list {
		details[i] = c.detailAt(list[i].alerts[0])
	}
	if len(entries) <= enough {
		c.details = details
	}
	if slices.ContainsFunc(list, func(e entry) bool { return e.resolved }) {
		return
	}
	// The same sentence of each alert, by where it was found.
	for _, s := range details[0].preferred() {
		if len(s.figures) == 0 {
			continue
		}
		same := true
		for i := range details {
			texts[i] = nil
			for j := range details[i].sayings {
				if t := &details[i].sayings[j]; t.from == s.from && len(t.figures) == len(s.figures) {
					texts[i] = t
				}
			}
			if texts[i] == nil {
				same = false
				break
			}
			found[i] = texts[i].figures
		}
		if !same {
			continue
		}
		for k := range s.figures {
			differs := false
			for i := range found {
				differs = differs || found[i][k].text != s.figures[k].text
			}
			if differs {
				for i := range list {
					list[i].figure = withUnit(texts[i].text, found[i][k])
				}
				c.figuresFrom = s.from
				return
			}
		}
	}
	if details[0].value != "" && slices.ContainsFunc(details, func(d detail) bool { return d.value != details[0].value }) {
		for i := range list {
			if v := details[i].value; len(v) > 1 { // a digit says little without its words
				list[i].figure = v
				c.figuresFrom = "VALUE in the description"
			}
		}
	}
}
