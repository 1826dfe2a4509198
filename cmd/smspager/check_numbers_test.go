package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOddNumbers: check-config warns of numbers that texts may not reach, and still succeeds.
func TestOddNumbers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "smspager.yml")
	writeFile(t, file, `
textinghouse: {user: acme, password: x, callback_token: 0123456789abcdef}
contacts: [{name: alice, number: "+33639980001"}, {name: bob, number: "+33 1 23 45 67 89"}]
rotas: [{name: primary, turns: {start: "2026-11-02 09:00", days: 7, people: [alice]}, default: ["+33 700 123 456 789"]}]
receivers:
  - {name: r, to: [alice, bob, "999", "+48123456"], acknowledge: true, escalate: [{after: 5m, to: ["+210 123 4567"]}]}
`)
	code, _, stderr := smspager(t, "", "check-config", file)
	for _, want := range []string{
		"warning: contact bob: texts to +33123456789 may not arrive: it is a landline\n",
		"warning: rota primary: texts to +33700123456789 may not arrive: it is in a range for machines (M2M)\n",
		"warning: receiver r: texts to +48123456 may not arrive: it has 6 digits after +48; mobile numbers there have 9\n",
		"warning: receiver r: texts to +2101234567 may not arrive: no country has the code +210\n",
	} {
		if code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("check-config exits with %d, without %q:\n%s", code, want, stderr)
		}
	}
	if n := strings.Count(stderr, "may not arrive"); n != 4 {
		t.Errorf("%d warnings:\n%s", n, stderr)
	}
}

// TestWarningsAboutRiskySettings: settings that are valid, but would hurt at night, give warnings.
func TestWarningsAboutRiskySettings(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root can write everywhere; the outbox is tried in a folder that does not exist")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "smspager.yml")
	writeFile(t, file, `
textinghouse: {user: acme, password: x, callback_token: 0123456789abcdef}
storage: {sqlite: no-such-folder/smspager.db}
contacts: [{name: alice, number: "+33639980001"}]
receivers: [{name: r, to: [alice]}]
`)
	code, _, stderr := smspager(t, "", "check-config", file)
	for _, want := range []string{"nobody has proved yet", "storage.sqlite cannot be created"} {
		if code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("exits with %d, without %q: %s", code, want, stderr)
		}
	}
	for url, want := range map[string]string{"postgres://u:p@ss@h/db": "write it as %40", "postgres://u:p/s@h/db": "%2F", "nonsense": "write it as postgres://"} {
		writeFile(t, file, "textinghouse: {user: acme, password: x}\nstorage: {postgres_url: '"+url+"'}\nreceivers: [{name: r, to: [\"+33639980001\"]}]\n")
		if code, _, stderr := smspager(t, "", "check-config", file); code != 1 || !strings.Contains(stderr, want) || strings.Contains(stderr, "ss@h") {
			t.Errorf("%s: %d %s", url, code, stderr)
		}
	}
}
