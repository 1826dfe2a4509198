package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTimeZones: check-config shows the time zone data in use, and warns if it is old or a calendar
// differs.
func TestTimeZones(t *testing.T) {
	dir := t.TempDir()
	paris, err := os.ReadFile("/usr/share/zoneinfo/Europe/Paris")
	if err != nil {
		t.Skip("this machine has no time zones; install tzdata")
	}
	zones := filepath.Join(dir, "zones")
	if err := os.MkdirAll(filepath.Join(zones, "Europe"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(zones, "Europe/Paris"), string(paris))
	writeFile(t, filepath.Join(zones, "tzdata.zi"), "# version 2025a\n")
	t.Setenv("ZONEINFO", zones)
	writeFile(t, filepath.Join(dir, "rota.ics"), "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Europe/Paris\nBEGIN:STANDARD\nDTSTART:20200101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530\nEND:STANDARD\nEND:VTIMEZONE\n"+
		"BEGIN:VEVENT\nUID:1\nSUMMARY:alice\nDTSTART;TZID=Europe/Paris:20200101T000000\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n")
	file := filepath.Join(dir, "smspager.yml")
	writeFile(t, file, "textinghouse: {user: acme, password: x}\ncontacts: [{name: alice, number: \"+33639980001\"}]\n"+
		"rotas: [{name: primary, calendar: rota.ics}]\nreceivers: [{name: r, to: [\"rota:primary\"]}]\n")
	code, out, stderr := smspager(t, "", "check-config", file)
	if code != 0 || !strings.Contains(out, "; time zones of release 2025a ("+zones+")\n") {
		t.Errorf("check-config exits with %d: %s%s", code, out, stderr)
	}
	for _, want := range []string{`the time zone "Europe/Paris" is UTC+05:30 in the calendar, but UTC+0`, "is release 2025a, and 2026"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("there is no %q in %s", want, stderr)
		}
	}
	if _, out, _ := smspager(t, "", "check-config", "--output=json", file); !strings.Contains(out, `"tzdata":{"release":"2025a","source":"`+zones+`"}`) {
		t.Error(out)
	}
}
