package rota

import (
	"testing"
	"time"
)

// TestDisplayedNames: zone names as Windows displays them (they are in its registry), without a
// definition in the file, and zone names in other letter case.
func TestDisplayedNames(t *testing.T) {
	for id, want := range map[string]string{
		"(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna": "Europe/Amsterdam",
		"(GMT+01.00) Brussels, Copenhagen, Madrid, Paris":              "Europe/Brussels",
		"(UTC-05:00) Eastern Time (US & Canada)":                       "America/New_York",
		"(UTC-08:00) Pacific Time (US and Canada); Tijuana":            "America/Los_Angeles",
		"(UTC-07:00) Chihuahua, La Paz, Mazatlan":                      "America/Mazatlan",
		"(UTC+06:00) Astana, Dhaka":                                    "Asia/Dhaka",
		"(UTC) Coordinated Universal Time":                             "Etc/UTC",
		"(UTC) Greenwich Mean Time: Dublin, Edinburgh, Lisbon, London": "Europe/London",
		"(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi":              "Asia/Kolkata",
		"(UTC+10:00) Canberra, Melbourne, Sydney":                      "Australia/Sydney",
		"Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna":             "Europe/Amsterdam",
		"w. europe standard time":                                      "Europe/Berlin",
		"europe/paris":                                                 "Europe/Paris",
		"Paris":                                                        "Europe/Paris",
		"(UTC+01:00) Nowhere":                                          "",
		"Team":                                                         "",
	} {
		z := newZones()
		got := ""
		if found, err := z.named(id); err == nil {
			got = found.(location).String()
		}
		if got != want {
			t.Errorf("the zone of %q is %q, want %q", id, got, want)
		}
	}
}

// TestZoneDefinedLater: a calendar of a stream does not see a zone that the next calendar defines.
func TestZoneDefinedLater(t *testing.T) {
	const event = "BEGIN:VEVENT\nSUMMARY:alice\nDTSTART;TZID=Team:20261116T090000\nDURATION:P1D\nEND:VEVENT\n"
	c, err := ParseCalendar([]byte("BEGIN:VCALENDAR\n"+event+"END:VCALENDAR\nBEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Team\nBEGIN:STANDARD\nDTSTART:20200101T000000\n"+
		"TZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n"+event+"END:VCALENDAR\n"), time.UTC)
	if err != nil || len(c.Skipped) != 1 || len(c.events) != 1 {
		t.Errorf("%v, skipped %v, %d events", err, c.Skipped, len(c.events))
	}
}
