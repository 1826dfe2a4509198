package templating

import (
	"cmp"
	"slices"
	"strings"
)

// one is a text about a single alert: the part between its severity and its age.
type one struct {
	subject  string // name and context
	object   string // the part of the place that the sentence lacks
	sentence string
	label    *label // label of the object
	from     string // origin of the sentence
	cut      bool   // the sentence is cut
}

// wording says how the place of an alert is written.
type wording uint8

const (
	richWording  wording = iota // with everything that the rule's author names
	plainWording                // only what is broken
	shortWording                // only what is broken, by short names
)

// oneOf composes the ways to write about a single alert, best first. Each gives name, object and a
// figure if there is one.
func (c *composition) oneOf(d *detail) []one {
	statements := d.preferred()
	if len(statements) == 0 || c.over { // what was wrong is no longer news
		how := richWording
		if c.over {
			how = plainWording
		}
		return []one{c.compose(d, "", "", how), c.compose(d, "", "", shortWording)}
	}
	first := statements[0]
	full := withValue(d, first, first.text)
	ways := []one{c.compose(d, full, first.from, richWording), c.compose(d, full, first.from, shortWording)}
	named := func(value string) bool { return c.namesElsewhere(d, value) }
	leanest := full
	text := lean(full, named)
	for _, text := range [...]string{text, withoutAsides(text)} {
		if d.echoes(text) {
			text = ""
		}
		if text != leanest {
			ways = append(ways, c.compose(d, text, first.from+", made lean", shortWording))
			leanest = text
		}
	}
	if main := first.withoutClause(leanest); main != "" {
		ways = append(ways, c.compose(d, main, first.from+", without its last clause", shortWording))
		leanest = main
	}
	c.leanest = leanest
	for _, s := range statements[1:] {
		text := withoutAsides(lean(s.text, named))
		if len(text) >= len(leanest) {
			continue
		}
		if f, ok := firstMeasured(first); ok && !s.measured() {
			text += " (" + first.unitOf(f) + ")"
		} else {
			text = withValue(d, s, text)
		}
		ways = append(ways, c.compose(d, text, s.from, shortWording))
		break
	}
	return ways
}

// cutWay appends a way whose sentence is cut so that the text needs no more than most septets, and
// returns its index; ok is false if only a few words would remain.
func (c *composition) cutWay(most int, septetsOf func(i int) int) (way int, ok bool) {
	const fewWords = 24 // septets
	statements := c.first.preferred()
	if len(statements) == 0 {
		return 0, false
	}
	s := statements[0]
	way = len(c.ways)
	left := septets(c.leanest, c.set.to)
	for range 4 {
		text := s.cutTo(c.leanest, left, c.set.to)
		c.ways = append(c.ways[:way], c.compose(c.first, text, s.from+", cut", shortWording))
		c.ways[way].cut = true
		excess := septetsOf(way) - most
		if excess <= 0 {
			return way, true
		}
		left = min(left, septets(text, c.set.to)) - excess
		if left < fewWords {
			break
		}
	}
	return way, false
}

// withValue appends the rule's VALUE to a sentence without a measured figure. A value of 0 or 1
// means nothing.
func withValue(d *detail, s *statement, text string) string {
	if d.value == "" || s.measured() || d.value == "0" || d.value == "1" || names(text, d.value) {
		return text
	}
	return text + " (" + percent(d.value, s) + ")"
}

func firstMeasured(s *statement) (figure, bool) {
	for _, f := range s.figures {
		if !f.constant {
			return f, true
		}
	}
	return figure{}, false
}

// namesElsewhere reports whether the subject or the object names a value that the sentence lacks.
func (c *composition) namesElsewhere(d *detail, value string) bool {
	if names(d.name, value) || slices.Contains(c.context, value) {
		return true
	}
	if o := d.object(); o != nil && (value == o.value || value == shortHost(o.value)) {
		return true
	}
	for _, l := range d.labels {
		if l.value == value && (l.rank == rankNamespace || l.rank == rankContext) {
			return true
		}
	}
	return false
}

// object returns the label that says what is broken, or nil: the most exact label that the rule's
// author put into an annotation, otherwise the most exact label of all. A label of an exporter is
// the last resort.
func (d *detail) object() *label {
	if len(d.labels) > 0 && d.labels[0].isChosen() {
		return &d.labels[0]
	}
	var own, state, address, coarse, exporters, linked *label
	first := func(to **label, l *label) {
		if *to == nil {
			*to = l
		}
	}
	for i := range d.labels {
		l := &d.labels[i]
		switch {
		case l.rank >= rankContext:
		case l.foreign:
			if l.rank == rankPod || l.rank == rankInstance {
				first(&exporters, l)
			}
		case l.rank == rankState:
			first(&state, l)
		case l.named && l.rank < rankService && !l.linked:
			return l
		case l.named && l.rank < rankService:
			first(&linked, l)
		case l.rank >= rankService:
			if coarse == nil || l.named && !coarse.named {
				coarse = l
			}
		}
	}
	if linked != nil {
		return linked
	}
	for i := range d.labels {
		l := &d.labels[i]
		switch {
		case l.foreign || l.rank >= rankState:
		case l.rank == rankTopic && isWord(l.value):
			first(&state, l)
		case l.rank >= rankTopic && l.rank <= rankOwn: // perhaps a label of the rule, the same in each alert
			first(&own, l)
		case l.rank == rankInstance && isAddress(l.value):
			first(&address, l)
		default:
			return l
		}
	}
	return cmp.Or(own, address, coarse, state, exporters)
}

// leanObject returns what is broken without its namespace and host, or "" if that alone says too
// little.
func leanObject(d *detail) string {
	object := d.object()
	if object == nil || object.rank.isOfHost() {
		return ""
	}
	return object.rank.short(object.value)
}

// why returns the name of a label, and why it was chosen.
func (d *detail) why(l *label) string {
	switch {
	case l.isChosen():
		return l.name + ", listed in templating.objects"
	case !l.named:
		return l.name
	}
	in := "annotation"
	for _, name := range slices.Concat(shortAnnotations, longAnnotations, d.Annotations.Names()) {
		if names(d.Annotations[name], d.Labels[l.name]) {
			in = name
			break
		}
	}
	return l.name + ", named in " + in
}

func (d *detail) nameWords() []string {
	if d.wordsOfName == nil {
		d.wordsOfName = nameWords(d.name)
	}
	return d.wordsOfName
}

// host returns the label of the host that an object is part of, or nil.
func (d *detail) host() *label {
	var found *label
	for i := range d.labels {
		l := &d.labels[i]
		if l.foreign || l.rank != rankNode && l.rank != rankInstance {
			continue
		}
		if found == nil || isAddress(found.value) && !isAddress(l.value) {
			found = l
		}
	}
	return found
}

// isExportersNamespace reports whether a word is the alert's namespace and no annotation
// names it.
func (d *detail) isExportersNamespace(word string) bool {
	return slices.ContainsFunc(d.labels, func(l label) bool { return l.rank == rankNamespace && l.value == word && !l.named })
}

// podOr returns the pod that an address belongs to, or else the address.
func (d *detail) podOr(address *label) *label {
	for i := range d.labels {
		if l := &d.labels[i]; l.rank == rankPod && !l.foreign {
			return l
		}
	}
	return address
}

// isPart reports whether an object of a rank is part of a host.
func (r rank) isPart() bool { return r >= rankMountpoint && r <= rankOwn }

// isOfHost reports whether an object of a rank says nothing without its host.
func (r rank) isOfHost() bool { return r >= rankMountpoint && r <= rankInterface }

// isNamespaced reports whether an object of a rank needs its namespace as well.
func (r rank) isNamespaced() bool { return r >= rankClaim && r <= rankWorkload }

// namespace returns the namespace of what is broken, or "". The namespace of an exporter's pod does
// not count.
func (d *detail) namespace() string {
	exporter := slices.ContainsFunc(d.labels, func(l label) bool {
		return l.foreign && l.rank == rankPod && isExporter(l.value) && !strings.Contains(l.value, "state-metrics")
	})
	found := ""
	for _, l := range d.labels {
		switch {
		case l.rank != rankNamespace:
		case strings.HasPrefix(l.name, "exported_"):
			return l.value
		case (l.named || !exporter) && (found == "" || l.name == "namespace"):
			found = l.value
		}
	}
	return found
}

// compose writes the name, the place and a sentence, each thing once.
func (c *composition) compose(d *detail, sentence, from string, how wording) one {
	w := one{sentence: sentence, from: from, label: d.object()}
	lacks := func(value string) bool {
		return !namesHost(sentence, value) && !names(d.name, value) && !slices.Contains(d.nameWords(), value) && !namesHost(strings.ToLower(sentence), strings.ToLower(value))
	}
	w.object = c.placeOf(d, lacks, how)
	w.subject = d.name
	if c.single && c.unevaluated != "" && d.Labels[grafanaRule] == "" { // otherwise the sentence says it
		w.subject += " (" + c.unevaluated + ")"
	}
	for _, word := range c.context {
		if w.label != nil && w.label.rank >= rankURL && w.label.rank <= rankInstance && d.isExportersNamespace(word) {
			continue // the namespace of the exporter, not of a host
		}
		if word != d.name && lacks(word) && !namesHost(w.object, word) && !names(w.subject, word) {
			w.subject = strings.TrimSpace(w.subject + " " + word)
		}
	}
	return w
}

// placeOf returns the part of an alert's place that a sentence lacks, hosts before their parts.
func (c *composition) placeOf(d *detail, lacks func(value string) bool, how wording) string {
	object := d.object()
	if object == nil {
		return ""
	}
	var hosts, parts []string
	add := func(to *[]string, part string) {
		if part != "" && !slices.Contains(hosts, part) && !slices.Contains(parts, part) {
			*to = append(*to, part)
		}
	}
	if host := d.host(); host != nil && host != object && (how != shortWording || host.named || object.rank.isOfHost()) && d.needsHost(object, host) && lacks(host.value) {
		add(&hosts, shortHost(host.value))
	}
	place := ""
	if lacks(object.value) {
		if object.rank == rankInstance && isAddress(object.value) {
			object = d.podOr(object)
		}
		if place = object.value; how == shortWording {
			place = object.rank.short(place)
		}
	}
	if ns := d.namespace(); (object.rank.isNamespaced() || d.Labels["exported_namespace"] == ns) && ns != "" && lacks(ns) && !slices.Contains(c.context, ns) {
		place = strings.TrimSuffix(ns+"/"+place, "/")
	}
	add(&parts, place)
	const most = 3
	for i := range d.labels {
		l := &d.labels[i]
		if !l.addsTo(object, how) || !lacks(l.value) || strings.Contains(place, l.value) || len(hosts)+len(parts) >= most {
			continue
		}
		to := &parts
		if l.rank == rankNode || l.rank == rankInstance {
			to = &hosts
		}
		add(to, l.rank.short(l.value))
	}
	return strings.Join(append(hosts, parts...), " ")
}

// needsHost reports whether an object is written with its host, as a disk and a label of the rule
// itself are. An address is left out if something else has a name.
func (d *detail) needsHost(object, host *label) bool {
	if isAddress(host.value) && slices.ContainsFunc(d.labels, func(l label) bool {
		return l.named && !l.foreign && l.name != object.name && (l.rank == rankOwn || l.rank == rankNode)
	}) {
		return false
	}
	isPart := object.rank.isPart() || object.rank == rankState
	return object.rank.isOfHost() || isPart && (host.named || strings.ContainsAny(host.value, "0123456789-.") && d.podOr(nil) == nil)
}

// addsTo reports whether a label is written next to the object: another label that the author
// names, or the part of a host that nobody names.
func (l *label) addsTo(object *label, how wording) bool {
	if !object.named && l.rank == rankOwn && how != shortWording { // it may be what is broken
		return l != object && !l.foreign
	}
	if how == shortWording || l == object || l.foreign || l.rank >= rankService {
		return false
	}
	return l.rank.isOfHost() || l.rank == rankQueue || l.rank == rankDatabase || how == richWording && l.named
}
