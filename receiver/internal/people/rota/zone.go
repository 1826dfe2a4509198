package rota

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// zone converts between moments and wall-clock times. Wall-clock times are represented as if they
// were UTC.
type zone interface {
	moment(wall time.Time) time.Time
	wall(moment time.Time) time.Time
}

// location is a zone of the IANA database.
type location struct{ *time.Location }

func (l location) moment(wall time.Time) time.Time {
	at := func(near time.Time) time.Time { // with the offset around a time
		_, offset := near.In(l.Location).Zone()
		return wall.Add(-time.Duration(offset) * time.Second)
	}
	return first(wall, at(wall.Add(-day)), at(wall.Add(day)), l.wall)
}

const day = 24 * time.Hour

func (l location) wall(moment time.Time) time.Time {
	t := moment.In(l.Location)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// defined is a time zone that a calendar defines itself (RFC 5545, 3.6.5), as Outlook does for names
// that only Windows knows. It holds the changes of the offset, in order.
type defined struct{ changes []change }

type change struct {
	wall     time.Time // what the clock shows before the change
	from, to time.Duration
}

func (c change) moment() time.Time { return c.wall.Add(-c.from) }

// Changes outside these times are ignored.
var (
	firstChange = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastChange  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func parseTimezone(tz *component) (*defined, error) {
	var changes []change
	for _, base := range tz.subs {
		if base.name != "STANDARD" && base.name != "DAYLIGHT" {
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
		onsets, err := parseRecurrence(base, func(*property) (zone, error) { return clock, nil })
		if err != nil {
			return nil, err
		}
		times := onsets.between(firstChange, lastChange)
		if len(times) == 0 || onsets.start.Before(firstChange) {
			times = append(times, occurrence{wall: onsets.start})
		}
		for _, o := range times {
			c.wall = o.wall
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return nil, errors.New("a time zone without STANDARD and DAYLIGHT")
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.moment().Compare(b.moment()) })
	return &defined{changes}, nil
}

// offset reads an offset such as "+0100" or "-053000".
func offset(base *component, name string) (time.Duration, error) {
	p := base.get(name)
	if p == nil {
		return 0, fmt.Errorf("a change of the clocks without %s", name)
	}
	bad := fmt.Errorf("%s must be like +0100, is %.20q", name, p.value)
	digits := strings.TrimSpace(p.value)
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
	at := func(near time.Time) time.Time { return wall.Add(near.Sub(d.wall(near))) }
	return first(wall, at(wall.Add(-day)), at(wall.Add(day)), d.wall)
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
