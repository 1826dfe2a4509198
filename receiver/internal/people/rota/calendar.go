package rota

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
)

const (
	// maxEvents bounds a calendar's events.
	maxEvents = 20_000
	// longestShift bounds how long ago an event may have begun that still goes on.
	longestShift = 366 * 24 * time.Hour
)

// Calendar is a rota in an iCalendar file (RFC 5545), as Google, Outlook and PagerDuty write it. Each
// event is a shift of its attendees, or of those that its summary names.
type Calendar struct {
	events []event
}

// event is a shift, or one that recurs.
type event struct {
	uid      string
	when     *recurrence
	length   time.Duration // on the wall
	names    []string
	summary  string
	replaces time.Time // the occurrence of a recurring event that this one replaces, on the wall; zero: none
	canceled bool
}

// ParseCalendar reads a calendar. Times without a zone are in local, unless the file names a zone
// (X-WR-TIMEZONE). The error says which event is wrong, and why.
func ParseCalendar(data []byte, local *time.Location) (*Calendar, error) {
	cal, err := ics.ParseCalendarWithOptions(bytes.NewReader(data), ics.WithUnknownPropertyHandler(ics.AcceptUnknownPropertyHandler))
	if err != nil {
		return nil, fmt.Errorf("not an iCalendar file: %w", err)
	}
	if len(cal.CalendarProperties)+len(cal.Components) == 0 {
		return nil, errors.New("not an iCalendar file: it holds no VCALENDAR")
	}
	p := &calendarParser{zones: map[string]zone{"UTC": location{time.UTC}}, local: location{local}}
	if err := p.readZones(cal); err != nil {
		return nil, err
	}
	c := &Calendar{}
	for _, e := range cal.Events() {
		if len(c.events) == maxEvents {
			return nil, fmt.Errorf("more than %d events", maxEvents)
		}
		parsed, err := p.parse(e)
		if err != nil {
			return nil, fmt.Errorf("event %.60q (%.60s): %w", property(&e.ComponentBase, ics.ComponentPropertySummary), e.Id(), err)
		}
		c.events = append(c.events, parsed)
	}
	c.link()
	return c, nil
}

// calendarParser knows the zones of a file.
type calendarParser struct {
	zones map[string]zone
	local zone
}

func (p *calendarParser) readZones(cal *ics.Calendar) error {
	for _, c := range cal.Components {
		tz, ok := c.(*ics.VTimezone)
		if !ok {
			continue
		}
		id := property(&tz.ComponentBase, ics.ComponentProperty(ics.PropertyTzid))
		if l, err := load(id); err == nil { // the system knows it better
			p.zones[id] = l
			continue
		}
		z, err := parseTimezone(tz)
		if err != nil {
			return fmt.Errorf("time zone %.60q: %w", id, err)
		}
		p.zones[id] = z
	}
	for _, prop := range cal.CalendarProperties {
		if prop.IANAToken == string(ics.PropertyXWRTimezone) && prop.Value != "" {
			z, err := p.zone(prop.Value)
			if err != nil {
				return err
			}
			p.local = z
		}
	}
	return nil
}

func load(name string) (zone, error) {
	if name == "" || name == "Local" {
		return nil, errors.New("no zone")
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	return location{l}, nil
}

func (p *calendarParser) zone(id string) (zone, error) {
	if z := p.zones[id]; z != nil {
		return z, nil
	}
	z, err := load(id)
	if err != nil {
		return nil, fmt.Errorf("the time zone %.60q is not defined", id)
	}
	p.zones[id] = z
	return z, nil
}

// zoneOf returns the zone of a property's times. A time in UTC recurs in UTC.
func (p *calendarParser) zoneOf(prop *ics.IANAProperty) (zone, error) {
	if ids := prop.ICalParameters[string(ics.ParameterTzid)]; len(ids) > 0 {
		return p.zone(ids[0])
	}
	if strings.HasSuffix(prop.Value, "Z") {
		return p.zones["UTC"], nil
	}
	return p.local, nil
}

func (p *calendarParser) parse(e *ics.VEvent) (event, error) {
	base := &e.ComponentBase
	ev := event{uid: e.Id(), names: namesOf(e), summary: property(base, ics.ComponentPropertySummary), canceled: property(base, ics.ComponentPropertyStatus) == string(ics.ObjectStatusCancelled)}
	var err error
	if ev.when, err = parseRecurrence(base, p.zoneOf); err != nil {
		return ev, err
	}
	if ev.length, err = p.length(base, ev.when); err != nil {
		return ev, err
	}
	if id := base.GetProperty(ics.ComponentPropertyRecurrenceId); id != nil {
		if _, ranged := id.ICalParameters["RANGE"]; ranged {
			return ev, errors.New("a RECURRENCE-ID with RANGE is not supported")
		}
		in, err := p.zoneOf(id)
		if err != nil {
			return ev, err
		}
		if ev.replaces, _, err = ev.when.parseTime(id.Value, in); err != nil {
			return ev, fmt.Errorf("RECURRENCE-ID: %w", err)
		}
	}
	return ev, nil
}

// length returns the time from DTSTART to DTEND on the wall: a shift from nine to nine stays so when
// the clocks change.
func (p *calendarParser) length(base *ics.ComponentBase, when *recurrence) (time.Duration, error) {
	var length time.Duration
	end, duration := base.GetProperty(ics.ComponentPropertyDtEnd), base.GetProperty(ics.ComponentPropertyDuration)
	switch {
	case end != nil:
		in, err := p.zoneOf(end)
		if err != nil {
			return 0, err
		}
		wall, _, err := when.parseTime(end.Value, in)
		if err != nil {
			return 0, fmt.Errorf("DTEND: %w", err)
		}
		length = wall.Sub(when.start)
	case duration != nil:
		var err error
		if length, err = parseDuration(duration.Value); err != nil {
			return 0, fmt.Errorf("DURATION: %w", err)
		}
	case when.allDay:
		length = 24 * time.Hour
	}
	if length < 0 || length > longestShift {
		return 0, errors.New("it must end after it begins, and within a year")
	}
	return length, nil
}

// parseDuration reads "P1W", "P7D" or "PT12H30M" (RFC 5545, 3.3.6).
func parseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("must be like P7D or PT12H, is %.20q", s)
	rest, ok := strings.CutPrefix(strings.TrimPrefix(s, "+"), "P")
	if !ok || rest == "" {
		return 0, bad
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour}
	var d time.Duration
	n, digits := time.Duration(0), 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == 'T' && digits == 0:
			units = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		case c >= '0' && c <= '9' && digits < 6:
			n, digits = 10*n+time.Duration(c-'0'), digits+1
		case units[c] > 0 && digits > 0:
			d += n * units[c]
			n, digits = 0, 0
		default:
			return 0, bad
		}
	}
	if digits > 0 {
		return 0, bad
	}
	return d, nil
}

func property(base *ics.ComponentBase, name ics.ComponentProperty) string {
	if p := base.GetProperty(name); p != nil {
		return strings.TrimSpace(p.Value)
	}
	return ""
}

// namesOf returns the names and addresses of the attendees, except those who declined.
func namesOf(e *ics.VEvent) []string {
	var names []string
	for _, a := range e.Attendees() {
		if a.ParticipationStatus() == ics.ParticipationStatusDeclined {
			continue
		}
		address := a.Email()
		if scheme, rest, ok := strings.Cut(a.Value, ":"); ok && strings.EqualFold(scheme, "mailto") {
			address = rest
		}
		for _, name := range append(a.ICalParameters[string(ics.ParameterCn)], address) {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
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
		if e.when.allDay != master.when.allDay && master.when.allDay {
			wall = dayOf(wall)
		}
		master.when.excluded[wall] = true
	}
}

// Shifts implements Rota.
func (c *Calendar) Shifts(from, to time.Time) []Shift {
	var shifts []Shift
	for i := range c.events {
		e := &c.events[i]
		if e.canceled || e.length == 0 {
			continue
		}
		// A day more on both sides, as on the wall a moment may be another day.
		walls := e.when.between(e.when.zone.wall(from).Add(-e.length-24*time.Hour), e.when.zone.wall(to).Add(24*time.Hour))
		for _, wall := range walls {
			s := Shift{Start: e.when.zone.moment(wall), End: e.when.zone.moment(wall.Add(e.length)), Names: e.names, Summary: e.summary}
			if s.Start.Before(to) && s.End.After(from) {
				shifts = append(shifts, s)
			}
		}
	}
	return sorted(shifts)
}
