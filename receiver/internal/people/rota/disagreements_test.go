package rota_test

import (
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/internal/people/rota"
)

// TestDisagreements: a calendar that defines a time zone differently from the time zone data is reported.
func TestDisagreements(t *testing.T) {
	calendar := func(id, offsets, event string) *rota.Calendar {
		from, to, _ := strings.Cut(offsets, " ")
		c, err := rota.ParseCalendar([]byte("BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:"+id+"\nBEGIN:STANDARD\nDTSTART:20261212T030000\nTZOFFSETFROM:"+from+
			"\nTZOFFSETTO:"+to+"\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\nSUMMARY:alice\nDTSTART"+event+":20261130T090000\nDURATION:P1D\nEND:VEVENT\nEND:VCALENDAR\n"), time.UTC)
		if err != nil || len(c.Skipped) > 0 {
			t.Fatal(err, c.Skipped)
		}
		return c
	}
	now := time.Date(2026, 11, 28, 10, 0, 0, 500, time.UTC)
	for _, tc := range []struct{ id, offsets, event, want string }{
		{"Europe/Paris", "+0100 +0100", ";TZID=Europe/Paris", ""},
		{"Europe/Paris", "+0000 +0000", ";TZID=Europe/Paris", `from Sat 28 Nov 2026 11:00 CET the time zone "Europe/Paris" is UTC+00:00 in the calendar, but UTC+01:00 in the time zone data: the latter counts`},
		{"Europe/Paris", "+0100 +0000", ";TZID=Europe/Paris", `from Sat 12 Dec 2026 03:00 CET the time zone "Europe/Paris" is UTC+00:00 in the calendar, but UTC+01:00 in`},
		{"Europe/Paris", "+0000 +0000", "", ""}, // no event uses it
		{"W. Europe Standard Time", "+0000 +0100", `;TZID="W. Europe Standard Time"`, `from Sat 28 Nov 2026 11:00 CET the time zone "W. Europe Standard Time" is UTC+00:00 in the calendar, but UTC+01:00 in the time zone data: the former counts`},
		{"/mozilla.org/20050126_1/Europe/Paris", "+0200 +0100", ";TZID=/mozilla.org/20050126_1/Europe/Paris", `is UTC+02:00 in the calendar`},
		{"Team", "+0000 +0000", ";TZID=Team", ""},
	} {
		got := ""
		for _, d := range calendar(tc.id, tc.offsets, tc.event).Disagreements(now, now.AddDate(0, 0, 56)) {
			got += d.String()
		}
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s %s%s: %q, want %q", tc.id, tc.offsets, tc.event, got, tc.want)
		}
	}
	// The offset changes in the time zone data, but not in the calendar.
	if _, err := zoneinfo.Load("Europe/Paris"); err != nil {
		t.Fatal(err)
	}
	march := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	all := calendar("Europe/Paris", "+0100 +0100", ";TZID=Europe/Paris").Disagreements(march, march.AddDate(0, 0, 56))
	if len(all) != 1 || !all[0].At.Equal(time.Date(2027, 3, 28, 1, 0, 0, 0, time.UTC)) || all[0].Own != time.Hour || all[0].Database != 2*time.Hour || all[0].OwnUsed {
		t.Errorf("the disagreements are %+v", all)
	}
}
