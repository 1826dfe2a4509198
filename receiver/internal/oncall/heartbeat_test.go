package oncall_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const watched = team + `
receivers: [{name: oncall, to: [bob], limits: []}]
heartbeats: [{name: prometheus-eu, receiver: watchdog, timeout: 5m, to: [alice]}]
`

var watchdog = alert{name: "Watchdog", severity: "none", instance: "eu"}

// beat posts the Watchdog's notification.
func (w *world) beat() {
	w.t.Helper()
	w.notify("watchdog", "watchdog", "repeat interval elapsed", watchdog)
}

func TestHeartbeat(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		a := w.phone(alice)
		for range 20 {
			w.beat()
			after(time.Minute)
		}
		a.silent(3 * time.Minute)
		a.expect(time.Minute+time.Second, "DEAD heartbeat prometheus-eu: silent for 5m, last at 00:19 UTC. Alerts may not arrive.")
		if w.metric("smspager_heartbeat_up", "heartbeat", "prometheus-eu") != 0 {
			t.Error("the metric says that the heartbeat is up")
		}
		a.silent(time.Hour) // it is reported once
		w.beat()
		a.expect(time.Second, "ALIVE heartbeat prometheus-eu: it was silent for 1h5m.")
		after(time.Minute)
		if w.metric("smspager_heartbeat_up", "heartbeat", "prometheus-eu") != 1 {
			t.Error("the metric says that the heartbeat is down")
		}
		// A resolved alert is not a beat.
		gone := watchdog
		gone.resolved = true
		w.notify("watchdog", "watchdog", "all alerts resolved", gone)
		a.expect(5*time.Minute+time.Second, "DEAD...silent for 5m, last at 01:24 UTC. Alerts may not arrive.")
		if n := len(w.phone("").texts()); n != 3 {
			t.Errorf("%d texts were sent, want 3", n)
		}
	})
}

// TestHeartbeatPaths: a heartbeat's receiver is named as other receivers are.
func TestHeartbeatPaths(t *testing.T) {
	inWorld(t, strings.ReplaceAll(watched, "receiver: watchdog", "receiver: dead.man"), func(w *world) {
		for _, receiver := range []string{"dead.man", "dead.man/", "dead.man//", `dead\.man`, `dead\.man/`} {
			body := fmt.Sprintf(`{"version": "4", "status": "firing", "receiver": %q, "groupKey": "w", "alerts": [{"status": "firing", "labels": {"alertname": "Watchdog"}}]}`, receiver)
			if code, text := w.do("POST", "/alertmanager", body); code != http.StatusOK {
				t.Errorf("%s: the response is %d %s", receiver, code, text)
			}
		}
		for _, path := range []string{"dead.man", "dead.man/", "dead.man//"} {
			if code, text := w.do("PUT", "/alertmanager/"+path, `{"version": "4", "status": "firing", "alerts": [{"status": "firing"}]}`); code != http.StatusOK {
				t.Errorf("%s: the response is %d %s", path, code, text)
			}
		}
	})
}

// TestOneOfTwoPrometheusDies: a heartbeat's matchers name the alert that beats.
func TestOneOfTwoPrometheusDies(t *testing.T) {
	inWorld(t, team+`
receivers: [{name: oncall, to: [bob], limits: []}]
heartbeats:
  - {name: prometheus-eu, receiver: watchdog, matchers: {cluster: eu}, timeout: 5m, to: [alice]}
  - {name: prometheus-us, receiver: watchdog, matchers: {cluster: us, region: ""}, timeout: 5m, to: [bob]}
`, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		beat := func(eu, us string) {
			both := func(status, cluster string) string {
				return fmt.Sprintf(`{"status": %q, "labels": {"alertname": "Watchdog", "cluster": %q}, "startsAt": "2026-11-25T00:00:00Z"}`, status, cluster)
			}
			code, text := w.do("POST", "/alertmanager", `{"version": "4", "status": "firing", "receiver": "watchdog", "groupKey": "w", "alerts": [`+both(eu, "eu")+","+both(us, "us")+"]}")
			if code != http.StatusOK {
				t.Fatalf("the response to the notification is %d %s", code, text)
			}
		}
		for range 10 {
			beat("firing", "firing")
			after(time.Minute)
		}
		a.silent(time.Second)
		for range 4 {
			beat("resolved", "firing")
			after(time.Minute)
		}
		a.expect(time.Minute, "DEAD heartbeat prometheus-eu: silent for 5m...")
		beat("resolved", "firing")
		b.silent(time.Minute)
		beat("firing", "firing")
		a.expect(time.Second, "ALIVE heartbeat prometheus-eu...")
	})
}

// texts returns all texts that were sent so far, to any phone.
func (p *phone) texts() (all []string) {
	for _, m := range p.w.sim.Messages() {
		all = append(all, m.Text)
	}
	return all
}

func TestHeartbeatNeverReceived(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		a := w.phone(alice)
		a.silent(9 * time.Minute)
		w.halt()
		w.start(watched) // which does not extend the time
		a.expect(time.Minute+time.Second, "DEAD heartbeat prometheus-eu: never seen for 10m. Alerts may not arrive.")
		w.beat()
		a.expect(time.Second, "ALIVE heartbeat prometheus-eu: it was seen for the first time.")
	})
}

// TestOwnDowntimeKillsNoHeartbeat: smspager's own downtime makes no heartbeat dead at its start, but DEAD reports it.
func TestOwnDowntimeKillsNoHeartbeat(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		a := w.phone(alice)
		w.beat()
		after(2 * time.Minute)
		w.halt()
		after(3 * time.Hour)
		w.start(watched)
		a.silent(2*time.Minute + 50*time.Second)
		a.expect(15*time.Second, "DEAD heartbeat prometheus-eu: silent for 3h5m, last at 00:00 UTC. Alerts may not arrive. smspager itself was down from 00:02 to 03:02 UTC.")
		w.beat()
		a.expect(time.Second, "ALIVE...")
		// A short downtime, in which a beat is lost.
		after(4 * time.Minute)
		w.halt()
		after(50 * time.Second)
		w.start(watched)
		a.silent(58 * time.Second)
		a.expect(3*time.Second, "DEAD heartbeat prometheus-eu: silent for 5m, last at 03:05 UTC. Alerts may not arrive.")
	})
}

// TestBeatLostInShortDowntime: a beat lost in a short downtime does not make the heartbeat dead.
func TestBeatLostInShortDowntime(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		w.beat()
		after(3*time.Minute + 5*time.Second)
		w.halt()
		after(2*time.Minute + 50*time.Second) // one beat, every 4 minutes, is lost
		w.start(watched)
		w.phone(alice).silent(2*time.Minute - 10*time.Second)
		w.beat()
		w.phone(alice).silent(4 * time.Minute)
	})
}

// TestHeartbeatNamesAReceiver: a receiver that a heartbeat names works like any other.
func TestHeartbeatNamesAReceiver(t *testing.T) {
	inWorld(t, strings.Replace(watched, "receiver: watchdog", "receiver: oncall", 1), func(w *world) {
		w.notify("oncall", "x", "first notification", watchdog)
		w.phone(bob).expect(time.Second, "OK Watchdog: alerts arrive...")
		after(time.Second)
		if got := w.metric("smspager_heartbeat_last_seen_timestamp_seconds", "heartbeat", "prometheus-eu"); got == 0 {
			t.Error("the metric does not show that the heartbeat was received")
		}
		w.phone(alice).expect(6*time.Minute, "DEAD...")
	})
}

func TestReloadAddsAHeartbeat(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		w.beat()
		after(time.Hour)
		if err := w.r.Apply(w.config(strings.Replace(watched, "prometheus-eu", "prometheus-us", 1))); err != nil {
			t.Fatal(err)
		}
		after(9 * time.Minute)
		if got := w.phone("").texts(); len(got) != 1 { // of the old heartbeat
			t.Errorf("sent %q", got)
		}
		after(2 * time.Minute)
		if got := w.phone("").texts(); len(got) != 2 || !strings.HasPrefix(got[1], "DEAD heartbeat prometheus-us: never seen") {
			t.Errorf("sent %q", got)
		}
	})
}

func TestAliveCalls(t *testing.T) {
	elsewhere := &counting{}
	inWorld(t, team+"receivers: [{name: oncall, to: [alice], limits: []}]\nalive: {url: \"https://elsewhere/ping/secret\", interval: 30s}\n", func(w *world) {
		w.routes.set("elsewhere", elsewhere)
		after(5*time.Minute - time.Second)
		if got := elsewhere.count(); got != 9 && got != 10 {
			t.Errorf("alive was called %d times in five minutes", got)
		}
		before := elsewhere.count()
		w.sim.Update("acme", func(a *accountOf) { a.Password = "another" })
		w.fire()
		after(10 * time.Minute)
		if got := elsewhere.count(); got > before+1 {
			t.Errorf("while the account is refused, alive was called %d times", got-before)
		}
		w.sim.Update("acme", func(a *accountOf) { a.Password = "x" })
		after(3 * time.Minute)
		if got := elsewhere.count(); got < before+2 {
			t.Error("alive is not called again")
		}
		if n := w.metric("smspager_alive_calls_total", "outcome", "withheld"); n < 10 {
			t.Errorf("%v calls were withheld", n)
		}
	})
}

func TestCreditGuard(t *testing.T) {
	inWorld(t, team+"receivers: [{name: oncall, to: [bob], limits: []}]\ncredit: {warn_below: 100, warn_days: 10, to: [alice]}\n", func(w *world) {
		a := w.phone(alice)
		spend := func(perHour float64, hours int) {
			for range hours {
				w.sim.Update("acme", func(a *accountOf) { a.Credit -= perHour })
				after(time.Hour)
			}
		}
		after(10 * time.Minute)
		spend(2000, 23)
		a.silent(time.Second) // the rate is unknown for a day
		spend(2000, 4)
		a.silent(time.Second) // 48,000 a day, 946,000 left: 20 days
		spend(10_000, 12)
		text := a.expect(time.Second, "CREDIT ...")
		var left, days float64
		if _, err := fmt.Sscanf(text, "CREDIT %f left at TextingHouse, it lasts %f days", &left, &days); err != nil || days > 10 || days < 8 {
			t.Errorf("the text is %q (%v)", text, err)
		}
		w.sim.Update("acme", func(a *accountOf) { a.Credit = 99 })
		after(10 * time.Minute)
		a.expect(time.Second, "CREDIT 99 left at TextingHouse, below 100. Without credit nobody is paged.")
		w.halt()
		w.start(team + "receivers: [{name: oncall, to: [bob], limits: []}]\ncredit: {warn_below: 100, warn_days: 10, to: [alice]}\n")
		a.silent(2 * time.Hour) // each warning is sent once
		w.sim.Update("acme", func(a *accountOf) { a.Credit = 1e6 })
		a.silent(10 * time.Minute)
		w.sim.Update("acme", func(a *accountOf) { a.Credit = 98 })
		after(10 * time.Minute)
		a.expect(time.Second, "CREDIT 98 left at TextingHouse, below 100...")
	})
}

// TestHeartbeatAddedBackByRestart: a heartbeat that one restart removes and another adds within an hour is not dead
// immediately.
func TestHeartbeatAddedBackByRestart(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		a := w.phone(alice)
		w.beat()
		after(time.Minute)
		w.halt()
		w.start(escalating) // without the heartbeat
		after(20 * time.Minute)
		w.halt()
		w.start(watched)
		a.silent(4 * time.Minute)
	})
}

// counting responds 200 and counts.
type counting struct {
	mu sync.Mutex
	n  int
}

func (c *counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
