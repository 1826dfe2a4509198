package oncall_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/oncall"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// sleeping is a team whose alice sleeps from 22:00 to 07:00, unless it is critical. The
// bubble's clock begins at midnight.
var sleeping = strings.Replace(team, `number: "`+alice+`"`, `number: "`+alice+`", quiet: {from: "22:00", to: "07:00", severities: [warning, info]}`, 1)

var load = alert{name: "LoadHigh", severity: "warning", instance: "db-2"}

func TestQuietHours(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice], limits: [], escalate: [{after: 5m, to: [bob]}]}]\n", func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.notify("oncall", "load", "first notification", load)
		w.notify("oncall", "cert", "first notification", alert{name: "CertificateExpires", severity: "info", instance: "www"})
		a.silent(time.Second)
		b.silent(time.Hour) // what may wait is escalated by day
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		a.say("ok")
		a.expect(time.Second, "OK...")
		a.silent(5*time.Hour + 58*time.Minute)
		a.expect(2*time.Minute, "2 more in 2 groups: WARNING LoadHigh, INFO CertificateExpires\nAnswer ? for their codes")
		// By day nobody answers them.
		b.expect(6*time.Minute, "STILL...No answer from alice. Re CODE")
		b.expect(time.Minute, "STILL...No answer from alice. Re CODE")
		w.notify("oncall", "net", "first notification", alert{name: "NetSlow", severity: "warning", instance: "gw"})
		a.expect(time.Second, "WARNING NetSlow...Re CODE")
	})
}

// TestWhatCanNoLongerWait: what gets worse at night is escalated at night.
func TestWhatCanNoLongerWait(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice], limits: [], escalate: [{after: 5m, to: [bob]}]}]\n", func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.notify("oncall", "load", "first notification", load)
		after(time.Hour)
		worse := load
		worse.severity = "critical"
		w.notify("oncall", "load", "new alerts added", worse)
		a.expect(time.Second, "CRITICAL LoadHigh...Re CODE")
		b.silent(4 * time.Minute)
		b.expect(2*time.Minute, "STILL CRITICAL...No answer from alice. Re CODE")
	})
}

func TestQuietForSome(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice, bob], limits: [], acknowledge: true}]\n", func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.notify("oncall", "load", "first notification", load)
		b.expect(time.Second, "WARNING LoadHigh...Re CODE")
		a.silent(time.Hour)
		gone := load
		gone.resolved = true
		w.notify("oncall", "load", "all alerts resolved", gone)
		b.expect(time.Second, "RESOLVED...")
		a.silent(5*time.Hour + 58*time.Minute)
		a.expect(3*time.Minute, "RESOLVED...") // in the place of the page, which was not sent yet
		a.silent(time.Hour)
	})
}

// calendar is a calendar of one event.
func calendar(summary, from, to string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:" + summary + "\r\nDTSTART:" + from + "\r\nDTEND:" + to + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

const onDuty = `
rotas:
  - {name: primary, calendar_url: "https://calendars/secret/primary.ics", refresh: 5m, default: [carol]}
receivers:
  - {name: oncall, to: ["rota:primary"], limits: [], escalate: [{after: 5m, to: [carol]}]}
`

func TestRotaOfAURL(t *testing.T) {
	var hangs atomic.Bool
	var text atomic.Value
	text.Store(calendar("On Call - Alice - Primary", "19991231T000000Z", "20000102T000000Z"))
	inWorld(t, team+onDuty, func(w *world) {
		w.routes.set("calendars", textinghousetest.Transport(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if hangs.Load() {
				<-r.Context().Done()
				return
			}
			etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(text.Load().(string))))
			rw.Header().Set("ETag", etag)
			if r.Header.Get("If-None-Match") == etag {
				rw.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(rw, text.Load())
		})))
		after(6 * time.Minute)
		w.fire()
		w.phone(alice).expect(time.Second, "CRITICAL...Re CODE")
		w.resolve()
		// What was read last is used while the calendar cannot be read, also after a
		// restart.
		hangs.Store(true)
		after(time.Hour)
		w.halt()
		w.start(team + onDuty)
		w.notify("oncall", "load", "first notification", load)
		if to := last(w); to != alice {
			t.Errorf("the page went to %s", to)
		}
		// A broken one does not replace it; another one does.
		hangs.Store(false)
		text.Store("<html>Sign in</html>")
		after(10 * time.Minute)
		w.notify("oncall", "net", "first notification", alert{name: "NetDown", severity: "critical", instance: "gw"})
		if to := last(w); to != alice {
			t.Errorf("the page went to %s", to)
		}
		text.Store(calendar("bob", "19991231T000000Z", "20000102T000000Z"))
		after(10 * time.Minute)
		w.notify("oncall", "dns", "first notification", alert{name: "DNSDown", severity: "critical", instance: "ns"})
		if to := last(w); to != bob {
			t.Errorf("the page went to %s", to)
		}
		// A gap falls to the default, and somebody unknown is a gap.
		for _, gap := range []string{calendar("bob", "20010101T000000Z", "20010102T000000Z"), calendar("Mallory", "19991231T000000Z", "20000102T000000Z")} {
			text.Store(gap)
			after(6 * time.Minute)
			w.notify("oncall", gap, "first notification", alert{name: "RAIDBroken", severity: "critical", instance: "nas"})
			if to := last(w); to != carol {
				t.Errorf("in a gap the page went to %s", to)
			}
		}
		if n := w.metric("smspager_rota_gaps_total", "rota", "primary"); n < 2 {
			t.Errorf("%v gaps are counted", n)
		}
	})
}

// last is whom the last text that was sent went to.
func last(w *world) string {
	synctest.Wait()
	ms := w.sim.Messages()
	return "+" + ms[len(ms)-1].To
}

func TestWhoIsOnDuty(t *testing.T) {
	inWorld(t, team+`
rotas:
  - {name: primary, turns: {start: "1999-12-27 09:00", people: [alice, bob]}, timezone: Europe/Paris}
  - {name: second, turns: {start: "2001-01-01 09:00", people: [bob]}, default: [carol]}
receivers:
  - {name: oncall, to: ["rota:primary"], limits: [], escalate: [{after: 5m, to: ["rota:second"]}]}
`, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("who?")
		a.expect(time.Second, "primary: alice until Mon 09:00 CET\nsecond: carol (default) until Tue 00:00 UTC")
		w.phone(carol).expect(6*time.Minute, "STILL CRITICAL...")
		after(3 * 24 * time.Hour)
		w.notify("oncall", "load", "first notification", load)
		w.phone(bob).expect(time.Second, "WARNING...")
	})
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
	r := oncall.NewRoster(cfg, nil)
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	if on := r.At("primary", from); !on.Gap || !slices.Equal(on.Contacts, []string{"bob"}) {
		t.Errorf("before the calendar is read it is %+v", on)
	}
	if errs := r.Load(t.Context()); errs != nil {
		t.Fatal(errs)
	}
	var got []string
	for _, d := range r.Timeline("primary", from, from.AddDate(0, 0, 14)) {
		got = append(got, fmt.Sprint(d.Start.Format("2 Jan 15:04"), " ", d.Contacts, " ", d.Gap))
	}
	if want := []string{"1 Nov 00:00 [bob] true", "2 Nov 08:00 [alice] false", "9 Nov 08:00 [bob] true"}; !slices.Equal(got, want) {
		t.Errorf("it is %q, want %q", got, want)
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
		t.Error("a rota that is not there has a timeline")
	}
}
