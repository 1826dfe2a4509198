package rota

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

// recurrence is when an event happens: once, or by a rule (RFC 5545, 3.8.5). Its times are on the
// wall of the zone that it begins in, so that "each Monday at nine" stays at nine.
type recurrence struct {
	start    time.Time
	zone     zone
	allDay   bool
	rule     *rrule.RRule // nil: none
	added    []time.Time
	excluded map[time.Time]bool
}

// parseRecurrence reads DTSTART, RRULE, RDATE and EXDATE. zoneOf returns the zone of a property's
// times.
func parseRecurrence(base *ics.ComponentBase, zoneOf func(*ics.IANAProperty) (zone, error)) (*recurrence, error) {
	r := &recurrence{excluded: make(map[time.Time]bool)}
	start := base.GetProperty(ics.ComponentPropertyDtStart)
	if start == nil {
		return nil, errors.New("DTSTART is missing")
	}
	var err error
	if r.zone, err = zoneOf(start); err != nil {
		return nil, err
	}
	if r.start, r.allDay, err = r.parseTime(start.Value, r.zone); err != nil {
		return nil, fmt.Errorf("DTSTART: %w", err)
	}
	for _, p := range base.GetProperties(ics.ComponentPropertyRdate) {
		walls, err := r.parseTimes(p, zoneOf)
		if err != nil {
			return nil, fmt.Errorf("RDATE: %w", err)
		}
		r.added = append(r.added, walls...)
	}
	for _, p := range base.GetProperties(ics.ComponentPropertyExdate) {
		walls, err := r.parseTimes(p, zoneOf)
		if err != nil {
			return nil, fmt.Errorf("EXDATE: %w", err)
		}
		for _, wall := range walls {
			r.excluded[wall] = true
		}
	}
	switch rules := base.GetProperties(ics.ComponentPropertyRrule); len(rules) {
	case 0:
	case 1:
		if r.rule, err = r.parseRule(rules[0].Value); err != nil {
			return nil, fmt.Errorf("RRULE: %w", err)
		}
	default:
		return nil, errors.New("more than one RRULE")
	}
	return r, nil
}

func (r *recurrence) parseRule(text string) (*rrule.RRule, error) {
	var kept []string
	var until string
	for part := range strings.SplitSeq(strings.ToUpper(strings.TrimSuffix(text, ";")), ";") {
		if value, ok := strings.CutPrefix(part, "UNTIL="); ok {
			until = value
			continue
		}
		kept = append(kept, part)
	}
	option, err := rrule.StrToROption(strings.Join(kept, ";"))
	if err != nil {
		return nil, err
	}
	if option.Freq > rrule.DAILY {
		return nil, errors.New("shifts more often than daily are not supported")
	}
	if len(option.Byhour) > 1 || len(option.Byminute) > 1 || len(option.Bysecond) > 1 || len(option.Byeaster) > 0 {
		return nil, errors.New("several shifts a day need an event each")
	}
	option.Dtstart, option.Until = r.start, lastChange
	if until != "" {
		wall, allDay, err := r.parseTime(until, r.zone)
		if err != nil {
			return nil, fmt.Errorf("UNTIL: %w", err)
		}
		if allDay { // the whole of that day
			wall = wall.AddDate(0, 0, 1).Add(-time.Second)
		}
		if wall.Before(lastChange) {
			option.Until = wall
		}
	}
	return rrule.NewRRule(*option)
}

// parseTimes reads a list of times, dates or periods; of a period the start counts.
func (r *recurrence) parseTimes(p *ics.IANAProperty, zoneOf func(*ics.IANAProperty) (zone, error)) ([]time.Time, error) {
	in, err := zoneOf(p)
	if err != nil {
		return nil, err
	}
	var walls []time.Time
	for value := range strings.SplitSeq(p.Value, ",") {
		value, _, _ = strings.Cut(value, "/")
		wall, allDay, err := r.parseTime(value, in)
		if err != nil {
			return nil, err
		}
		if allDay && !r.allDay { // some programs leave the time out
			wall = wall.Add(r.start.Sub(dayOf(r.start)))
		}
		walls = append(walls, wall)
	}
	return walls, nil
}

// parseTime reads 20261123, 20261123T090000 or 20261123T080000Z as a time on the wall of the
// recurrence's zone.
func (r *recurrence) parseTime(s string, in zone) (wall time.Time, allDay bool, err error) {
	for _, form := range []struct {
		layout      string
		allDay, utc bool
	}{{"20060102", true, false}, {"20060102T150405", false, false}, {"20060102T150405Z", false, true}} {
		t, err := time.Parse(form.layout, s)
		switch {
		case err != nil:
			continue
		case t.Year() < 1 || t.Year() > 9000:
			return t, false, fmt.Errorf("%.20q is too far away", s)
		case form.utc:
			return r.zone.wall(t), false, nil
		case in != r.zone && !form.allDay:
			return r.zone.wall(in.moment(t)), false, nil
		}
		return t, form.allDay, nil
	}
	return wall, false, fmt.Errorf("must be like 20261123T090000, is %.20q", s)
}

func dayOf(t time.Time) time.Time { return t.Truncate(24 * time.Hour) }

// between returns the times from one on the wall until another.
func (r *recurrence) between(from, to time.Time) []time.Time {
	var walls []time.Time
	take := func(wall time.Time) {
		if !wall.Before(from) && wall.Before(to) && !r.excluded[wall] {
			walls = append(walls, wall)
		}
	}
	for _, wall := range r.added {
		take(wall)
	}
	if r.rule == nil {
		take(r.start)
	} else {
		next := r.rule.Iterator()
		for wall, ok := next(); ok && wall.Before(to); wall, ok = next() {
			take(wall)
		}
	}
	slices.SortFunc(walls, time.Time.Compare)
	return slices.Compact(walls)
}
