package rota_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/people/rota"
)

// TestClauses tests RFC 5545 and related specifications clause by clause, with the findings of
// /work/shared/reports/calendars.md.
func TestClauses(t *testing.T) {
	table, err := os.ReadFile("testdata/clauses.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 5 {
			t.Fatalf("%q has %d cells", line, len(cells))
		}
		tc := struct{ clause, zone, event, at, want string }{cells[0], cells[1], cells[2], cells[3], strings.TrimPrefix(cells[4], "-")}
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
				t.Errorf("the shift is %q, want %q", got, tc.want)
			}
		})
	}
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	// A clock change skips midnight of 5 September 2027; the shift begins at one.
	turns := rota.Turns{Start: time.Date(2027, 9, 1, 0, 0, 0, 0, santiago), Days: 1, Names: []string{"alice", "bob"}}
	if s := at(turns, time.Date(2027, 9, 5, 4, 30, 0, 0, time.UTC)).Shifts[0]; s.Start.In(santiago).Format("2 15:04") != "5 01:00" || s.Names[0] != "alice" {
		t.Errorf("the shift is %+v", s)
	}
}
