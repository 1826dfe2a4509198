package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTitles: check-config lists the titles that hold other words than names, with what it reads in them.
func TestTitles(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\n")
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format("20060102")
	event := func(lines string) {
		fmt.Fprintf(&b, "BEGIN:VEVENT\nUID:%d\nDTSTART:%sT090000Z\nDURATION:PT1H\n%s\nEND:VEVENT\n", b.Len(), tomorrow, lines)
	}
	event("SUMMARY:Alice\nRRULE:FREQ=DAILY;COUNT=5")
	event("SUMMARY:Alice / Robert")
	event("SUMMARY:Alice at the dentist\nRRULE:FREQ=DAILY;COUNT=3")
	event("SUMMARY:Vacation Bob")
	event("SUMMARY:Jean-Bob")
	event("SUMMARY:Team dinner\nATTENDEE;CN=bob:mailto:bob@example.com")
	event("ATTENDEE;CN=bob:mailto:bob@example.com")
	b.WriteString("END:VCALENDAR\n")
	writeFile(t, filepath.Join(dir, "rota.ics"), b.String())
	file := filepath.Join(dir, "smspager.yml")
	writeFile(t, file, "textinghouse: {user: acme, password: x}\ncontacts: [{name: alice, number: \"+33639980001\"}, {name: bob, number: \"+33639980002\", aliases: [Robert]}]\n"+
		"rotas: [{name: primary, calendar: rota.ics}]\nreceivers: [{name: r, to: [\"rota:primary\"]}]\n")
	code, out, stderr := smspager(t, "", "check-config", file)
	_, got, _ := strings.Cut(out, "who they put on duty:\n")
	for _, want := range []string{`"Alice at the dentist"  alice (3 shifts, first `, `"Vacation Bob"  nobody (1 shift, first `, `"Jean-Bob"  nobody (1 shift,`, `"Team dinner"  bob (1 shift,`} {
		if code != 0 || !strings.Contains(got, "    "+want) {
			t.Errorf("check-config exits with %d, without %q:\n%s%s", code, want, out, stderr)
		}
	}
	if n := strings.Count(got, "\n"); n != 4 {
		t.Errorf("%d titles:\n%s", n, got)
	}
}
