package rota_test

import (
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/people/rota"
)

// TestClauses reads what RFC 5545 and its neighbours say, clause by clause, as
// /work/shared/reports/calendars.md found it.
func TestClauses(t *testing.T) {
	for _, tc := range []struct {
		clause, zone, event, at string
		want                    string // the start and end of the shift in force; "": none
	}{
		{"5545 3.3.10, BYWEEKNO without BYDAY", "Europe/Paris", "DTSTART:20261116T090000|DURATION:P7D|RRULE:FREQ=YEARLY;BYWEEKNO=47,50,53", "2027-01-08T09:00:00Z", ""},
		{"5545 3.3.10, BYWEEKNO without BYDAY", "Europe/Paris", "DTSTART:20261116T090000|DURATION:P7D|RRULE:FREQ=YEARLY;BYWEEKNO=47,50,53", "2026-12-10T09:00:00Z", "2026-12-07T08:00Z 2026-12-14T08:00Z"},
		{"5545 3.3.10, BYSETPOS of a week", "Europe/Paris", "DTSTART:20261107T090000|DURATION:P1D|RRULE:FREQ=WEEKLY;BYDAY=WE,SA;BYSETPOS=2;COUNT=3", "2026-11-07T09:00:00Z", "2026-11-07T08:00Z 2026-11-08T08:00Z"},
		{"5545 3.3.10, BYSETPOS of a week", "Europe/Paris", "DTSTART:20261107T090000|DURATION:P1D|RRULE:FREQ=WEEKLY;BYDAY=WE,SA;BYSETPOS=2;COUNT=3", "2026-11-28T09:00:00Z", ""},
		{"5545 3.3.10, BYSETPOS of a week that begins on Sunday", "UTC", "DTSTART:20261101T090000|DURATION:P1D|RRULE:FREQ=WEEKLY;WKST=SU;BYDAY=MO,SU,FR;BYSETPOS=1,-1", "2026-11-08T09:00:00Z", "2026-11-08T09:00Z 2026-11-09T09:00Z"},
		{"5545 3.3.10, BYSETPOS of a week that begins on Sunday", "UTC", "DTSTART:20261101T090000|DURATION:P1D|RRULE:FREQ=WEEKLY;WKST=SU;BYDAY=MO,SU,FR;BYSETPOS=1,-1", "2026-11-09T10:00:00Z", ""},
		{"5545 3.3.10, days with and without a number", "UTC", "DTSTART:20261101T090000|DURATION:P1D|RRULE:FREQ=MONTHLY;BYDAY=MO,3FR", "2026-11-09T10:00:00Z", "2026-11-09T09:00Z 2026-11-10T09:00Z"},
		{"5545 3.3.10, days with and without a number", "UTC", "DTSTART:20261101T090000|DURATION:P1D|RRULE:FREQ=MONTHLY;BYDAY=MO,3FR", "2026-11-20T10:00:00Z", "2026-11-20T09:00Z 2026-11-21T09:00Z"},
		{"5545 3.3.10, days with and without a number", "UTC", "DTSTART:20261101T090000|DURATION:P1D|RRULE:FREQ=MONTHLY;BYDAY=MO,3FR", "2026-11-13T10:00:00Z", ""},
		{"5545 3.3.10, days with and without a number", "UTC", "DTSTART:20260101T090000|DURATION:P1D|RRULE:FREQ=YEARLY;BYDAY=MO,-1FR", "2026-11-09T10:00:00Z", "2026-11-09T09:00Z 2026-11-10T09:00Z"},
		{"5545 3.3.10, UNTIL of a DATE", "America/New_York", "DTSTART;VALUE=DATE:20261102|RRULE:FREQ=WEEKLY;UNTIL=20261130T000000Z", "2026-11-30T17:00:00Z", "2026-11-30T05:00Z 2026-12-01T05:00Z"},
		{"5545 3.8.5.1, EXDATE of a DATE", "Europe/Paris", "DTSTART;VALUE=DATE:20261102|RRULE:FREQ=WEEKLY|EXDATE:20261116T000000Z", "2026-11-16T10:00:00Z", ""},
		{"5545 3.8.5.2, PERIOD", "Europe/Paris", "DTSTART:20261102T090000|DTEND:20261102T170000|RDATE;VALUE=PERIOD:20261130T080000Z/20261201T080000Z", "2026-11-30T21:00:00Z", "2026-11-30T08:00Z 2026-12-01T08:00Z"},
		{"5545 3.3.5, an hour twice", "Europe/Paris", "DTSTART:20261025T023000|DURATION:PT3H", "2026-10-25T01:00:00Z", "2026-10-25T00:30Z 2026-10-25T03:30Z"},
		{"5545 3.3.5, an hour twice", "America/New_York", "DTSTART:20261101T013000|DURATION:PT3H", "2026-11-01T06:00:00Z", "2026-11-01T05:30Z 2026-11-01T08:30Z"},
		{"5545 3.3.5, an hour not at all", "America/New_York", "DTSTART:20270314T023000|DURATION:PT1H", "2027-03-14T07:45:00Z", "2027-03-14T07:30Z 2027-03-14T08:30Z"},
		{"5545 3.3.5, never backwards", "America/New_York", "DTSTART:20270314T014500|DTEND:20270314T023000", "2027-03-14T07:00:00Z", "2027-03-14T06:45Z 2027-03-14T07:30Z"},
		{"5545 3.3.6, PT24H", "Europe/Paris", "DTSTART:20270327T090000|DURATION:PT24H", "2027-03-28T07:30:00Z", "2027-03-27T08:00Z 2027-03-28T08:00Z"},
		{"5545 3.3.6, P1D", "Europe/Paris", "DTSTART:20270327T090000|DURATION:P1D", "2027-03-28T06:30:00Z", "2027-03-27T08:00Z 2027-03-28T07:00Z"},
		{"5545 3.3.12, a second of 60", "UTC", "DTSTART:20161231T235960|DURATION:PT1H", "2017-01-01T00:30:00Z", "2016-12-31T23:59Z 2017-01-01T00:59Z"},
		{"5545 2, names in lower case", "UTC", "dtstart:20261102T090000|duration:P1D|rrule:freq=weekly", "2026-11-16T10:00:00Z", "2026-11-16T09:00Z 2026-11-17T09:00Z"},
		{"5545 3.8.1.11, a value in mixed case", "UTC", "DTSTART:20261102T090000|DURATION:P1D|STATUS:Cancelled", "2026-11-02T10:00:00Z", ""},
		{"7529, RSCALE", "UTC", "DTSTART:20261102T090000|DURATION:P1D|RRULE:RSCALE=GREGORIAN;FREQ=WEEKLY;SKIP=OMIT", "2026-11-16T10:00:00Z", "2026-11-16T09:00Z 2026-11-17T09:00Z"},
		{"5545 3.3.10, INTERVAL long after", "UTC", "DTSTART:20000103T090000|DURATION:P7D|RRULE:FREQ=WEEKLY;INTERVAL=2", "2026-11-24T10:00:00Z", ""},
		{"5545 3.3.10, INTERVAL long after", "UTC", "DTSTART:20000103T090000|DURATION:P7D|RRULE:FREQ=WEEKLY;INTERVAL=2", "2026-11-17T10:00:00Z", "2026-11-16T09:00Z 2026-11-23T09:00Z"},
	} {
		t.Run(tc.clause, func(t *testing.T) {
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			c, err := rota.ParseCalendar([]byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:alice\n"+strings.ReplaceAll(tc.event, "|", "\n")+"\nEND:VEVENT\nEND:VCALENDAR\n"), zone)
			if err != nil || len(c.Skipped) > 0 {
				t.Fatal(err, c.Skipped)
			}
			moment, err := time.Parse(time.RFC3339, tc.at)
			if err != nil {
				t.Fatal(err)
			}
			const form = "2006-01-02T15:04Z"
			got := ""
			if span := at(c, moment); !span.Gap() {
				got = span.Shifts[0].Start.UTC().Format(form) + " " + span.Shifts[0].End.UTC().Format(form)
			}
			if got != tc.want {
				t.Errorf("it is %q, want %q", got, tc.want)
			}
		})
	}
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	// Midnight of 5 September 2027 is not there; the shift begins at one.
	turns := rota.Turns{Start: time.Date(2027, 9, 1, 0, 0, 0, 0, santiago), Days: 1, Names: []string{"alice", "bob"}}
	if s := at(turns, time.Date(2027, 9, 5, 4, 30, 0, 0, time.UTC)).Shifts[0]; s.Start.In(santiago).Format("2 15:04") != "5 01:00" || s.Names[0] != "alice" {
		t.Errorf("the shift is %+v", s)
	}
}
