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

// The functions below are the rules of the built-in texts, each by itself. They take
// the notification (.), or an alert.

func (in *instance) subject(any) string {
	in.used |= subjectPiece
	return in.c.subject(in.choice)
}

func (in *instance) object(of any) (string, error) {
	if a, isAlert := of.(alertmanager.Alert); isAlert {
		d := in.set.detailOf(&a)
		return in.c.compose(&d, "", "", richWording).object, nil
	}
	in.used |= objectPiece
	return in.c.object(in.choice), nil
}

func (in *instance) sentence(of any) (string, error) {
	if a, isAlert := of.(alertmanager.Alert); isAlert {
		d := in.set.detailOf(&a)
		if all := d.preferred(); len(all) > 0 {
			return all[0].text, nil
		}
		return "", nil
	}
	in.used |= sentencePiece
	return in.c.sentence(in.choice), nil
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
func (in *instance) spread(any) string {
	in.used |= spreadPiece
	if !in.choice.plain || in.c.single {
		return ""
	}
	return in.c.spread()
}

func (in *instance) lines(any) []string {
	in.used |= linesPiece
	return in.c.lines(in.choice, in.c.over)
}

func (in *instance) resolved(any) string {
	in.used |= resolvedPiece
	if in.c.over {
		return "" // lines has them
	}
	return strings.Join(in.c.lines(in.choice, true), ", ")
}

// age returns how long alerts have been firing, or fired; if room is short, of days
// without the hours.
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
	return "", fmt.Errorf("age: wants the notification (.) or an alert, has %T", of)
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
	return all
}

// joined writes the texts that are not empty, with a separator between them.
func joined(separator string, texts ...string) string {
	kept := texts[:0:0]
	for _, text := range texts {
		if text != "" {
			kept = append(kept, text)
		}
	}
	return strings.Join(kept, separator)
}

// start returns the first words of a text: what has happened.
func (c *composition) start() string {
	switch {
	case c.over:
		return c.ended()
	case c.view.Repeated:
		return "STILL " + c.severity()
	}
	return c.severity()
}

// counts returns how many alerts fire and are resolved.
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

// ended returns RESOLVED, or why alerts ended that are not known to be over.
func (c *composition) ended() string {
	if c.ending != "" {
		return "ENDED (" + c.ending + ")"
	}
	return "RESOLVED"
}

const longestHeadline = 50 // septets

// headline returns what the group is about, in a few words: the name, and of a single
// alert what is broken.
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

// fallback returns the text if no template can be used. It cannot fail.
func fallback(v *view, c *composition) string {
	first := c.severity()
	if v.MayStillFire { // what is listed is resolved
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
	if sayings := c.first.preferred(); len(sayings) > 0 {
		way = c.compose(c.first, sayings[0].text, "", richWording)
	}
	text := joined(": ", strings.TrimSpace(first+" "+way.subject), way.object, way.sentence)
	if d := c.age(false); d != "" {
		text += ", " + d
	}
	return text
}
