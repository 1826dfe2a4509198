package oncall_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// sleeping is a team in which alice has quiet hours from 22:00 to 07:00, except for critical alerts. The
// bubble's clock begins at midnight.
var sleeping = strings.Replace(team, `number: "`+alice+`"`, `number: "`+alice+`", quiet: {from: "22:00", to: "07:00", severities: [warning, info]}`, 1)

var load = alert{name: "LoadHigh", severity: "warning", instance: "db-2"}

func TestQuietHours(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice], limits: [], escalate: [{after: 5m, to: [bob]}]}]\n", func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.notify("oncall", "load", "first notification", load)
		w.notify("oncall", "cert", "first notification", alert{name: "CertificateExpires", severity: "info", instance: "www"})
		a.silent(time.Second)
		b.silent(time.Hour) // pages that may wait are escalated in the daytime
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		a.say("ok")
		a.expect(time.Second, "OK...")
		a.silent(5*time.Hour + 58*time.Minute)
		digest := a.expect(2*time.Minute, "2 more in 2 groups: WARNING LoadHigh db-2 ...")
		if !regexp.MustCompile(`^2 more in 2 groups: WARNING LoadHigh db-2 \d{4}, INFO CertificateExpires www \d{4}$`).MatchString(digest) {
			t.Errorf("the digest is %q", digest)
		}
		// In the morning nobody acknowledges them.
		b.expect(6*time.Minute, "...No answer from alice. OK? Re CODE")
		b.expect(time.Minute, "...No answer from alice. OK? Re CODE")
		w.notify("oncall", "net", "first notification", alert{name: "NetSlow", severity: "warning", instance: "gw"})
		a.expect(time.Second, "WARNING NetSlow...Re CODE")
	})
}

// TestPageTurnsCriticalAtNight: a page that becomes critical at night is escalated at night.
func TestPageTurnsCriticalAtNight(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice], limits: [], escalate: [{after: 5m, to: [bob]}]}]\n", func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.notify("oncall", "load", "first notification", load)
		after(time.Hour)
		worse := load
		worse.severity = "critical"
		w.notify("oncall", "load", "new alerts added", worse)
		a.expect(time.Second, "CRITICAL LoadHigh...Re CODE")
		b.silent(4 * time.Minute)
		b.expect(2*time.Minute, "CRITICAL...No answer from alice. OK? Re CODE")
	})
}

func TestQuietHoursOfOneContact(t *testing.T) {
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
		a.expect(3*time.Minute, "RESOLVED...") // instead of the page's message, which was unsent
		a.silent(time.Hour)
	})
}

// calendar returns a calendar with one event.
func calendar(summary, from, to string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:" + summary + "\r\nDTSTART:" + from + "\r\nDTEND:" + to + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

const onDuty = `
rotas:
  - {name: primary, calendar_url: "https://calendars/secret/primary.ics", refresh: 5m, default: [carol]}
receivers:
  - {name: oncall, to: ["rota:primary"], limits: [], escalate: [{after: 5m, to: [carol]}]}
`

// serveCalendar serves a calendar. The server does not respond while hangs is true.
func (w *world) serveCalendar(text *atomic.Value, hangs *atomic.Bool) {
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
}

func TestRotaFromURL(t *testing.T) {
	var hangs atomic.Bool
	var text atomic.Value
	text.Store(calendar("On Call - Alice - Primary", "19991231T000000Z", "20000102T000000Z"))
	inWorld(t, team+onDuty, func(w *world) {
		w.serveCalendar(&text, &hangs)
		after(6 * time.Minute)
		w.fire()
		w.phone(alice).expect(time.Second, "CRITICAL...Re CODE")
		w.resolve()
		// While the calendar cannot be read, its last copy is used, even after a restart.
		hangs.Store(true)
		after(time.Hour)
		w.halt()
		w.start(team + onDuty)
		w.notify("oncall", "load", "first notification", load)
		if to := last(w); to != alice {
			t.Errorf("the page went to %s", to)
		}
		// A broken calendar does not replace the copy; a valid one does.
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
		// In a gap the default is paged. A shift of somebody unknown is a gap.
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

// last returns the recipient of the last message.
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
		w.phone(carol).expect(6*time.Minute, "CRITICAL...")
		after(3 * 24 * time.Hour)
		w.notify("oncall", "load", "first notification", load)
		w.phone(bob).expect(time.Second, "WARNING...")
	})
}

// TestChangedZoneRereadsTheCalendar: after a change of the time zone the calendar is read again, despite its ETag.
func TestChangedZoneRereadsTheCalendar(t *testing.T) {
	var text atomic.Value
	text.Store(strings.Replace(calendar("alice", "20000101T000000", "20000101T100000"), "END:VCALENDAR",
		"BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:bob\r\nDTSTART:20000101T100000\r\nDTEND:20000103T100000\r\nEND:VEVENT\r\nEND:VCALENDAR", 1))
	zone := func(name string) string {
		return team + strings.Replace(onDuty, "refresh: 5m", "refresh: 5m, timezone: "+name, 1)
	}
	inWorld(t, zone("UTC"), func(w *world) {
		w.serveCalendar(&text, &atomic.Bool{})
		after(6 * time.Minute)
		if err := w.r.Apply(w.config(zone("Asia/Tokyo"))); err != nil {
			t.Fatal(err)
		}
		after(90 * time.Minute) // it is 10:36 in Tokyo
		w.fire()
		w.phone(bob).expect(time.Second, "CRITICAL...")
	})
}

// TestBrokenCalendarFileAtStart: if the calendar's file is broken at the start, its last copy is used.
func TestBrokenCalendarFileAtStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primary.ics")
	if err := os.WriteFile(file, []byte(calendar("alice", "19991231T000000Z", "20000102T000000Z")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := func(file string) string {
		return team + strings.Replace(onDuty, `calendar_url: "https://calendars/secret/primary.ics"`, "calendar: "+file, 1)
	}
	inWorld(t, cfg(file), func(w *world) {
		after(time.Minute)
		w.halt()
		if err := os.WriteFile(file, []byte("half a calen"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(cfg(file))
		w.fire()
		w.phone(alice).expect(time.Second, "CRITICAL...Re CODE")
		w.halt()
		w.start(cfg(file + ".other")) // which has no copy
		w.notify("oncall", "load", "first notification", load)
		w.phone(carol).expect(time.Second, "WARNING...")
	})
}
