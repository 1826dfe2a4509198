package templating

import (
	"cmp"
	"slices"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// column is a label whose values differ among alerts.
type column struct {
	label
	values []string // of each alert, "" if it lacks the label
}

// differ returns what distinguishes alerts of one name, for each: the values of the
// fewest labels that do, those that the rule's author put into annotations first. If
// those that the author named do not suffice, named has their values alone.
func (c *composition) differ(alerts []int) (places, named []string) {
	columns := c.columns(alerts)
	parts := make([]string, len(alerts)) // of the chosen columns, to count the distinct
	distinct := func(with *column) int {
		seen := make(map[string]struct{}, len(alerts))
		for i := range alerts {
			key := parts[i]
			if with != nil {
				key += "\x00" + with.values[i]
			}
			seen[key] = struct{}{}
		}
		return len(seen)
	}
	most := 0
	for i := range alerts { // all columns together
		for j := range columns {
			parts[i] += "\x00" + columns[j].values[i]
		}
	}
	most = distinct(nil)
	clear(parts)
	var chosen []*column
	take := func(col *column) {
		chosen = append(chosen, col)
		for i := range parts {
			parts[i] += "\x00" + col.values[i]
		}
	}
	now := 1
	if len(columns) > 0 && columns[0].named {
		take(&columns[0])
		now = distinct(nil)
	}
	for now < most {
		var best *column
		bestCount := now
		for j := range columns {
			if slices.Contains(chosen, &columns[j]) {
				continue
			}
			if n := distinct(&columns[j]); n > bestCount {
				best, bestCount = &columns[j], n
				if n == most {
					break
				}
			}
		}
		if best == nil {
			break
		}
		take(best)
		now = bestCount
	}
	var labels []string
	for _, col := range chosen {
		labels = append(labels, c.first.why(&col.label))
	}
	if c.name != "" {
		c.lineLabels = strings.Join(labels, "; ")
	}
	places = c.placesOf(chosen, len(alerts))
	byAuthor := slices.DeleteFunc(slices.Clone(chosen), func(col *column) bool { return !col.named })
	if len(byAuthor) > 0 && len(byAuthor) < len(chosen) && !byAuthor[0].rank.isOfHost() {
		named = c.placesOf(byAuthor, len(alerts))
	}
	return places, named
}

// columns returns the labels that differ, in the order in which they are tried.
func (c *composition) columns(alerts []int) []column {
	const samples = 4
	byName := map[string]*column{}
	var list []*column
	for n, i := range alerts {
		a := &c.alerts[i]
		if n < samples {
			labels := c.first.labels
			if i != 0 {
				d := c.set.detailOf(a)
				labels = d.labels
			}
			for _, l := range labels {
				col := byName[l.name]
				if col == nil {
					col = &column{label: l, values: make([]string, len(alerts))}
					byName[l.name] = col
					list = append(list, col)
				}
				col.named = col.named || l.named
				col.foreign = col.foreign || l.foreign
			}
			for name, value := range a.Labels {
				if col := byName[name]; col != nil {
					col.values[n] = value
				}
			}
			continue
		}
		for name, value := range a.Labels {
			col := byName[name]
			if col == nil {
				if name == model.AlertNameLabel {
					continue
				}
				col = &column{label: label{name: name, rank: c.set.rankOf(strings.TrimPrefix(name, "exported_"))}, values: make([]string, len(alerts))}
				byName[name] = col
				list = append(list, col)
			}
			col.values[n] = value
		}
	}
	var columns []column
	for _, col := range list {
		if slices.ContainsFunc(col.values, func(v string) bool { return v != col.values[0] }) && col.name != "severity" && col.name != "priority" {
			columns = append(columns, *col)
		}
	}
	weight := func(col *column) int {
		w := int(col.rank)
		switch {
		case col.foreign:
			w += 200
		case col.rank == rankIgnored:
			w += 100
		case col.rank == rankInstance && isAddress(col.values[0]):
			w += 60
		}
		if !col.named {
			w += 30
			if col.rank == rankOwn {
				w = int(rankInstance) + 31
			}
		}
		return w
	}
	slices.SortStableFunc(columns, func(a, b column) int { return cmp.Or(weight(&a)-weight(&b), strings.Compare(a.name, b.name)) })
	return columns
}

// placesOf writes the chosen values of each alert: hosts before their parts, a
// namespace with a slash, and short names if they are unambiguous.
func (c *composition) placesOf(chosen []*column, alerts int) []string {
	order := func(r rank) int {
		switch r {
		case rankContext:
			return 0
		case rankNamespace:
			return 1
		case rankNode, rankInstance:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(chosen, func(a, b *column) int { return order(a.rank) - order(b.rank) })
	places := make([]string, alerts)
	for _, col := range chosen {
		short := shortValues(col)
		for i, value := range short {
			switch {
			case value == "" || value == places[i]:
			case places[i] == "":
				places[i] = value
			case strings.HasSuffix(places[i], "/"):
				places[i] += value
			default:
				places[i] += " " + value
			}
			if col.rank == rankNamespace && value != "" && len(chosen) > 1 {
				places[i] += "/"
			}
		}
	}
	for i := range places {
		places[i] = strings.TrimSuffix(places[i], "/")
	}
	return places
}

// shortValues returns the values of a column, shortened if that leaves them distinct.
func shortValues(col *column) []string {
	short := slices.Clone(col.values)
	shorten := func(by func(string) string, only map[string]bool) (ambiguous map[string]bool) {
		meant := make(map[string]string, len(short))
		ambiguous = map[string]bool{}
		for i, value := range col.values {
			if only != nil && !only[value] {
				continue
			}
			short[i] = by(value)
			if other, seen := meant[short[i]]; seen && other != value {
				ambiguous[other], ambiguous[value] = true, true
			}
			meant[short[i]] = value
		}
		return ambiguous
	}
	if ambiguous := shorten(col.rank.short, nil); len(ambiguous) > 0 {
		if ambiguous = shorten(withoutPort, ambiguous); len(ambiguous) > 0 {
			shorten(func(value string) string { return value }, ambiguous)
		}
	}
	return short
}

// withoutPort returns a host without its port.
func withoutPort(host string) string {
	if name, port, found := strings.Cut(host, ":"); found && strings.Trim(port, "0123456789") == "" {
		return name
	}
	return host
}

// commonPlace returns the place that all lines have in common, such as the host whose
// disks they list, or "".
func (c *composition) commonPlace() string {
	if c.name == "" || len(c.entries) == 0 {
		return ""
	}
	shared := func(l *label) bool {
		return !slices.ContainsFunc(c.alerts, func(a alertmanager.Alert) bool { return a.Labels[l.name] != l.value })
	}
	d := &c.first
	for i := range d.labels {
		l := &d.labels[i]
		if l.foreign || l.rank >= rankContext || l.rank == rankJob {
			continue
		}
		if l.named && shared(l) {
			return l.rank.short(l.value)
		}
	}
	if host := d.host(); host != nil && shared(host) && !isAddress(host.value) {
		return shortHost(host.value)
	}
	return ""
}

// natural compares texts as people sort them: numbers by their size.
func natural(a, b string) int {
	for a != "" && b != "" {
		if isDigit(a[0]) && isDigit(b[0]) {
			i, j := digits(a), digits(b)
			x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
			if n := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); n != 0 {
				return n
			}
			a, b = a[i:], b[j:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s string) int {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}
