package rota

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxEvents is the maximum number of events in a calendar.
	maxEvents = 20_000
	// longestShift is the maximum length of an event: how far back to search for events that still go on.
	longestShift = 366 * 24 * time.Hour
)

// Calendar is a rota in an iCalendar file (RFC 5545), as Google, Outlook and PagerDuty write it. Each
// event is a shift of its attendees, or of the people that its summary names.
type Calendar struct {
	Skipped    []Skipped // events that cannot be read
	events     []event
	duplicates []duplicateZone

	mu     sync.Mutex
	window window
}

// window holds the shifts of some days, so that a notification does not evaluate all rules.
type window struct {
	from, to time.Time
	shifts   []Shift
}

// aheadFor is the length of a window.
const aheadFor = 7 * day

// Skipped is an event that cannot be read.
type Skipped struct {
	Shift          // without its times
	Line    int    // where it begins
	LastDay string // its last day, "20261123"; "" if unknown
	Err     error
}

func (s Skipped) Error() string {
	return fmt.Sprintf("event %.60q (line %d): %v", s.Label(), s.Line, s.Err)
}

// event is a single or recurring shift.
type event struct {
	uid      string
	sequence int
	when     *recurrence
	length   span
	names    []string
	summary  string
	replaces time.Time // the occurrence of a recurring event that this event replaces, in wall-clock time; zero: none
	byDate   bool      // replaces is a date without a time
	canceled bool      // canceled, or its attendee is away
}

// ParseCalendar reads a calendar. Times without a zone are in local, unless the file names a zone
// (X-WR-TIMEZONE). Events that cannot be read are in Skipped. ParseCalendar fails if the calendar as
// a whole cannot be read.
func ParseCalendar(data []byte, local *time.Location) (*Calendar, error) {
	file, err := read(string(data))
	if err != nil {
		return nil, err
	}
	p := &calendarParser{zones: newZones()}
	c := &Calendar{}
	for _, calendar := range file.subs {
		p.local = location{local}
		for _, tz := range calendar.subs {
			if tz.name == "VTIMEZONE" {
				p.zones.defined[tz.text("TZID")] = tz
				delete(p.zones.unknown, tz.text("TZID"))
			}
		}
		if name := calendar.text("X-WR-TIMEZONE"); name != "" {
			if z, err := p.zones.named(name); err == nil {
				p.local = z
			}
		}
		for _, e := range calendar.subs {
			if e.name != "VEVENT" {
				continue
			}
			if len(c.events) == maxEvents {
				return nil, fmt.Errorf("more than %d events", maxEvents)
			}
			parsed, err := p.parse(e)
			if err != nil {
				c.Skipped = append(c.Skipped, Skipped{Shift: Shift{Names: parsed.names, Summary: parsed.summary}, Line: e.line, LastDay: lastDay(e), Err: err})
				continue
			}
			c.events = append(c.events, parsed)
		}
	}
	c.duplicates = p.zones.duplicates()
	c.revise()
	c.link()
	return c, nil
}

// datePrefix matches the date at the start of a time.
var datePrefix = regexp.MustCompile(`^\d{8}`)

// lastDay returns the last day of an event that cannot be read, or "" if it is unknown.
func lastDay(e *component) string {
	last := ""
	for _, p := range e.props {
		switch p.name {
		case "RRULE":
			_, until, ok := strings.Cut(strings.ToUpper(p.value), "UNTIL=")
			if !ok {
				return ""
			}
			last = max(last, datePrefix.FindString(until))
		case "RDATE", "DURATION":
			return ""
		case "DTSTART", "DTEND":
			day := datePrefix.FindString(strings.TrimSpace(p.value))
			if day == "" {
				return ""
			}
			last = max(last, day)
		}
	}
	return last
}

// calendarParser holds the time zones of a file.
type calendarParser struct {
	zones zones
	local zone
}

// zoneOf returns the zone of a property's times: UTC if it is written in UTC, otherwise the one it names,
// otherwise local.
func (p *calendarParser) zoneOf(prop *property) (zone, error) {
	if strings.HasSuffix(strings.TrimSpace(prop.value), "Z") {
		return location{time.UTC}, nil
	}
	if ids := prop.params["TZID"]; len(ids) > 0 {
		return p.zones.named(ids[0])
	}
	return p.local, nil
}

// canceledTitle matches the titles that Outlook gives to canceled events.
var canceledTitle = regexp.MustCompile(`(?i)^\s*(cancell?ed|annul.e?|abgesagt|cancelad[oa]|annullat[oa]|geannuleerd|afgelast)\s*:`)

func (p *calendarParser) parse(e *component) (event, error) {
	ev := event{uid: e.text("UID"), names: namesOf(e), summary: e.text("SUMMARY")}
	ev.sequence, _ = strconv.Atoi(e.text("SEQUENCE"))
	ev.canceled = e.enum("STATUS") == "CANCELLED" || e.enum("STATUS") == "CANCELED" || canceledTitle.MatchString(ev.summary) ||
		e.enum("X-MICROSOFT-CDO-BUSYSTATUS") == "OOF"
	var err error
	if ev.when, err = parseRecurrence(e, p.zoneOf); err != nil {
		return ev, err
	}
	if ev.length, err = p.length(e, ev.when); err != nil {
		return ev, err
	}
	if id := e.get("RECURRENCE-ID"); id != nil {
		if _, ranged := id.params["RANGE"]; ranged {
			return ev, errors.New("a RECURRENCE-ID with RANGE is not supported")
		}
		in, err := p.zoneOf(id)
		if err != nil {
			return ev, err
		}
		if ev.replaces, ev.byDate, err = ev.when.parseTime(id.value, in); err != nil {
			return ev, fmt.Errorf("RECURRENCE-ID: %w", err)
		}
	}
	return ev, nil
}

// length returns the wall-clock time from DTSTART to DTEND: a shift from nine to nine remains one
// when the clocks change. This deviates from RFC 5545, 3.8.5.3, on purpose.
func (p *calendarParser) length(e *component, when *recurrence) (span, error) {
	var length span
	end, duration := e.get("DTEND"), e.get("DURATION")
	switch {
	case end != nil:
		in, err := p.zoneOf(end)
		if err != nil {
			return length, err
		}
		wall, _, err := when.parseTime(end.value, in)
		if err != nil {
			return length, fmt.Errorf("DTEND: %w", err)
		}
		length.wall = wall.Sub(when.start)
	case duration != nil:
		var err error
		if length, err = parseDuration(duration.value); err != nil {
			return length, fmt.Errorf("DURATION: %w", err)
		}
	}
	if when.allDay && length == (span{}) { // some programs write the first day as the end
		length.wall = day
	}
	if total := length.wall + length.exact; total < 0 || total > longestShift {
		return length, errors.New("it must end after it begins, and within a year")
	}
	return length, nil
}

// parseDuration reads "P1W", "P7D" or "PT12H30M" (RFC 5545, 3.3.6). Days are wall-clock time; hours are exact.
func parseDuration(s string) (span, error) {
	bad := fmt.Errorf("must be like P7D or PT12H, is %.20q", s)
	rest, ok := strings.CutPrefix(strings.ToUpper(strings.TrimPrefix(strings.TrimSpace(s), "+")), "P")
	if !ok || rest == "" {
		return span{}, bad
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour}
	var d span
	of := &d.wall
	n, digits := time.Duration(0), 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == 'T' && digits == 0:
			of = &d.exact
			units = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		case c >= '0' && c <= '9' && digits < 6:
			n, digits = 10*n+time.Duration(c-'0'), digits+1
		case units[c] > 0 && digits > 0:
			*of += n * units[c]
			n, digits = 0, 0
		default:
			return span{}, bad
		}
	}
	if digits > 0 {
		return span{}, bad
	}
	return d, nil
}

// namesOf returns the names and addresses of the attendees. It leaves out those who declined, delegated
// (RFC 5545, 3.2.12) or only get a copy (3.2.16), and rooms (3.2.3).
func namesOf(e *component) []string {
	var names []string
	for _, a := range e.all("ATTENDEE") {
		status, kind := a.param("PARTSTAT"), a.param("CUTYPE")
		if status == "DECLINED" || status == "DELEGATED" || a.param("ROLE") == "NON-PARTICIPANT" || kind == "ROOM" || kind == "RESOURCE" {
			continue
		}
		address := a.value
		if scheme, rest, ok := strings.Cut(address, ":"); ok && strings.EqualFold(scheme, "mailto") {
			address = rest
		}
		for _, name := range append(slices.Clone(a.params["CN"]), address) {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// revise drops the events that a newer revision replaces: the highest SEQUENCE counts (RFC 5545,
// 3.8.7.4; RFC 5546, 2.1.5).
func (c *Calendar) revise() {
	type name struct {
		uid      string
		replaces time.Time
	}
	newest := make(map[name]int)
	key := func(e *event) name {
		if e.replaces.IsZero() {
			return name{uid: e.uid}
		}
		return name{e.uid, e.when.zone.moment(e.replaces).UTC()}
	}
	for i := range c.events {
		newest[key(&c.events[i])] = max(newest[key(&c.events[i])], c.events[i].sequence)
	}
	c.events = slices.DeleteFunc(c.events, func(e event) bool { return e.uid != "" && e.sequence < newest[key(&e)] })
}

// link removes from each recurring event the occurrences that other events replace.
func (c *Calendar) link() {
	masters := make(map[string]*event)
	for i := range c.events {
		if e := &c.events[i]; e.replaces.IsZero() {
			masters[e.uid] = e
		}
	}
	for i := range c.events {
		e := &c.events[i]
		master := masters[e.uid]
		if e.replaces.IsZero() || master == nil {
			continue
		}
		wall := e.replaces
		if master.when.zone != e.when.zone {
			wall = master.when.zone.wall(e.when.zone.moment(wall))
		}
		switch {
		case e.byDate:
			wall = master.when.fitted(e.replaces, true)
		case master.when.allDay && !e.when.allDay:
			wall = dayOf(wall)
		}
		master.when.excluded[wall] = true
	}
}

// Shifts implements Rota.
func (c *Calendar) Shifts(from, to time.Time) []Shift {
	if to.Sub(from) > day {
		return c.compute(from, to)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := &c.window; from.Before(w.from) || to.After(w.to) {
		w.from, w.to = from, to.Add(aheadFor)
		w.shifts = c.compute(w.from, w.to)
	}
	var shifts []Shift
	for _, s := range c.window.shifts {
		if s.Start.Before(to) && s.End.After(from) {
			shifts = append(shifts, s)
		}
	}
	return shifts
}

// Prepare computes a window of shifts, so that Shifts is fast for times soon after this one.
func (c *Calendar) Prepare(at time.Time) { c.Shifts(at, at.Add(day)) }

// compute returns the shifts that overlap the time between from and to.
func (c *Calendar) compute(from, to time.Time) []Shift {
	var shifts []Shift
	for i := range c.events {
		e := &c.events[i]
		if e.canceled {
			continue
		}
		// One more day on both sides, because the wall clock may show another day.
		longest := e.length.wall + e.length.exact
		for _, o := range e.when.added {
			if o.length != nil {
				longest = max(longest, o.length.wall+o.length.exact)
			}
		}
		for _, o := range e.when.between(e.when.zone.wall(from).Add(-longest-day), e.when.zone.wall(to).Add(day)) {
			length := e.length
			if o.length != nil {
				length = *o.length
			}
			s := Shift{Start: e.when.zone.moment(o.wall), End: e.when.zone.moment(o.wall.Add(length.wall)).Add(length.exact), Names: e.names, Summary: e.summary}
			if s.Start.Before(s.End) && s.Start.Before(to) && s.End.After(from) {
				shifts = append(shifts, s)
			}
		}
	}
	return sorted(shifts)
}
