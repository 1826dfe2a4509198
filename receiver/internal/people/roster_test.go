package people_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/people"
)

const (
	alice = "+33639980001"
	bob   = "+33639980002"
	carol = "+33639980003"
)

// calendar returns a calendar with one event.
func calendar(summary, from, to string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:" + summary + "\r\nDTSTART:" + from + "\r\nDTEND:" + to + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

func TestRoster(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primary.ics")
	text := calendar("Smith, Alice <alice.smith@example.com>", "20261102T080000Z", "20261109T080000Z")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("x.yml", []byte(`
textinghouse: {user: acme, password: x}
contacts:
  - {name: alice, number: "`+alice+`", aliases: ["alice smith", "alice.smith@example.com"]}
  - {name: bob, number: "`+bob+`"}
rotas:
  - {name: primary, calendar: "`+file+`", default: [bob]}
receivers: [{name: r, to: ["rota:primary"]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	r := people.NewRoster(cfg, nil)
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	if on := r.At("primary", from); !on.Gap || !slices.Equal(on.Contacts, []string{"bob"}) {
		t.Errorf("before the calendar is read, the duty is %+v", on)
	}
	if errs := r.Load(t.Context()); errs != nil {
		t.Fatal(errs)
	}
	var got []string
	for _, d := range r.Timeline("primary", from, from.AddDate(0, 0, 14)) {
		got = append(got, fmt.Sprint(d.Start.Format("2 Jan 15:04"), " ", d.Contacts, " ", d.Gap))
	}
	if want := []string{"1 Nov 00:00 [bob] true", "2 Nov 08:00 [alice] false", "9 Nov 08:00 [bob] true"}; !slices.Equal(got, want) {
		t.Errorf("the timeline is %q, want %q", got, want)
	}
	if err := os.WriteFile(file, []byte("no calendar"), 0o600); err != nil {
		t.Fatal(err)
	}
	if errs := r.Load(t.Context()); len(errs) != 1 || !errs[0].File || !strings.Contains(errs[0].Error(), `rota "primary": not an iCalendar file`) {
		t.Errorf("a broken file gives %v", errs)
	}
	if on := r.At("primary", from.AddDate(0, 0, 3)); on.Gap {
		t.Error("a broken file replaces the good one")
	}
	if r.Timeline("other", from, from) != nil {
		t.Error("an unknown rota has a timeline")
	}
}

// TestContactsOfAShift: a shift belongs to the contacts that its title or attendees name, as people write
// them.
func TestContactsOfAShift(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primary.ics")
	cfg, err := config.Parse("x.yml", []byte(`
textinghouse: {user: acme, password: x}
contacts:
  - {name: alice, number: "`+alice+`", aliases: ["Alice Smith"]}
  - {name: bob, number: "`+bob+`"}
  - {name: carol, number: "`+carol+`", aliases: [smith]}
rotas:
  - {name: primary, calendar: "`+file+`", default: ["`+bob+`"]}
receivers: [{name: r, to: ["rota:primary"]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	const attendees = "x\r\nATTENDEE;CN=Alice Smith (SRE):mailto:a.s@example.com\r\nATTENDEE:mailto:bob@example.com"
	for summary, want := range map[string]string{
		"alice":                          "alice",
		"ALICE":                          "alice",
		"On Call - Alice Smith - Second": "alice",
		"Smith":                          "carol",
		"Alice / Bob":                    "alice bob",
		"alice and bob":                  "alice bob",
		"bob\\, carol":                   "bob carol",
		"Alice + Bob":                    "alice bob",
		"Alice (bob is away)":            "alice",
		"Alice covers for Bob":           "alice",
		"(swapped) bob":                  "bob",
		"bobby":                          "gap bob, bobby",
		"Public holiday":                 "gap bob, Public holiday",
		attendees:                        "alice bob",
		strings.Replace(attendees, "mailto:bob", "mailto:b.o", 1): "alice",
	} {
		if err := os.WriteFile(file, []byte(calendar(summary, "20261102T080000Z", "20261109T080000Z")), 0o600); err != nil {
			t.Fatal(err)
		}
		r := people.NewRoster(cfg, nil)
		if errs := r.Load(t.Context()); errs != nil {
			t.Fatal(errs)
		}
		on := r.At("primary", time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC))
		got := strings.Join(on.Contacts, " ")
		if on.Gap {
			got = "gap " + strings.Join(append(on.Contacts, on.Unknown...), ", ")
		}
		if got != want {
			t.Errorf("the contacts of %q are %q, want %q", summary, got, want)
		}
	}
	// An event that names no contact does not end a shift.
	text := strings.Replace(calendar("alice", "20261102T080000Z", "20261109T080000Z"), "END:VCALENDAR",
		"BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Public holiday\r\nDTSTART:20261103T000000Z\r\nDTEND:20261104T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := people.NewRoster(cfg, nil)
	if errs := r.Load(t.Context()); errs != nil {
		t.Fatal(errs)
	}
	if on := r.At("primary", time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)); on.Gap || !slices.Equal(on.Contacts, []string{"alice"}) {
		t.Errorf("on a holiday, the duty is %+v", on)
	}
}

// TestShiftsAreJoined: the daily events of one person are one shift.
func TestShiftsAreJoined(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primary.ics")
	text := strings.Replace(calendar("alice", "20261102T000000Z", "20261103T000000Z"), "END:VEVENT", "RRULE:FREQ=DAILY;COUNT=5\r\nEND:VEVENT", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("x.yml", []byte(`
textinghouse: {user: acme, password: x}
contacts: [{name: alice, number: "`+alice+`"}]
rotas: [{name: primary, calendar: "`+file+`"}]
receivers: [{name: r, to: ["rota:primary"]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	r := people.NewRoster(cfg, nil)
	if errs := r.Load(t.Context()); errs != nil {
		t.Fatal(errs)
	}
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var got []string
	for _, d := range r.Timeline("primary", from, from.AddDate(0, 0, 9)) {
		got = append(got, fmt.Sprint(d.Start.Format("2 Jan to "), d.End.Format("2 Jan "), d.Contacts))
	}
	if want := []string{"1 Nov to 2 Nov []", "2 Nov to 7 Nov [alice]", "7 Nov to 10 Nov []"}; !slices.Equal(got, want) {
		t.Errorf("the timeline is %q, want %q", got, want)
	}
}
