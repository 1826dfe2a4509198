package rota

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// recurrence is when an event happens: once, or by a rule (RFC 5545, 3.8.5). Its times are
// wall-clock times in the zone of its start, so that "each Monday at nine" remains at nine.
type recurrence struct {
	start    time.Time
	zone     zone
	allDay   bool
	rule     *rrule.RRule // nil: none
	exrules  []*rrule.RRule
	added    []occurrence
	excluded map[time.Time]bool
}

// occurrence is an occurrence of a recurrence.
type occurrence struct {
	wall   time.Time
	length *span // nil: the event's length
}

// span is a length of time: days and weeks are wall-clock time, hours are exact (RFC 5545, 3.3.6).
type span struct{ wall, exact time.Duration }

// parseRecurrence reads DTSTART, RRULE, RDATE, EXDATE and EXRULE. zoneOf returns the zone of a
// property's times.
func parseRecurrence(base *component, zoneOf func(*property) (zone, error)) (*recurrence, error) {
	r := &recurrence{excluded: make(map[time.Time]bool)}
	start := base.get("DTSTART")
	if start == nil {
		return nil, errors.New("DTSTART is missing")
	}
	var err error
	if r.zone, err = zoneOf(start); err != nil {
		return nil, err
	}
	if r.start, r.allDay, err = r.parseTime(start.value, r.zone); err != nil {
		return nil, fmt.Errorf("DTSTART: %w", err)
	}
	for _, p := range base.all("RDATE") {
		added, err := r.parseTimes(p, zoneOf)
		if err != nil {
			return nil, fmt.Errorf("RDATE: %w", err)
		}
		r.added = append(r.added, added...)
	}
	for _, p := range base.all("EXDATE") {
		excluded, err := r.parseTimes(p, zoneOf)
		if err != nil {
			return nil, fmt.Errorf("EXDATE: %w", err)
		}
		for _, o := range excluded {
			r.excluded[o.wall] = true
		}
	}
	for _, p := range base.all("EXRULE") { // RFC 2445, 4.8.5.2
		rule, err := r.parseRule(p.value)
		if err != nil {
			return nil, fmt.Errorf("EXRULE: %w", err)
		}
		r.exrules = append(r.exrules, rule)
	}
	switch rules := base.all("RRULE"); len(rules) {
	case 0:
	case 1:
		if r.rule, err = r.parseRule(rules[0].value); err != nil {
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
	text = strings.ToUpper(strings.Join(strings.Fields(text), ""))
	for part := range strings.SplitSeq(strings.TrimSuffix(text, ";"), ";") {
		if part == "RSCALE=GREGORIAN" || part == "SKIP=OMIT" { // RFC 7529: these are the defaults
			continue
		}
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
	if option.Freq == rrule.WEEKLY && len(option.Bysetpos) > 0 {
		if err := r.pick(option); err != nil {
			return nil, err
		}
	}
	if option.Freq == rrule.YEARLY && len(option.Byweekno) > 0 && len(option.Byweekday)+len(option.Bymonthday)+len(option.Byyearday) == 0 {
		// What a rule omits comes from DTSTART (RFC 5545, 3.3.10).
		option.Byweekday = []rrule.Weekday{weekdays[r.start.Weekday()]}
	}
	numberDays(option)
	option.Dtstart, option.Until = r.start, lastChange
	if until != "" {
		wall, allDay, err := r.parseTime(until, r.zone)
		if err != nil {
			return nil, fmt.Errorf("UNTIL: %w", err)
		}
		if allDay { // the end of that day
			wall = wall.AddDate(0, 0, 1).Add(-time.Second)
		}
		if wall.Before(lastChange) {
			option.Until = wall
		}
	}
	return rrule.NewRRule(*option)
}

// numberDays writes "MO,3FR" as "1MO,2MO,3MO,4MO,5MO,3FR": if some days have a number, the library
// treats the days without one as an additional condition.
func numberDays(option *rrule.ROption) {
	isPlain := func(d rrule.Weekday) bool { return d.N() == 0 }
	if !slices.ContainsFunc(option.Byweekday, isPlain) || !slices.ContainsFunc(option.Byweekday, func(d rrule.Weekday) bool { return !isPlain(d) }) {
		return
	}
	most := 5 // of the same weekday in a month
	if option.Freq == rrule.YEARLY && len(option.Bymonth) == 0 {
		most = 53
	}
	var numbered []rrule.Weekday
	for _, d := range option.Byweekday {
		if !isPlain(d) {
			numbered = append(numbered, d)
			continue
		}
		for n := range most {
			numbered = append(numbered, d.Nth(n+1))
		}
	}
	option.Byweekday = numbered
}

// pick replaces the BYSETPOS of a weekly rule with the days that it picks. BYSETPOS counts the days
// of the whole week (RFC 5545, 3.3.10), but the library leaves out those before DTSTART.
func (r *recurrence) pick(option *rrule.ROption) error {
	if len(option.Bymonth) > 0 {
		return errors.New("BYSETPOS with WEEKLY and BYMONTH is not supported")
	}
	var week []rrule.Weekday // the days of the set, in order
	for i := range weekdays {
		d := weekdays[(option.Wkst.Day()+1+i)%7] // rrule counts days from Monday
		if slices.Contains(option.Byweekday, d) || len(option.Byweekday) == 0 && d == weekdays[r.start.Weekday()] {
			week = append(week, d)
		}
	}
	option.Byweekday = nil
	for _, n := range option.Bysetpos {
		if n < 0 {
			n += len(week) + 1
		}
		if n > 0 && n <= len(week) && !slices.Contains(option.Byweekday, week[n-1]) {
			option.Byweekday = append(option.Byweekday, week[n-1])
		}
	}
	if len(option.Byweekday) == 0 {
		return errors.New("its BYSETPOS picks no day")
	}
	option.Bysetpos = nil
	return nil
}

// parseTimes reads a list of times, dates or periods. Only periods have a length of their own.
func (r *recurrence) parseTimes(p *property, zoneOf func(*property) (zone, error)) ([]occurrence, error) {
	in, err := zoneOf(p)
	if err != nil {
		return nil, err
	}
	var all []occurrence
	for value := range strings.SplitSeq(p.value, ",") {
		value, period, isPeriod := strings.Cut(strings.TrimSpace(value), "/")
		wall, allDay, err := r.parseTime(value, in)
		if err != nil {
			return nil, err
		}
		o := occurrence{wall: r.fitted(wall, allDay)}
		if isPeriod {
			length, err := parseDuration(period)
			if end, _, notTime := r.parseTime(period, in); notTime == nil {
				length, err = span{wall: end.Sub(o.wall)}, nil
			}
			if err != nil {
				return nil, err
			}
			o.length = &length
		}
		all = append(all, o)
	}
	return all, nil
}

// fitted returns the wall-clock time of an occurrence. If it was written as a date, but the recurrence
// has times, that is the start's time of day: some programs omit it.
func (r *recurrence) fitted(wall time.Time, allDay bool) time.Time {
	if allDay && !r.allDay {
		return wall.Add(r.start.Sub(dayOf(r.start)))
	}
	return wall
}

// parseTime reads 20261123, 20261123T090000 or 20261123T080000Z as a wall-clock time in the
// recurrence's zone.
func (r *recurrence) parseTime(s string, in zone) (wall time.Time, allDay bool, err error) {
	s = strings.TrimSpace(s)
	if r.allDay && len(s) > len("20060102") { // for whole days, only the date counts
		s = s[:len("20060102")]
	}
	if rest, leap := strings.CutSuffix(strings.TrimSuffix(s, "Z"), "60"); leap && len(rest) == 13 { // RFC 5545, 3.3.12
		s = rest + "59" + s[15:]
	}
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

// between returns the occurrences between two wall-clock times; to is exclusive.
func (r *recurrence) between(from, to time.Time) []occurrence {
	var found []occurrence
	out := make(map[time.Time]bool)
	for _, rule := range r.exrules {
		each(rule, from, to, func(wall time.Time) { out[wall] = true })
	}
	take := func(o occurrence) {
		if !o.wall.Before(from) && o.wall.Before(to) && !r.excluded[o.wall] && !out[o.wall] {
			found = append(found, o)
		}
	}
	for _, o := range r.added {
		take(o)
	}
	if r.rule == nil {
		take(occurrence{wall: r.start})
	} else {
		each(r.rule, from, to, func(wall time.Time) { take(occurrence{wall: wall}) })
	}
	slices.SortStableFunc(found, func(a, b occurrence) int { return a.wall.Compare(b.wall) })
	return slices.CompactFunc(found, func(a, b occurrence) bool { return a.wall.Equal(b.wall) })
}

// each calls yield with the times of a rule before to. To save time, it starts a daily or weekly rule
// without COUNT shortly before from, not at its beginning.
func each(rule *rrule.RRule, from, to time.Time, yield func(time.Time)) {
	o := rule.OrigOptions
	unit := map[rrule.Frequency]time.Duration{rrule.DAILY: day, rrule.WEEKLY: 7 * day}[o.Freq] * time.Duration(max(1, o.Interval))
	if ahead := from.Sub(o.Dtstart); unit > 0 && o.Count == 0 && ahead > 2*unit {
		if o.Freq == rrule.WEEKLY && len(o.Byweekday) == 0 {
			o.Byweekday = []rrule.Weekday{weekdays[o.Dtstart.Weekday()]}
		}
		o.Dtstart = o.Dtstart.Add((ahead/unit - 1) * unit)
		if later, err := rrule.NewRRule(o); err == nil {
			rule = later
		}
	}
	next := rule.Iterator()
	for wall, ok := next(); ok && wall.Before(to); wall, ok = next() {
		yield(wall)
	}
}

var weekdays = []rrule.Weekday{rrule.SU, rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA}
