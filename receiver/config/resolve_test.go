package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/config"
)

// TestResolveEqualsParse: a literal gives the same configuration as the document that says the same.
func TestResolveEqualsParse(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		literal config.Config
	}{
		"smallest": {
			`
textinghouse: {user: acme, password: s3cret}
receivers:
  - {name: oncall, to: ["+33 6 39 98 00 01"]}
`,
			config.Config{
				TextingHouse: config.TextingHouse{User: "acme", Password: "s3cret"},
				Receivers:    []config.Receiver{{Name: "oncall", To: []string{"+33 6 39 98 00 01"}, SendResolved: true}},
			},
		},
		"on call": {
			`
textinghouse: {user: acme, password: s3cret, callback_token_file: token, concurrency: 3}
storage: {postgres_url: "postgres://db/smspager", retention: 30d}
templates: [templates/*.tmpl]
templating: {objects: [tunnel], ignore: [rack]}
contacts:
  - {name: alice, number: "+33639980001", quiet: {from: "22:00", to: "07:00", timezone: Europe/Paris, severities: [warning]}}
  - {name: bob, number: "+33639980002"}
rotas:
  - {name: week, turns: {start: "2026-11-02 09:00", people: [alice, bob]}, timezone: Europe/Paris}
  - {name: team, calendar: team.ics, default: [bob]}
receivers:
  - name: oncall
    to: ["rota:week"]
    limits: []
    send_resolved: true
    acknowledge: true
    escalate: [{after: 5m, to: [bob]}]
heartbeats: [{name: prometheus, receiver: watchdog, timeout: 5m, to: [alice]}]
credit: {warn_below: 100, to: [alice]}
`,
			config.Config{
				TextingHouse: config.TextingHouse{User: "acme", Password: "s3cret", CallbackTokenFile: "token", Concurrency: 3},
				Storage:      config.Storage{PostgresURL: "postgres://db/smspager", Retention: 30 * 24 * time.Hour},
				Templates:    []string{"templates/*.tmpl"},
				Templating:   config.Templating{Objects: []string{"tunnel"}, Ignore: []string{"rack"}},
				Contacts: []config.Contact{
					{Name: "alice", Number: "+33639980001", Quiet: config.Quiet{From: "22:00", To: "07:00", Timezone: "Europe/Paris", Severities: []string{"warning"}}},
					{Name: "bob", Number: "+33639980002"},
				},
				Rotas: []config.Rota{
					{Name: "week", Turns: config.Turns{Start: "2026-11-02 09:00", People: []string{"alice", "bob"}}, Timezone: "Europe/Paris"},
					{Name: "team", Calendar: "team.ics", Default: []string{"bob"}},
				},
				Receivers: []config.Receiver{{
					Name: "oncall", To: []string{"rota:week"}, Limits: []config.Limit{}, SendResolved: true, Acknowledge: true,
					Escalate: []config.Step{{After: 5 * time.Minute, To: []string{"bob"}}},
				}},
				Heartbeats: []config.Heartbeat{{Name: "prometheus", Receiver: "watchdog", Timeout: 5 * time.Minute, To: []string{"alice"}}},
				Credit:     config.Credit{WarnBelow: 100, To: []string{"alice"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			write(t, filepath.Join(dir, "token"), "0123456789abcdef\n")
			parsed, err := config.Parse(filepath.Join(dir, "smspager.yml"), []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			resolved, err := c.literal.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(resolved, parsed) {
				t.Errorf("the literal gives\n%+v, the document\n%+v", resolved, parsed)
			}
			if len(c.literal.Receivers[0].Recipients) > 0 || c.literal.TextingHouse.Timeout != 0 {
				t.Error("Resolve changed the literal")
			}
			if err := os.RemoveAll(filepath.Join(dir, "token")); err != nil { // a resolved configuration needs no file
				t.Fatal(err)
			}
			again, err := resolved.Resolve()
			if err != nil || !reflect.DeepEqual(again, resolved) {
				t.Errorf("resolved again: %v\n%+v, want\n%+v", err, again, resolved)
			}
		})
	}
}

func TestResolveFaults(t *testing.T) {
	_, err := (&config.Config{
		TextingHouse: config.TextingHouse{User: "acme"},
		Contacts:     []config.Contact{{Name: "alice", Number: "0612345678"}},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"bob"}, MaxSegments: 11}, {Name: "oncall"}},
	}).Resolve()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"textinghouse.password_file: missing", "contacts[0].number: ", `receivers[0].to[0]: no contact is named "bob"; known: alice`,
		"receivers[0].max_segments: must be 1 to 10, is 11", `receivers[1].name: duplicate receiver "oncall"`, "receivers[1].to: ",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("no line begins with %q:\n%v", want, err)
		}
	}
	for _, cfg := range []*config.Config{nil, {}} {
		if _, err := cfg.Resolve(); err == nil {
			t.Errorf("%v is resolved", cfg)
		}
	}
}
