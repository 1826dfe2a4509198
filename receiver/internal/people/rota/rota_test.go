package rota_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/people/rota"
)

var paris = func() *time.Location {
	l, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic(err)
	}
	return l
}()

func calendar(t testing.TB, name string) *rota.Calendar {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := rota.ParseCalendar(data, paris)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, paris)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// at returns the span that contains a moment.
func at(r rota.Rota, moment time.Time) rota.Span {
	return rota.Timeline(r, moment, moment.Add(time.Nanosecond))[0]
}

// timeline returns one line for each span, in Paris time.
func timeline(t testing.TB, r rota.Rota, from, to string) []string {
	t.Helper()
	var lines []string
	for _, span := range rota.Timeline(r, moment(t, from), moment(t, to)) {
		var names []string
		for _, s := range span.Shifts {
			names = append(names, s.Label())
		}
		lines = append(lines, fmt.Sprintf("%s %s", span.Start.In(paris).Format("Mon 2 Jan 15:04"), strings.Join(names, " + ")))
	}
	return lines
}

func TestCalendars(t *testing.T) {
	for _, tc := range []struct {
		file, from, to string
		want           []string
	}{
		{"google.ics", "2026-09-06 00:00", "2026-12-10 00:00", []string{
			"Sun 6 Sep 00:00 ",
			"Mon 7 Sep 09:00 alice", "Mon 14 Sep 09:00 bob", "Mon 21 Sep 09:00 alice",
			"Mon 28 Sep 09:00 ", "Tue 29 Sep 12:00 bob", // moved
			"Mon 5 Oct 09:00 alice", "Mon 12 Oct 09:00 bob",
			"Mon 19 Oct 09:00 alice", "Wed 21 Oct 20:00 carol covers a night, as alice travels and cannot be reached by phone", "Thu 22 Oct 09:00 alice",
			"Mon 26 Oct 09:00 bob", // after the clocks change
			"Mon 2 Nov 09:00 alice", "Mon 9 Nov 09:00 bob",
			"Mon 16 Nov 09:00 ", // removed
			"Mon 23 Nov 09:00 bob", "Mon 30 Nov 09:00 alice", "Mon 7 Dec 09:00 bob",
		}},
		{"outlook.ics", "2026-10-19 12:00", "2026-10-31 12:00", []string{
			"Mon 19 Oct 12:00 ", "Mon 19 Oct 20:00 Bob Müller", "Tue 20 Oct 08:00 ", "Tue 20 Oct 20:00 Bob Müller",
			"Wed 21 Oct 08:00 ", // removed twice
			"Fri 23 Oct 20:00 Bob Müller", "Sat 24 Oct 08:00 Carol",
			"Mon 26 Oct 00:00 ", "Mon 26 Oct 20:00 Bob Müller", "Tue 27 Oct 08:00 ", "Tue 27 Oct 20:00 Bob Müller",
			"Wed 28 Oct 08:00 ", // canceled
			"Thu 29 Oct 20:00 Bob Müller", "Fri 30 Oct 08:00 ", "Fri 30 Oct 20:00 Bob Müller", "Sat 31 Oct 08:00 ",
		}},
		{"pagerduty.ics", "2026-10-23 00:00", "2026-11-01 00:00", []string{
			"Fri 23 Oct 00:00 ", "Fri 23 Oct 10:00 Alice Smith", "Sun 25 Oct 21:00 Carol White", "Mon 26 Oct 13:00 Bob Jones", "Sat 31 Oct 09:00 ",
		}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			if got := timeline(t, calendar(t, tc.file), tc.from, tc.to); !slices.Equal(got, tc.want) {
				t.Errorf("the timeline is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

func TestNames(t *testing.T) {
	for file, want := range map[string][]string{
		"pagerduty.ics": {"On Call - Bob Jones - Primary", "Bob Jones", "bob@example.com"},
		"google.ics":    {"bob"},
	} {
		shifts := at(calendar(t, file), moment(t, "2026-10-28 12:00")).Shifts
		if len(shifts) != 1 || !slices.Equal(append([]string{shifts[0].Summary}, shifts[0].Names...), want) {
			t.Errorf("%s: %+v, want %q", file, shifts, want)
		}
	}
}

// event returns a calendar with one event.
func event(lines ...string) []byte {
	return []byte("BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:1\nSUMMARY:x\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n")
}

// TestClocksChange: a shift from nine to nine remains one on the nights when the clocks change, in
// both directions, however the zone is defined.
func TestClocksChange(t *testing.T) {
	outlook, err := os.ReadFile("testdata/outlook.ics")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := strings.Index(string(outlook), "BEGIN:VTIMEZONE"), strings.Index(string(outlook), "BEGIN:VEVENT")
	windows := string(outlook[begin:end])
	for name, data := range map[string][]byte{
		"of the database": event("DTSTART;TZID=Europe/Paris:20260301T210000", "DTEND;TZID=Europe/Paris:20260302T090000", "RRULE:FREQ=DAILY"),
		"of the file":     []byte(strings.Replace(string(event(`DTSTART;TZID="W. Europe Standard Time":20260301T210000`, `DTEND;TZID="W. Europe Standard Time":20260302T090000`, "RRULE:FREQ=DAILY")), "BEGIN:VEVENT", windows+"BEGIN:VEVENT", 1)),
		"of the rota":     event("DTSTART:20260301T210000", "DTEND:20260302T090000", "RRULE:FREQ=DAILY"),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := rota.ParseCalendar(data, paris)
			if err != nil {
				t.Fatal(err)
			}
			for _, day := range []string{"2026-03-28", "2026-10-24"} {
				s := at(c, moment(t, day+" 23:00")).Shifts[0]
				if got, want := s.End.In(paris).Format("15:04"), "09:00"; got != want || s.Start.In(paris).Format("15:04") != "21:00" {
					t.Errorf("the night of %s is from %s to %s", day, s.Start.In(paris), s.End.In(paris))
				}
				hours := map[string]time.Duration{"2026-03-28": 11 * time.Hour, "2026-10-24": 13 * time.Hour}[day]
				if s.End.Sub(s.Start) != hours {
					t.Errorf("the night of %s has %s, want %s", day, s.End.Sub(s.Start), hours)
				}
			}
		})
	}
	turns := rota.Turns{Start: moment(t, "2026-03-23 09:00"), Days: 7, Names: []string{"alice", "bob"}}
	if got, want := timeline(t, turns, "2026-10-20 00:00", "2026-11-04 00:00"), []string{"Tue 20 Oct 00:00 alice", "Mon 26 Oct 09:00 bob", "Mon 2 Nov 09:00 alice"}; !slices.Equal(got, want) {
		t.Errorf("turns: %q, want %q", got, want)
	}
}

func TestOverlaps(t *testing.T) {
	shift := func(name, from, to string) string {
		return "BEGIN:VEVENT\nUID:" + name + from + "\nSUMMARY:" + name + "\nDTSTART;TZID=Europe/Paris:" + from + "\nDTEND;TZID=Europe/Paris:" + to + "\nEND:VEVENT\n"
	}
	data := "BEGIN:VCALENDAR\n" +
		shift("week", "20261102T090000", "20261109T090000") +
		shift("next week", "20261109T090000", "20261116T090000") +
		shift("night", "20261108T200000", "20261109T120000") + // across the handover
		shift("evening", "20261108T200000", "20261108T220000") + // overlaps the exception
		shift("both A", "20261104T100000", "20261104T110000") +
		shift("both B", "20261104T100000", "20261104T110000") +
		shift("late", "20261104T103000", "20261104T113000") + // as long, but begins later
		"END:VCALENDAR\n"
	c, err := rota.ParseCalendar([]byte(data), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	got := timeline(t, c, "2026-11-02 09:00", "2026-11-10 00:00")
	want := []string{
		"Mon 2 Nov 09:00 week", "Wed 4 Nov 10:00 both A + both B", "Wed 4 Nov 10:30 late", "Wed 4 Nov 11:30 week",
		"Sun 8 Nov 20:00 evening", "Sun 8 Nov 22:00 night", "Mon 9 Nov 12:00 next week",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the timeline is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBadCalendars(t *testing.T) {
	google, err := os.ReadFile("testdata/google.ics")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		data []byte
		want string
	}{
		{nil, "no VCALENDAR"},
		{[]byte("<html>Sign in</html>"), "not an iCalendar file"},
		{google[:len(google)/2], "not an iCalendar file"},
		{event("DTEND:20261123T090000"), "DTSTART is missing"},
		{event("DTSTART:tomorrow"), "must be like 20261123T090000"},
		{event("DTSTART;TZID=Nowhere:20261123T090000"), `"Nowhere" is not defined`},
		{event("DTSTART:20261123T090000Z", "DTEND:20261122T090000Z"), "end after it begins"},
		{event("DTSTART:20261123T090000Z", "DTEND:20361122T090000Z"), "within a year"},
		{event("DTSTART:20261123T090000Z", "DURATION:P1X"), "must be like P7D"},
		{event("DTSTART:20261123T090000Z", "RRULE:FREQ=SECONDLY"), "more often than daily"},
		{event("DTSTART:20261123T090000Z", "RRULE:FREQ=DAILY;BYHOUR=1,2"), "an event each"},
		{event("DTSTART:20261123T090000Z", "RRULE:FREQ=SOMETIMES"), "RRULE"},
		{event("DTSTART:20261123T090000Z", "RRULE:FREQ=DAILY", "RRULE:FREQ=DAILY"), "more than one RRULE"},
		{event("DTSTART:20261123T090000Z", "EXDATE:x"), "EXDATE"},
		{event("DTSTART:20261123T090000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261123T090000Z"), "RANGE"},
	} {
		c, err := rota.ParseCalendar(tc.data, paris)
		if err == nil && len(c.Skipped) > 0 {
			err = c.Skipped[0]
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.200q gives %v, want %q", tc.data, err, tc.want)
		}
	}
}

// FuzzCalendar: whatever a calendar contains, its timeline is finite and has no breaks.
func FuzzCalendar(f *testing.F) {
	for _, name := range []string{"google.ics", "outlook.ics", "pagerduty.ics"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(event("DTSTART;VALUE=DATE:20261123", "RRULE:FREQ=YEARLY;BYWEEKNO=1;BYSETPOS=-1", "RDATE;VALUE=PERIOD:20261123T090000Z/PT1H", "EXDATE;VALUE=DATE:20261123"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := rota.ParseCalendar(data, paris)
		if err != nil {
			return
		}
		from, to := moment(t, "2026-10-01 00:00"), moment(t, "2026-12-01 00:00")
		end := from
		for _, span := range rota.Timeline(c, from, to) {
			if !span.Start.Equal(end) || !span.End.After(end) {
				t.Fatalf("a span from %s to %s follows one that ends at %s", span.Start, span.End, end)
			}
			end = span.End
			now := at(c, span.Start)
			if now.Gap() != span.Gap() || !span.Gap() && now.Shifts[0].Label() != span.Shifts[0].Label() {
				t.Fatalf("at %s, the shifts are %+v, in the timeline %+v", span.Start, now.Shifts, span.Shifts)
			}
		}
		if !end.Equal(to) {
			t.Fatalf("the timeline ends at %s", end)
		}
	})
}

func ExampleTimeline() {
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	turns := rota.Turns{Start: start, Days: 7, Names: []string{"alice", "bob"}}
	for _, span := range rota.Timeline(turns, start, start.AddDate(0, 0, 21)) {
		fmt.Println(span.Start.Format("Mon 2 Jan 15:04"), span.Shifts[0].Names[0])
	}
	// Output:
	// Mon 2 Nov 09:00 alice
	// Mon 9 Nov 09:00 bob
	// Mon 16 Nov 09:00 alice
}
