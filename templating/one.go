package templating

import (
	"slices"
	"strings"
)

// one is a text about a single alert: what stands between severity and age.
type one struct {
	subject  string // name and context
	object   string // what the sentence lacks of the place
	sentence string
	label    *label // of the object
	from     string // where the sentence was found
}

// wording is how the place of an alert is written.
type wording uint8

const (
	rich  wording = iota // with everything that the rule's author names
	plain                // what is broken alone
	short                // that, by short names
)

// oneOf composes the ways to write about a single alert, the best first. Each says
// name, object and, if there is one, a figure.
func (c *composition) oneOf(d *detail) []one {
	sayings := d.preferred()
	if len(sayings) == 0 || c.over { // what was wrong is no news
		from := rich
		if c.over {
			from = plain
		}
		return []one{c.compose(d, "", "", from), c.compose(d, "", "", short)}
	}
	first := sayings[0]
	full := withValue(d, first, first.text)
	ways := []one{c.compose(d, full, first.from, rich), c.compose(d, full, first.from, short)}
	named := func(value string) bool { return c.namesElsewhere(d, value) }
	leanest := full
	for _, lean := range [...]string{lean(full, named), withoutAsides(lean(full, named))} {
		if lean != leanest && d.echoes(lean) {
			lean = ""
		}
		if lean != leanest {
			ways = append(ways, c.compose(d, lean, first.from+", made lean", short))
			leanest = lean
		}
	}
	if main := first.withoutClause(leanest); main != "" {
		ways = append(ways, c.compose(d, main, first.from+", without its last clause", short))
		leanest = main
	}
	c.leanest = leanest
	for _, s := range sayings[1:] {
		text := withoutAsides(lean(s.text, named))
		if len(text) >= len(leanest) {
			continue
		}
		if f, ok := firstMeasured(first); ok && !s.measured() {
			text += " (" + first.unitOf(f) + ")"
		} else {
			text = withValue(d, s, text)
		}
		ways = append(ways, c.compose(d, text, s.from, short))
		break
	}
	return ways
}

// cutWay appends a way whose sentence is cut so that all takes at most so many septets,
// and returns where it is; ok is false if only a few words would stay.
func (c *composition) cutWay(most int, septetsOf func(i int) int) (way int, ok bool) {
	const fewWords = 24 // septets
	sayings := c.first.preferred()
	if len(sayings) == 0 {
		return 0, false
	}
	s := sayings[0]
	way = len(c.ways)
	left := septets(c.leanest, c.set.to)
	for range 4 {
		text := s.cutTo(c.leanest, left, c.set.to)
		c.ways = append(c.ways[:way], c.compose(&c.first, text, s.from+", cut", short))
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

// withValue appends the rule's VALUE to a sentence that has no measured figure. A
// value of 0 or 1 says nothing.
func withValue(d *detail, s *saying, text string) string {
	if d.value == "" || s.measured() || d.value == "0" || d.value == "1" || names(text, d.value) {
		return text
	}
	return text + " (" + percent(d.value, s) + ")"
}

func firstMeasured(s *saying) (figure, bool) {
	for _, f := range s.figures {
		if !f.constant {
			return f, true
		}
	}
	return figure{}, false
}

// namesElsewhere reports whether a value stands in the subject, or will stand before
// the sentence once the sentence lacks it.
func (c *composition) namesElsewhere(d *detail, value string) bool {
	if names(d.name, value) || slices.Contains(c.contextOf(d.labels), value) {
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

// object returns the label that says what is broken, or nil: the most exact one that
// the rule's author put into an annotation, else the most exact one that there is. It
// is never an exporter's.
func (d *detail) object() *label {
	if len(d.labels) > 0 && d.labels[0].rank < rankClaim { // the configuration's choice
		return &d.labels[0]
	}
	for i := range d.labels {
		if l := &d.labels[i]; l.named && !l.foreign && l.rank < rankContext {
			return l
		}
	}
	var own, address *label
	for i := range d.labels {
		l := &d.labels[i]
		switch {
		case l.foreign || l.rank >= rankContext:
		case l.rank >= rankTopic && l.rank <= rankOwn: // perhaps the rule's, the same in each alert
			if own == nil {
				own = l
			}
		case l.rank == rankInstance && isAddress(l.value):
			address = l
		case l.rank > rankInstance && (own != nil || address != nil):
		default:
			return l
		}
	}
	if address != nil && own == nil {
		return address
	}
	return own
}

// leanObject returns what is broken without its namespace and host, if it says enough
// alone.
func leanObject(d *detail) string {
	object := d.object()
	if object == nil || object.rank.isOfHost() {
		return ""
	}
	return object.rank.short(object.value)
}

// why returns a label's name and why it was chosen.
func (d *detail) why(l *label) string {
	switch {
	case l.rank < rankClaim:
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

// podOr returns the pod that an address belongs to, or the address.
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

// isNamespaced reports whether an object of a rank is known by its namespace, too.
func (r rank) isNamespaced() bool { return r >= rankClaim && r <= rankWorkload }

// namespace returns the namespace of what is broken, or "". That of an exporter's pod
// is none.
func (d *detail) namespace() string {
	exporter := slices.ContainsFunc(d.labels, func(l label) bool {
		return l.foreign && l.rank != rankInstance && !strings.Contains(l.value, "kube-state-metrics") && l.value != "kubelet" && !strings.Contains(l.value, "cadvisor")
	})
	for _, l := range d.labels {
		if l.rank == rankNamespace && (l.named || !exporter) {
			return l.value
		}
	}
	return ""
}

// compose writes name, place and a sentence, each thing once.
func (c *composition) compose(d *detail, sentence, from string, how wording) one {
	o := one{sentence: sentence, from: from}
	lacks := func(value string) bool {
		return !namesHost(sentence, value) && !names(d.name, value) && !slices.Contains(d.nameWords(), value)
	}
	var hosts, parts []string // of the object
	add := func(to *[]string, part string) {
		if part != "" && !slices.Contains(hosts, part) && !slices.Contains(parts, part) {
			*to = append(*to, part)
		}
	}
	if object := d.object(); object != nil {
		o.label = object
		host := d.host()
		if host != nil && (object.rank.isOfHost() || object.rank.isPart() && host.named) && lacks(host.value) && !(isAddress(host.value) && hasName(d)) {
			add(&hosts, shortHost(host.value))
		}
		place := ""
		if lacks(object.value) {
			if object.rank == rankInstance && isAddress(object.value) {
				object = d.podOr(object)
			}
			if place = object.value; how == short {
				place = object.rank.short(place)
			}
		}
		if ns := d.namespace(); object.rank.isNamespaced() && ns != "" && lacks(ns) && !slices.Contains(c.contextOf(d.labels), ns) {
			place = strings.TrimSuffix(ns+"/"+place, "/")
		}
		add(&parts, place)
		for i := range d.labels {
			l := &d.labels[i]
			// Others that the author names, and the part of a host that nobody names.
			part := l.rank.isOfHost() || l.rank == rankDatabase
			if !(how == rich && l.named || how != short && part) || l.foreign || l.rank >= rankService || l == object || len(hosts)+len(parts) >= 3 || !lacks(l.value) || strings.Contains(place, l.value) {
				continue
			}
			if l.rank == rankNode || l.rank == rankInstance {
				add(&hosts, l.rank.short(l.value))
			} else {
				add(&parts, l.rank.short(l.value))
			}
		}
	}
	parts = append(hosts, parts...)
	o.object = strings.Join(parts, " ")
	o.subject = d.name
	for _, word := range c.contextOf(d.labels) {
		if o.label != nil && o.label.rank >= rankURL && o.label.rank <= rankInstance && d.isExportersNamespace(word) {
			continue // of the exporter, not of a host
		}
		if word != d.name && lacks(word) && !names(o.object, word) && !namesHost(o.object, word) && !names(o.subject, word) {
			o.subject = strings.TrimSpace(o.subject + " " + word)
		}
	}
	return o
}

// hasName reports whether an annotation names something better than an address.
func hasName(d *detail) bool {
	return slices.ContainsFunc(d.labels, func(l label) bool { return l.named && !l.foreign && l.rank < rankInstance })
}
