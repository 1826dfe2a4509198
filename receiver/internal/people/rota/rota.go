// Package rota computes the shifts of a rota: those of an iCalendar file ([ParseCalendar]), or of
// people who take turns ([Turns]).
//
// If shifts overlap, the shortest is in force, because it is the exception to a longer one ("Bob
// covers Wednesday night"). Among equally long shifts, the one that begins last is in force; if
// several begin together, all are: two people may be on duty. [Timeline] shows the result, gaps
// included.
package rota

import (
	"cmp"
	"slices"
	"time"
)

// Shift is a period in which somebody is on duty.
type Shift struct {
	Start, End time.Time // End is exclusive
	Names      []string  // who is on duty, as the source writes it: names and addresses of attendees
	Summary    string    // of an event; it may also name somebody
}

// Label returns the first name of a shift, or its summary.
func (s Shift) Label() string {
	if len(s.Names) > 0 {
		return s.Names[0]
	}
	return s.Summary
}

// Rota is a source of shifts.
type Rota interface {
	// Shifts returns the shifts that overlap the time between from and to, ordered by start.
	Shifts(from, to time.Time) []Shift
}

// Span is a period in which the same shifts are in force. Without shifts it is a gap.
type Span struct {
	Start, End time.Time
	Shifts     []Shift
}

// Gap reports whether nobody is on duty.
func (s Span) Gap() bool { return len(s.Shifts) == 0 }

// Timeline returns the spans between two times, without breaks.
func Timeline(r Rota, from, to time.Time) []Span {
	shifts := r.Shifts(from, to)
	edges := []time.Time{from, to}
	for _, s := range shifts {
		for _, edge := range []time.Time{s.Start, s.End} {
			if edge.After(from) && edge.Before(to) {
				edges = append(edges, edge)
			}
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	var spans []Span
	var going []Shift // have begun and not ended
	for i := range len(edges) - 1 {
		begun := 0
		for begun < len(shifts) && !shifts[begun].Start.After(edges[i]) {
			begun++
		}
		going = slices.DeleteFunc(append(going, shifts[:begun]...), func(s Shift) bool { return !s.End.After(edges[i]) })
		shifts = shifts[begun:]
		span := inForce(going, edges[i], edges[i+1])
		if n := len(spans); n > 0 && slices.EqualFunc(spans[n-1].Shifts, span.Shifts, sameShift) {
			spans[n-1].End = span.End
			continue
		}
		spans = append(spans, span)
	}
	return spans
}

func sameShift(a, b Shift) bool {
	return a.Start.Equal(b.Start) && a.End.Equal(b.End) && a.Summary == b.Summary && slices.Equal(a.Names, b.Names)
}

// inForce returns the shifts in force in a period in which none begins or ends.
func inForce(shifts []Shift, from, to time.Time) Span {
	span := Span{Start: from, End: to}
	for _, s := range shifts {
		if s.Start.After(from) || !s.End.After(from) {
			continue
		}
		if len(span.Shifts) > 0 {
			switch precedence(s, span.Shifts[0]) {
			case -1:
				span.Shifts = nil
			case 1:
				continue
			}
		}
		span.Shifts = append(span.Shifts, s)
	}
	return span
}

// precedence returns a negative number if a is in force instead of b.
func precedence(a, b Shift) int {
	return cmp.Or(cmp.Compare(a.End.Sub(a.Start), b.End.Sub(b.Start)), b.Start.Compare(a.Start))
}

// sorted orders shifts by start and removes duplicates.
func sorted(shifts []Shift) []Shift {
	slices.SortStableFunc(shifts, func(a, b Shift) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End), slices.Compare(a.Names, b.Names), cmp.Compare(a.Summary, b.Summary))
	})
	return slices.CompactFunc(shifts, sameShift)
}

// Turns is a rota in which people are on duty one after another, each for some days.
type Turns struct {
	// Start is when the first shift begins. The others begin at the same time of day in its
	// location, even when the clocks change.
	Start time.Time
	Days  int // of a shift; at least 1
	Names []string
}

// Shifts implements Rota.
func (t Turns) Shifts(from, to time.Time) []Shift {
	var shifts []Shift
	clock := location{t.Start.Location()}
	start, length := clock.wall(t.Start), time.Duration(t.Days)*day
	// A day has up to 25 hours, so n is never too large.
	n := max(0, int(from.Sub(t.Start)/(time.Duration(t.Days)*25*time.Hour))-1)
	for ; ; n++ {
		begin := start.Add(time.Duration(n) * length)
		s := Shift{Start: clock.moment(begin), End: clock.moment(begin.Add(length)), Names: []string{t.Names[n%len(t.Names)]}}
		if !s.Start.Before(to) {
			return shifts
		}
		if s.End.After(from) {
			shifts = append(shifts, s)
		}
	}
}
