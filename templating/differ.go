package templating

import (
	"cmp"
	"slices"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// column is a label whose values differ among the alerts.
type column struct {
	label
	values []string // one for each alert, "" if it lacks the label
}

// differ returns, for each alert of one name, the values that distinguish it: those of the fewest
// labels that do, preferring labels that the rule's author put into annotations. If the labels that
// the author named do not suffice, named holds their values alone.
func (c *composition) differ(alerts []int) (places, named []string) {
	columns := c.columns(alerts)
	chosen := fewest(columns, len(alerts))
	byAuthor := slices.Clone(chosen)
	byAuthor = slices.DeleteFunc(byAuthor, func(col *column) bool { return !col.named })
	for j := range columns { // a label of the rule itself does not lead to a machine
		col := &columns[j]
		isMachine := col.rank == rankNode || col.rank == rankInstance || col.rank == rankURL
		if len(chosen) > 0 && chosen[0].rank.isPart() && col.named && isMachine && !slices.Contains(chosen, col) {
			chosen = append(chosen, col)
			break
		}
	}
	if len(chosen) > 0 && !slices.ContainsFunc(chosen, func(col *column) bool { return col.rank < rankService }) { // only a namespace
		if object := c.first.object(); object != nil {
			for _, col := range c.allColumns(alerts) {
				if col.name == object.name && !slices.ContainsFunc(chosen, func(other *column) bool { return other.name == col.name }) {
					chosen = append(chosen, col)
				}
			}
		}
	}
	if c.name != "" {
		c.lineLabels, c.namespace = c.labelsOf(chosen), c.namespaceOf(chosen)
		c.lineRank = rankIgnored
		for _, col := range chosen {
			c.lineRank = min(c.lineRank, col.rank)
		}
	}
	places = c.placesOf(chosen, len(alerts))
	for i := range places {
		if places[i] == "" && len(chosen) > 0 {
			places[i] = c.compose(c.detailAt(alerts[i]), "", "", shortWording).object
		}
	}
	if len(byAuthor) > 0 && len(byAuthor) < len(chosen) && !byAuthor[0].rank.isOfHost() {
		named = c.placesOf(byAuthor, len(alerts))
	}
	return places, named
}

// labelsOf returns the labels of columns, for preview.
func (c *composition) labelsOf(chosen []*column) string {
	var labels []string
	for _, col := range chosen {
		labels = append(labels, c.first.why(&col.label))
	}
	return strings.Join(labels, "; ")
}

// namespaceOf returns the namespace of all alerts if a column holds namespaced names, otherwise "".
func (c *composition) namespaceOf(chosen []*column) string {
	ns := c.first.namespace()
	if ns == "" || !slices.ContainsFunc(chosen, func(col *column) bool { return col.rank.isNamespaced() }) {
		return ""
	}
	for i := range c.alerts {
		if d := c.detailAt(i); d.namespace() != ns {
			return ""
		}
	}
	return ns
}

// fewest returns the fewest columns that distinguish as many alerts as all columns do. It takes the
// first column if an annotation or the configuration names it, then those that an annotation names,
// then others, each time the one that distinguishes most.
func fewest(columns []column, alerts int) []*column {
	parts := make([]string, alerts) // the values of the chosen columns
	distinct := func(with ...*column) int {
		seen := make(map[string]struct{}, alerts)
		var key []byte
		for i := range parts {
			key = append(key[:0], parts[i]...)
			for _, col := range with {
				key = append(append(key, 0), col.values[i]...)
			}
			seen[string(key)] = struct{}{}
		}
		return len(seen)
	}
	all := make([]*column, len(columns))
	for j := range columns {
		all[j] = &columns[j]
	}
	most, now := distinct(all...), 1
	var chosen []*column
	take := func(col *column) {
		chosen = append(chosen, col)
		for i := range parts {
			parts[i] += "\x00" + col.values[i]
		}
		now = distinct()
	}
	if len(all) > 0 && (all[0].named || all[0].isChosen()) {
		take(all[0])
	}
	for _, named := range [...]bool{true, false} {
		for now < most {
			var best *column
			bestCount := now
			for _, col := range all {
				if col.named != named || slices.Contains(chosen, col) || bestCount == most {
					continue
				}
				if n := distinct(col); n > bestCount {
					best, bestCount = col, n
				}
			}
			if best == nil {
				break
			}
			take(best)
		}
	}
	return chosen
}

// columns returns the labels that differ, in the order in which fewest tries them.
func (c *composition) columns(alerts []int) []column {
	var differing []column
	for _, col := range c.allColumns(alerts) {
		if slices.ContainsFunc(col.values, func(v string) bool { return v != col.values[0] }) && !isSeverity(col.name) && (col.rank != rankIgnored || col.isChosen()) {
			differing = append(differing, *col)
		}
	}
	slices.SortStableFunc(differing, func(a, b column) int { return cmp.Or(a.weight()-b.weight(), strings.Compare(a.name, b.name)) })
	return differing
}

// weight orders columns: those that an annotation names first, by rank; addresses, labels of the
// rule and labels of an exporter last.
func (col *column) weight() int {
	w := int(col.rank)
	switch {
	case col.isChosen():
		return col.order
	case col.foreign:
		w += 200
	case col.rank >= rankUnlikely:
		w += 100
	case col.rank == rankInstance && isAddress(col.values[0]):
		w += 60
	}
	if col.linked {
		w += 15
	}
	if !col.named {
		if col.rank == rankOwn {
			w = int(rankInstance) + 1
		}
		w += 30
	}
	return w
}

// allColumns returns a column for each label. Which labels annotations name is read from the first
// few alerts.
func (c *composition) allColumns(alerts []int) []*column {
	const samples = 4
	byName := map[string]*column{}
	var list []*column
	columnOf := func(l label) *column {
		col := byName[l.name]
		if col == nil {
			col = &column{label: l, values: make([]string, len(alerts))}
			byName[l.name] = col
			list = append(list, col)
		}
		return col
	}
	for n, i := range alerts {
		a := &c.alerts[i]
		if n < samples {
			d := c.detailAt(i)
			for _, l := range d.labels {
				col := columnOf(l)
				col.named, col.foreign, col.linked = col.named || l.named, col.foreign || l.foreign, col.linked && l.linked
				col.values[n] = l.value
			}
			continue
		}
		for name, value := range a.Labels {
			if name != model.AlertNameLabel && a.Labels["exported_"+name] == "" {
				columnOf(label{name: name, rank: c.set.rankOf(name), order: c.set.order[canonical(name)]}).values[n] = value
			}
		}
	}
	return list
}

// placesOf joins the chosen values of each alert: hosts before their parts, a namespace with a
// slash, and short names if they are unambiguous.
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
	separator := " "
	for _, col := range chosen {
		for i, value := range shortValues(col) {
			switch {
			case value == "" || value == places[i]:
			case places[i] == "":
				places[i] = value
			default:
				places[i] += separator + value
			}
		}
		if separator = " "; col.name == "namespace" || col.name == "exported_namespace" {
			separator = "/"
		}
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
	ambiguous := shorten(col.rank.short, nil)
	for labels := 2; labels <= 4 && len(ambiguous) > 0; labels++ {
		ambiguous = shorten(func(host string) string { return firstLabels(host, labels) }, ambiguous)
	}
	if len(ambiguous) > 0 {
		if ambiguous = shorten(withoutPort, ambiguous); len(ambiguous) > 0 {
			shorten(func(value string) string { return value }, ambiguous)
		}
	}
	return short
}

// firstLabels returns the first labels of a host's domain name.
func firstLabels(host string, labels int) string {
	name := withoutPort(host)
	if isAddress(host) {
		return name
	}
	parts := strings.SplitN(name, ".", labels+1)
	return strings.Join(parts[:min(labels, len(parts))], ".")
}

// withoutPort returns a host without its port.
func withoutPort(host string) string {
	if name, port, found := strings.Cut(host, ":"); found && strings.Trim(port, "0123456789") == "" {
		return name
	}
	return host
}

// commonPlace returns the place that all lines have in common, such as the host whose disks they
// list, or "". It is an object that an annotation names or that is not a label of the rule itself,
// otherwise the host.
func (c *composition) commonPlace() string {
	if c.name == "" || len(c.entries) == 0 {
		return ""
	}
	shared := func(l *label) bool {
		return !slices.ContainsFunc(c.alerts, func(a alertmanager.Alert) bool { return a.Labels[l.name] != l.value })
	}
	d := c.first
	reports := func(l *label) bool { return l.rank == rankPod && !l.named && c.lineRank == rankOwn } // a pod that only reports on what the lines name
	if object := d.object(); object != nil && !object.foreign && !reports(object) && shared(object) && (object.named || object.rank < rankService) {
		if object.rank == rankInstance && isAddress(object.value) {
			object = d.podOr(object)
		}
		place := object.rank.short(object.value)
		if ns := d.namespace(); object.rank.isNamespaced() && ns != "" && !slices.Contains(c.context, ns) {
			place = ns + "/" + place
		}
		return place
	}
	for i := range d.labels {
		if l := &d.labels[i]; l.named && !l.foreign && l.rank < rankContext && l.rank != rankJob && shared(l) {
			return l.rank.short(l.value)
		}
	}
	if host := d.host(); host != nil && shared(host) && (!isAddress(host.value) || c.lineRank.isPart() && d.podOr(nil) == nil) {
		return shortHost(host.value)
	}
	return ""
}

// natural compares texts as people sort them, numbers by size.
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
