package templating

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
)

// piece is a set of functions that write parts of a composition.
type piece uint8

const (
	subjectPiece piece = 1 << iota
	objectPiece
	sentencePiece
	linesPiece
	resolvedPiece
	spreadPiece
)

// The functions below are the rules of the built-in texts, one each. Their argument is the
// notification (.) or an alert.

// notification returns an error unless a function was given the notification.
func notification(function string, of any) error {
	if _, ok := of.(*view); !ok {
		return fmt.Errorf("%s: requires the notification ($), got %s", function, kindOf(of))
	}
	return nil
}

// noAlert returns the error of a function that requires the notification or an alert.
func noAlert(function string, of any) error {
	return fmt.Errorf("%s: requires the notification ($) or an alert, got %s", function, kindOf(of))
}

// kindOf returns what an author of templates calls a value.
func kindOf(v any) string {
	switch v.(type) {
	case alertmanager.Alert:
		return "an alert"
	case alertmanager.Alerts, []alertmanager.Alert:
		return "alerts"
	case alertmanager.KV:
		return "labels or annotations"
	}
	return fmt.Sprintf("%T", v)
}

func (in *instance) severity(of any) (string, error) {
	switch of := of.(type) {
	case alertmanager.Alert:
		return severityWord(in.set.severities.of(of.Labels)), nil
	case *view:
		return in.c.severity(), nil
	}
	return "", noAlert("severity", of)
}

func (in *instance) start(of any) (string, error) {
	return in.c.start(), notification("start", of)
}

func (in *instance) counts(of any) (string, error) {
	return in.c.counts(), notification("counts", of)
}

func (in *instance) subject(of any) (string, error) {
	in.used |= subjectPiece
	return in.c.subject(in.choice), notification("subject", of)
}

func (in *instance) object(of any) (string, error) {
	switch of := of.(type) {
	case alertmanager.Alert:
		d := in.set.detailOf(&of)
		return in.c.compose(&d, "", "", richWording).object, nil
	case *view:
		in.used |= objectPiece
		return in.c.object(in.choice), nil
	}
	return "", noAlert("object", of)
}

func (in *instance) sentence(of any) (string, error) {
	switch of := of.(type) {
	case alertmanager.Alert:
		d := in.set.detailOf(&of)
		if all := d.preferred(); len(all) > 0 {
			return all[0].text, nil
		}
		return "", nil
	case *view:
		in.used |= sentencePiece
		return in.c.sentence(in.choice), nil
	}
	return "", noAlert("sentence", of)
}

func (in *instance) value(a alertmanager.Alert) string {
	d := in.set.detailOf(&a)
	f, _ := figureOf(&d)
	return f
}

func (in *instance) differ(a alertmanager.Alert) string {
	for i := range in.c.entries {
		e := &in.c.entries[i]
		for j, k := range e.alerts {
			if in.c.name != "" && a.Fingerprint != "" && in.c.alerts[k].Fingerprint == a.Fingerprint {
				return e.objects[j]
			}
		}
	}
	d := in.set.detailOf(&a)
	return in.c.compose(&d, "", "", shortWording).object
}

// spread returns the range of the figures if the lines have no room for them.
func (in *instance) spread(of any) (string, error) {
	in.used |= spreadPiece
	if !in.choice.plain || in.c.single {
		return "", notification("spread", of)
	}
	return in.c.spread(), notification("spread", of)
}

func (in *instance) lines(of any) ([]string, error) {
	in.used |= linesPiece
	return in.c.lines(in.choice, in.c.over), notification("lines", of)
}

func (in *instance) resolved(of any) (string, error) {
	in.used |= resolvedPiece
	if in.c.over {
		return "", notification("resolved", of) // lines writes them
	}
	return strings.Join(in.c.lines(in.choice, true), ", "), notification("resolved", of)
}

// age returns how long alerts have been firing, or fired. If room is short, an age in days has no
// hours.
func (in *instance) age(of any) (string, error) {
	switch of := of.(type) {
	case alertmanager.Alert:
		const day = 24 * time.Hour
		d := age(&of, in.now())
		if in.tight && d > day {
			d = d.Truncate(day)
		}
		return Duration(d), nil
	case *view:
		return in.c.age(in.tight), nil
	}
	return "", noAlert("age", of)
}

// reasons returns what was chosen for the pieces that a template writes.
func (c *composition) reasons(ch choice, used piece) []Choice {
	var all []Choice
	add := func(part, from string, of piece) {
		if from != "" && used&of != 0 {
			all = append(all, Choice{part, from})
		}
	}
	if c.single {
		way := &c.ways[ch.way]
		if way.label != nil {
			add("object", c.first.why(way.label), objectPiece|sentencePiece)
		}
		add("sentence", way.from, sentencePiece)
		return all
	}
	if c.sentence(ch) != "" {
		add("sentence", c.common.from+", the same in all alerts", sentencePiece)
	}
	add("lines", c.lineLabels, linesPiece|resolvedPiece)
	if !ch.plain {
		add("figures", c.figuresFrom, linesPiece)
	}
	add("left out", strings.Join(c.omitted(ch), ", "), linesPiece|sentencePiece)
	return all
}

// omitted returns what a choice leaves out that several alerts have.
func (c *composition) omitted(ch choice) []string {
	var all []string
	add := func(what string, left bool) {
		if left {
			all = append(all, what)
		}
	}
	has := func(of func(e *entry) bool) bool {
		return slices.ContainsFunc(c.entries, func(e entry) bool { return of(&e) })
	}
	add("the sentence that all share", c.common != nil && ch.bare)
	add("figures", ch.plain && has(func(e *entry) bool { return e.figure != "" }))
	add("names of resolved alerts", ch.quiet && c.view.FiringCount > 0 && c.view.ResolvedCount > 0)
	filled := []int(nil)
	if ch.names {
		filled = c.fill(c.entries, ch)
	}
	for i, n := range filled {
		if e := &c.entries[i]; n < len(e.objectsOf(ch)) && !(e.resolved && ch.quiet) {
			add("some of what is broken", true)
			break
		}
	}
	return all
}

// joined joins the texts that are not empty.
func joined(separator string, texts ...string) string {
	kept := texts[:0:0]
	for _, text := range texts {
		if text != "" {
			kept = append(kept, text)
		}
	}
	return strings.Join(kept, separator)
}

// start returns the first words of a text, which say what has happened.
func (c *composition) start() string {
	switch {
	case c.over:
		return c.ended()
	case c.view.Repeated:
		return "STILL " + c.severity()
	}
	return c.severity()
}

// counts returns how many alerts fire, and how many are resolved.
func (c *composition) counts() string {
	v := c.view
	switch {
	case c.over && v.ResolvedCount == 1:
		return "1 alert"
	case c.over:
		return strconv.Itoa(v.ResolvedCount) + " alerts"
	case v.ResolvedCount > 0:
		return fmt.Sprintf("%d firing, %d resolved", v.FiringCount, v.ResolvedCount)
	}
	return strconv.Itoa(v.FiringCount) + " firing"
}

// ended returns RESOLVED, or why the alerts ended if they are not known to be over.
func (c *composition) ended() string {
	if c.ending != "" {
		return "ENDED (" + c.ending + ")"
	}
	return "RESOLVED"
}

const longestHeadline = 50 // septets

// headline returns what the group is about, in a few words: the name, and for a single alert what
// is broken.
func (c *composition) headline() string {
	first := c.severity()
	if c.over {
		first = c.ended()
	}
	words := append([]string{first, cmp.Or(c.name, c.unevaluated)}, c.context...)
	if c.single {
		if object := leanObject(c.first); object != "" && !slices.Contains(words, object) {
			words = append(words, object)
		}
	}
	return shortened(joined(" ", words...), longestHeadline, c.set.to)
}

// fallback returns the text that is used if no template works. It cannot fail.
func fallback(v *view, c *composition) string {
	first := c.severity()
	if v.MayStillFire { // all listed alerts are resolved
		left := "some"
		if n := v.TruncatedAlerts; n > 0 {
			left = fmt.Sprintf("up to %d more", n)
		}
		return fmt.Sprintf("%s %s: %d resolved, %s may still fire", first, c.subject(everything), v.ResolvedCount, left)
	}
	if c.over {
		first = c.ended()
	}
	way := c.compose(c.first, "", "", richWording)
	if statements := c.first.preferred(); len(statements) > 0 {
		way = c.compose(c.first, statements[0].text, "", richWording)
	}
	text := joined(": ", strings.TrimSpace(first+" "+way.subject), way.object, way.sentence)
	if d := c.age(false); d != "" {
		text += ", " + d
	}
	return text
}
