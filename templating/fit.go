package templating

import (
	"errors"
	"sort"

	alertmanager "github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating/gsm7"
)

const (
	// maxAlerts is the maximum number of alerts that a template is given and that lines show.
	maxAlerts = 500
	// singleSegment and joinedSegment are the septets in a segment, alone and as one of several.
	singleSegment, joinedSegment = 160, 153
	// spill is how many septets are too few to pay for a segment.
	spill = 16
	// shortest is the fewest septets that a value is shortened to.
	shortest = 16
)

// fit writes as much as there is room for. It returns the first of these that fits: everything;
// what a choice leaves of the built-in functions; everything in tight spelling; fewer alerts; one
// alert with its values shortened; one alert cut at a word.
func (t *Text) fit(v *view, c *composition, alerts alertmanager.Alerts, b Budget) (Rendering, error) {
	in, ok := t.instances.Get().(*instance)
	if !ok {
		return Rendering{}, errors.New("the templates cannot be copied")
	}
	in.view, in.c = v, c
	defer func() {
		in.view, in.c, in.shortened, in.out = nil, nil, nil, boundedWriter{}
		t.instances.Put(in)
	}()

	most := min(len(alerts), maxAlerts)
	loose, err := in.try(alerts, most, b, squeeze{}, everything)
	if err != nil && !loose.tooLong {
		return loose.Rendering, err
	}
	listed := in.used&(linesPiece|resolvedPiece) != 0 // the composition writes lines
	if loose.segments() == 1 && (!listed || len(alerts) <= maxAlerts) {
		return loose.whole(), nil
	}
	if in.used != 0 {
		for _, ch := range c.choices(&loose, in.used, b.MaxSegments) {
			a, err := in.try(alerts, most, b, squeeze{tight: true}, ch)
			if err == nil && a.segments() <= ch.segments {
				a.Shown = len(alerts) - c.hidden(ch)
				a.Cut = a.Cut || c.single && c.ways[ch.way].cut
				return a.whole(), nil
			}
		}
	}
	return in.squeezed(alerts, most, b, &loose)
}

// squeezed fits a text whose template does not leave the choice to the built-in functions. It
// prefers tight spelling if that saves a segment, and shorter values if a segment would hold only a
// few septets.
func (in *instance) squeezed(alerts alertmanager.Alerts, most int, b Budget, loose *attempt) (Rendering, error) {
	tight, err := in.try(alerts, most, b, squeeze{tight: true, values: true}, everything)
	if err != nil && !tight.tooLong {
		return tight.Rendering, err
	}
	all := *loose
	if tight.segments() < loose.segments() {
		all = tight
	}
	if segments := all.segments(); segments <= b.MaxSegments {
		if segments > 1 && tight.segments() == segments && spills(&tight) {
			if r, ok := in.shorten(alerts, most, b, tight.longest, max(shortest, tight.longest/2), segments-1); ok {
				return r, nil
			}
		}
		return all.whole(), nil
	}

	one, shown, longest := all, most, tight.longest
	if loose.used&(linesPiece|resolvedPiece) == 0 { // lines do not depend on the alerts that the template gets
		if fewer, err := in.fewer(alerts, most, b); err != nil || fewer.Text != "" {
			return fewer, err
		}
		first, err := in.try(alerts, min(1, most), b, squeeze{tight: true, values: true}, everything)
		if err != nil && !first.tooLong {
			return first.Rendering, err
		}
		longest = first.longest
		if len(first.raw) != len(all.raw) { // the template lists alerts
			one, shown = first, first.Shown
		}
	}
	if r, ok := in.shorten(alerts, shown, b, longest, shortest, b.MaxSegments); ok {
		return r, nil
	}
	whole := one.cut(b.MaxSegments)
	if one, err = in.try(alerts, shown, b, squeeze{tight: true, values: true, limit: shortest}, everything); err == nil {
		if short := one.cut(b.MaxSegments); len(short.Text) >= len(whole.Text) { // the cut may have removed most of it
			return short, nil
		}
	}
	return whole, nil
}

// spills reports whether the last of several segments holds only a few septets.
func spills(a *attempt) bool {
	size := gsm7.Measure(a.body + a.tail)
	room := (size.Segments - 1) * joinedSegment
	if size.Segments == 2 {
		room = singleSegment
	}
	return size.Units-room <= spill
}

// fewer returns a rendering of as many alerts as fit, but no more than most. Its text is empty if
// not even one fits. A template writes more, the more alerts it gets.
func (in *instance) fewer(alerts alertmanager.Alerts, most int, b Budget) (best Rendering, err error) {
	sort.Search(most-1, func(i int) bool {
		a, failure := in.try(alerts, 1+i, b, squeeze{tight: true, values: true}, everything)
		switch {
		case err != nil:
		case failure != nil && !a.tooLong:
			err = failure
		case a.segments() <= b.MaxSegments:
			best = a.whole()
			return false
		}
		return true
	})
	return best, err
}

// shorten writes the longest values that fit, none shorter than least septets.
func (in *instance) shorten(alerts alertmanager.Alerts, shown int, b Budget, longest, least, maxSegments int) (best Rendering, ok bool) {
	// A value of more septets than this cannot fit.
	longest = min(longest-1, maxSegments*singleSegment)
	sort.Search(longest-least+1, func(i int) bool {
		a, err := in.try(alerts, shown, b, squeeze{tight: true, values: true, limit: longest - i}, everything)
		if err != nil || a.segments() > maxSegments {
			return false
		}
		best, ok = a.whole(), true
		return true
	})
	return best, ok
}
