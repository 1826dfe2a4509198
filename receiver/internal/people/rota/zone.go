package rota

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	ics "github.com/arran4/golang-ical"
)

// zone converts between moments and the times that a clock on the wall shows. Times on the wall are
// written as if they were UTC.
type zone interface {
	moment(wall time.Time) time.Time
	wall(moment time.Time) time.Time
}

// location is a zone of the IANA database.
type location struct{ *time.Location }

func (l location) moment(wall time.Time) time.Time {
	return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, l.Location)
}

func (l location) wall(moment time.Time) time.Time {
	t := moment.In(l.Location)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// defined is a zone that a calendar defines itself (RFC 5545, 3.6.5), as Outlook does with names that
// only Windows knows. It holds the changes of the clocks, in order.
type defined struct{ changes []change }

type change struct {
	wall     time.Time // what the clock shows before the change
	from, to time.Duration
}

func (c change) moment() time.Time { return c.wall.Add(-c.from) }

// Only changes between these times count. Before and after them the clocks stay as they are.
var (
	firstChange = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastChange  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func parseTimezone(tz *ics.VTimezone) (*defined, error) {
	var changes []change
	for _, sub := range tz.SubComponents() {
		var base *ics.ComponentBase
		switch c := sub.(type) {
		case *ics.Standard:
			base = &c.ComponentBase
		case *ics.Daylight:
			base = &c.ComponentBase
		default:
			continue
		}
		var c change
		var err error
		if c.from, err = offset(base, "TZOFFSETFROM"); err != nil {
			return nil, err
		}
		if c.to, err = offset(base, "TZOFFSETTO"); err != nil {
			return nil, err
		}
		clock := location{time.FixedZone("", int(c.from/time.Second))}
		onsets, err := parseRecurrence(base, func(p *ics.IANAProperty) (zone, error) { return clock, nil })
		if err != nil {
			return nil, err
		}
		walls := onsets.between(firstChange, lastChange)
		if len(walls) == 0 || onsets.start.Before(firstChange) {
			walls = append(walls, onsets.start)
		}
		for _, c.wall = range walls {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return nil, errors.New("a time zone without STANDARD and DAYLIGHT")
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.moment().Compare(b.moment()) })
	return &defined{changes}, nil
}

// offset reads "+0100" or "-053000".
func offset(base *ics.ComponentBase, property ics.ComponentProperty) (time.Duration, error) {
	p := base.GetProperty(property)
	if p == nil {
		return 0, fmt.Errorf("a change of the clocks without %s", property)
	}
	bad := fmt.Errorf("%s must be like +0100, is %.20q", property, p.Value)
	digits := p.Value
	if len(digits) != 5 && len(digits) != 7 || digits[0] != '+' && digits[0] != '-' {
		return 0, bad
	}
	var d time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if 1+2*i == len(digits) {
			break
		}
		n, err := strconv.ParseUint(digits[1+2*i:3+2*i], 10, 8)
		if err != nil {
			return 0, bad
		}
		d += time.Duration(n) * unit
	}
	if digits[0] == '-' {
		d = -d
	}
	return d, nil
}

// offsetAfter returns the offset after a number of changes.
func (d *defined) offsetAfter(changes int) time.Duration {
	if changes == 0 {
		return d.changes[0].from
	}
	return d.changes[changes-1].to
}

func (d *defined) moment(wall time.Time) time.Time {
	n, _ := slices.BinarySearchFunc(d.changes, wall, func(c change, wall time.Time) int {
		if c.wall.After(wall) {
			return 1
		}
		return -1
	})
	return wall.Add(-d.offsetAfter(n))
}

func (d *defined) wall(moment time.Time) time.Time {
	n, _ := slices.BinarySearchFunc(d.changes, moment, func(c change, moment time.Time) int {
		if c.moment().After(moment) {
			return 1
		}
		return -1
	})
	return moment.UTC().Add(d.offsetAfter(n))
}
