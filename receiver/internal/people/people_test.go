package people_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// fake is a store in memory that records the messages handed over.
type fake struct {
	outbox.Store
	mu    sync.Mutex
	marks map[string]outbox.Mark // by kind and name
	sent  []outbox.Message
}

func (f *fake) Add(_ context.Context, e outbox.Entry) (outbox.Added, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range e.Marks {
		if f.marks[m.Kind+" "+m.Name].Version != m.Version {
			return outbox.Added{}, outbox.ErrConflict
		}
		m.Version++
		f.marks[m.Kind+" "+m.Name] = m
	}
	return outbox.Added{}, nil
}

func (f *fake) Marks(_ context.Context, kind string) (all []outbox.Mark, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.marks {
		if m.Kind == kind {
			all = append(all, m)
		}
	}
	return all, nil
}

func (f *fake) Pages(context.Context, outbox.PageQuery) ([]outbox.Page, error) { return nil, nil }
func (f *fake) MarksAfter(context.Context, time.Time) ([]outbox.Mark, error)   { return nil, nil }
func (f *fake) Close() error                                                   { return nil }
func (f *fake) handover(_ bool, ms ...outbox.Message)                          { f.sent = append(f.sent, ms...) }

// directory returns a Directory with a configuration, and its store.
func directory(t *testing.T, text string) (*people.Directory, *fake) {
	t.Helper()
	cfg, err := config.Parse("x.yml", []byte("textinghouse: {user: acme, password: x}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{marks: make(map[string]outbox.Mark)}
	stored, err := spool.New(spool.Options{Open: func(context.Context) (outbox.Store, error) { return f, nil }, Handover: f.handover})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stored.Close() })
	d := people.New(people.Options{Spool: stored, Notices: people.NewNotices(outbox.NewIDs()), Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	d.Configure(cfg)
	return d, f
}

const team = `
contacts:
  - {name: alice, number: "` + alice + `", quiet: {from: "22:00", to: "07:00", severities: [warning]}}
  - {name: bob, number: "` + bob + `", quiet: {from: "12:00", to: "13:30", timezone: Europe/Paris, severities: [warning, info]}}
  - {name: carol, number: "` + carol + `"}
rotas:
  - {name: primary, turns: {start: "2026-11-02 09:00", days: 7, people: [alice, bob]}, default: [carol]}
receivers:
  - {name: oncall, to: ["rota:primary"]}
  - {name: other, to: [carol]}
`

// TestRecipient: quiet hours determine when somebody is paged.
func TestRecipient(t *testing.T) {
	d, _ := directory(t, team)
	for name, test := range map[string]struct {
		number     e164.Number
		severities []string
		at, want   string // "": immediately
	}{
		"before midnight":                     {alice, []string{"warning"}, "2026-11-28T23:00:00Z", "2026-11-29T07:00:00Z"},
		"after midnight":                      {alice, []string{"warning"}, "2026-11-28T03:00:00Z", "2026-11-28T07:00:00Z"},
		"at their end":                        {alice, []string{"warning"}, "2026-11-28T07:00:00Z", ""},
		"at their start":                      {alice, []string{"warning"}, "2026-11-28T22:00:00Z", "2026-11-29T07:00:00Z"},
		"severities in another spelling":      {alice, []string{" Warning", "WARN"}, "2026-11-28T23:00:00Z", "2026-11-29T07:00:00Z"},
		"a severity that does not wait":       {alice, []string{"critical"}, "2026-11-28T23:00:00Z", ""},
		"one of two severities does not wait": {alice, []string{"warning", "critical"}, "2026-11-28T23:00:00Z", ""},
		"no severity":                         {alice, nil, "2026-11-28T23:00:00Z", ""},
		"quiet by day, in another zone":       {bob, []string{"info", "warning"}, "2026-11-28T11:30:00Z", "2026-11-28T12:30:00Z"},
		"after the quiet hours of the day":    {bob, []string{"info"}, "2026-11-28T12:30:00Z", ""},
		"a contact without quiet hours":       {carol, []string{"warning"}, "2026-11-28T23:00:00Z", ""},
		"a number without a contact":          {"+33639980009", []string{"warning"}, "2026-11-28T23:00:00Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, test.at)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if p := d.Recipient(test.number, test.severities, at); !p.NotBefore.IsZero() {
				got = p.NotBefore.UTC().Format(time.RFC3339)
			}
			if got != test.want {
				t.Errorf("the recipient waits until %q, want %q", got, test.want)
			}
		})
	}
}

// TestPeople: recipients are numbers and who is on duty in rotas, without those who want no texts.
func TestPeople(t *testing.T) {
	d, f := directory(t, team)
	week := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC) // alice is on duty
	names := func(at time.Time, rs ...config.Recipient) string {
		var all []string
		for _, p := range d.People(rs, nil, at) {
			all = append(all, p.String())
		}
		return strings.Join(all, " ")
	}
	primary := config.Recipient{Rota: "primary"}
	if got := names(week, primary, config.Recipient{Number: carol}, config.Recipient{Number: alice}); got != "alice carol" {
		t.Errorf("the recipients are %q", got)
	}
	if got := names(week.AddDate(0, 0, 7), primary); got != "bob" {
		t.Errorf("a week later, the recipients are %q", got)
	}
	if got := d.Teammates(alice); !slices.Contains(got, bob) || !slices.Contains(got, carol) || slices.Contains(got, alice) {
		t.Errorf("alice's teammates are %v", got)
	}

	f.Add(t.Context(), outbox.Entry{Marks: []outbox.Mark{d.Stop(alice, week)}})
	if err := d.Refresh(t.Context()); err != nil || !d.Stopped(alice) {
		t.Fatalf("alice has not stopped: %v", err)
	}
	if got := names(week, primary, config.Recipient{Number: alice}); got != "carol" {
		t.Errorf("after alice has stopped texts, the recipients of her shift are %q", got)
	}
	if got := d.Teammates(bob); slices.Contains(got, alice) {
		t.Errorf("bob's teammates are %v", got)
	}
	f.Add(t.Context(), outbox.Entry{Marks: []outbox.Mark{d.Start(alice, week)}})
	if err := d.Refresh(t.Context()); err != nil || d.Stopped(alice) {
		t.Errorf("alice has not started: %v", err)
	}
	for name, want := range map[string]config.Recipient{
		"bob": {Name: "bob", Number: bob}, "rota:primary": {Rota: "primary"}, "+33639980009": {Number: "+33639980009"},
	} {
		if got, ok := d.Named(name); !ok || got != want {
			t.Errorf("%s names %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"mallory", "rota:secondary", "primary", ""} {
		if got, ok := d.Named(name); ok {
			t.Errorf("%q names %+v", name, got)
		}
	}
}

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := directory(t, team)
		if err := d.Verify(t.Context(), "mallory", false); !errors.Is(err, people.ErrUnknownContact) || !strings.HasSuffix(err.Error(), "; contacts are alice, bob, carol") {
			t.Errorf("an unknown contact gives %v", err)
		}
		if err := d.Verify(t.Context(), "alice", false); err != nil || len(f.sent) != 1 || f.sent[0].To != alice || !people.AskedFor(&f.sent[0]) {
			t.Fatalf("the messages are %+v, %v", f.sent, err)
		}
		code := strings.Fields(f.sent[0].Text)[2]
		if _, ok := d.Verified(alice, code, time.Now().Add(25*time.Hour)); ok {
			t.Error("the code is accepted after a day")
		}
		if _, ok := d.Verified(bob, code, time.Now()); ok {
			t.Error("the code is accepted from another phone")
		}
		verified, ok := d.Verified(alice, code, time.Now())
		if !ok {
			t.Fatal("the code is not accepted")
		}
		f.Add(t.Context(), outbox.Entry{Marks: []outbox.Mark{verified}})
		if err := d.Refresh(t.Context()); err != nil || d.Contacts()[0].State() != "verified" || d.Contacts()[1].State() != "unverified" {
			t.Errorf("the contacts are %+v, %v", d.Contacts(), err)
		}
		if _, ok := d.Verified(alice, code, time.Now()); ok {
			t.Error("the code is accepted twice")
		}
	})
}

// TestCopies: if a calendar cannot be read, its last good copy is used.
func TestCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "primary.ics")
		cfg := `
contacts: [{name: alice, number: "` + alice + `"}, {name: bob, number: "` + bob + `"}]
rotas: [{name: primary, calendar: "` + file + `", default: [bob]}]
receivers: [{name: oncall, to: ["rota:primary"]}]
`
		if err := os.WriteFile(file, []byte(calendar("alice", "19991231T000000Z", "20000109T000000Z")), 0o600); err != nil {
			t.Fatal(err)
		}
		d, f := directory(t, cfg)
		runFor := func(d *people.Directory) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			d.Run(ctx)
		}
		runFor(d)
		if len(f.marks) != 1 {
			t.Fatalf("%d copies are kept", len(f.marks))
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		other, g := directory(t, cfg)
		g.marks = f.marks
		runFor(other)
		if on := other.Roster().At("primary", time.Now()); on.Gap || on.Unread || !slices.Equal(on.Contacts, []string{"alice"}) {
			t.Errorf("without the file, the contact on duty is %+v", on)
		}
	})
}

func TestAlarm(t *testing.T) {
	n := people.NewNotices(outbox.NewIDs())
	at := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	ms := n.Alarm([]outbox.Person{{Number: alice}, {Number: bob, NotBefore: at.Add(4 * time.Hour)}}, "g", at, strings.Repeat("x", 1000))
	if len(ms) != 2 || ms[0].Segments != 3 || !ms[0].Urgent || !ms[0].ExpiresAt.Equal(at.Add(24*time.Hour)) || !ms[1].ExpiresAt.Equal(at.Add(28*time.Hour)) || ms[0].ID >= ms[1].ID {
		t.Errorf("the messages are %+v", ms)
	}
	if people.AskedFor(&ms[0]) || people.Fits(strings.Repeat("x", 1000)) || !people.Fits("x") {
		t.Error("an alarm was asked for, or too much fits")
	}
}

// TestNextGaps: the first gap of a rota is reported two weeks ahead.
func TestNextGaps(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rota.ics")
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:x
BEGIN:VEVENT
UID:1
DTSTAMP:20261101T000000Z
DTSTART:20261101T000000Z
DTEND:20261203T090000Z
SUMMARY:alice
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTAMP:20261101T000000Z
DTSTART:20261204T090000Z
DTEND:20270101T000000Z
SUMMARY:bob
END:VEVENT
END:VCALENDAR
`, "\n", "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	d, _ := directory(t, `
contacts: [{name: alice, number: "+33639980001"}, {name: bob, number: "+33639980002"}]
rotas:
  - {name: turns, turns: {start: "2026-11-02 09:00", days: 7, people: [alice, bob]}}
  - {name: calendar, calendar: `+file+`}
receivers: [{name: r, to: ["rota:turns"]}]
`)
	d.Roster().Load(t.Context())
	found := d.NextGaps(now)
	if want := time.Date(2026, 12, 3, 9, 0, 0, 0, time.UTC); len(found) != 1 || !found["calendar"].Equal(want) {
		t.Errorf("gaps: %v, want one of calendar at %s", found, want)
	}
	within := now.Add(5 * 24 * time.Hour)
	if in, ok := d.NextGaps(within)["calendar"]; !ok || in.After(within) {
		t.Errorf("in the gap: %v, %v", in, ok)
	}
}
