package oncall_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

var other = alert{name: "LoadHigh", severity: "critical", instance: "db-2"}

// TestSecondSilenceKeepsTheFirst: a silence of a newer alert does not end the first silence.
func TestSecondSilenceKeepsTheFirst(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 4h")
		a.expect(time.Second, "Silenced...")
		after(time.Minute)
		// Alertmanager leaves out silenced alerts.
		w.notify("oncall", "disk", "new alerts added", other)
		a.expect(time.Second, "CRITICAL LoadHigh...Re CODE")
		a.say("s 2h")
		a.expect(time.Second, "Silenced...")
		after(5 * time.Second)
		if n := len(w.am.active()); n != 2 {
			t.Errorf("%d silences are active, want 2: DiskFull's was ended", n)
		}
	})
}

// truncated posts a notification that leaves out alerts (max_alerts).
func (w *world) truncated(status, reason string, left int, a alert) {
	w.t.Helper()
	s := "firing"
	if a.resolved {
		s = "resolved"
	}
	body, _ := json.Marshal(map[string]any{
		"version": "4", "receiver": "oncall", "status": status, "groupKey": "{}:{group=\"disk\"}", "notification_reason": reason, "truncatedAlerts": left,
		"alerts":      []any{map[string]any{"status": s, "labels": map[string]string{"alertname": a.name, "severity": a.severity, "instance": a.instance}, "startsAt": "1999-12-31T23:50:00Z"}},
		"groupLabels": map[string]string{"alertname": a.name}, "commonLabels": map[string]string{"alertname": a.name, "severity": a.severity},
	})
	if code, text := w.do("POST", "/alertmanager/oncall", string(body)); code != 200 {
		w.t.Fatal(code, text)
	}
}

// TestTruncatedAlertsCannotBeSilenced: alerts that the notification leaves out cannot be silenced.
func TestTruncatedAlertsCannotBeSilenced(t *testing.T) {
	for _, gone := range []bool{false, true} {
		inWorld(t, escalating, func(w *world) {
			a := w.phone(alice)
			d := disk
			d.resolved = gone
			if gone {
				w.fire()
				a.expect(time.Second, "CRITICAL...")
				w.truncated("resolved", "some alerts resolved", 5, d)
			} else {
				w.truncated("firing", "first notification", 5, d)
			}
			a.expect(time.Second, "...")
			a.code = w.page().Code
			a.say("%s 1h", a.code)
			text := a.expect(time.Second, "...")
			t.Logf("gone=%v: %q, with %d silences set of 6 alerts", gone, text, len(w.am.active()))
			if !strings.HasPrefix(text, "NOT silenced") {
				t.Errorf("the text is %q, with %d silences set", text, len(w.am.active()))
			}
			// The five still fire; Alertmanager no longer lists the other.
			w.am.set(func() { w.am.gone = true })
			ctx, cancel := context.WithTimeout(context.Background(), 62*time.Minute)
			defer cancel()
			if sms, err := a.Next(ctx); err == nil && strings.HasPrefix(sms.Text, "RESOLVED") {
				t.Errorf("the text is %q although five alerts fire", sms.Text)
			}
		})
	}
}

// forbids refuses DELETE, like a proxy that allows GET and POST only.
type forbids struct{ http.Handler }

func (f forbids) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	f.Handler.ServeHTTP(w, r)
}

func TestUndoForbiddenByAlertmanager(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		w.routes.set("alertmanager", textinghousetest.Transport(forbids{w.am}))
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 4h")
		a.expect(time.Second, "Silenced...")
		a.say("undo")
		text := a.expect(2*time.Minute, "...")
		if n := len(w.am.active()); n != 0 && strings.Contains(text, "not silenced") {
			t.Errorf("the text is %q, but %d silences are active", text, n)
		}
	})
}

// lossy loses the response to the first POST, after the silence is set.
type lossy struct {
	http.RoundTripper
	lost bool
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if r.Method == http.MethodPost && !l.lost {
		l.lost = true
		return nil, fmt.Errorf("reset")
	}
	return resp, err
}

func TestOneOfTwoAlertmanagersLosesItsResponse(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "http://alertmanager]", "http://alertmanager, http://other]", 1), func(w *world) {
		a := w.phone(alice)
		am := w.routes.get("alertmanager")
		w.routes.set("alertmanager", &lossy{RoundTripper: am})
		w.routes.set("other", am)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 2h")
		a.expect(time.Minute, "Silenced...")
		if n := len(w.am.active()); n != 1 {
			t.Errorf("%d silences are set for one alert", n)
		}
	})
}

// slow delays each POST to Alertmanager.
type slow struct {
	http.RoundTripper
	by time.Duration
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		time.Sleep(s.by)
	}
	return s.RoundTripper.RoundTrip(r)
}

type kept struct{ outbox.Store }

func (kept) Close() error { return nil }

// TestUndoAtAnotherReplica: one replica sets a silence, slowly, while another receives its undo.
func TestUndoAtAnotherReplica(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		w.halt()
		c := w.config(escalating)
		store, err := sqlite.Open(context.Background(), c.Storage.SQLite)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		w.wraps = nil
		am := w.routes.get("alertmanager")
		w.routes.set("alertmanager", slow{am, 3 * time.Second})
		startOn := func() (*receiver.Receiver, func()) {
			r, err := receiver.New(c, receiver.Options{Transport: w.routes, Store: kept{store}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			return r, func() { cancel(); <-done }
		}
		one, stopOne := startOn()
		defer stopOne()
		two, stopTwo := startOn()
		defer stopTwo()
		a := w.phone(alice)
		w.callbacks.set("smspager", textinghousetest.Transport(one.Handler()))
		w.r = one
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 4h")
		after(time.Second)
		w.callbacks.set("smspager", textinghousetest.Transport(two.Handler()))
		a.say("undo")
		text := a.expect(10*time.Second, "...")
		after(20 * time.Minute)
		t.Logf("the text is %q", text)
		if n := len(w.am.active()); n != 0 && strings.Contains(text, "not silenced") {
			t.Errorf("the text is %q, but %d silences are left in Alertmanager", text, n)
		}
	})
}

// TestSimultaneousSilences: two people who silence a page simultaneously both get a confirmation.
func TestSimultaneousSilences(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "to: [alice]", "to: [alice, bob]", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		b.expect(time.Second, "CRITICAL...")
		w.am.set(func() { w.am.broken = true })
		a.say("s 1h")
		b.say("s 2h")
		after(5 * time.Second)
		w.am.set(func() { w.am.broken = false })
		after(30 * time.Second)
		var texts []string
		for _, m := range w.sim.Messages() {
			texts = append(texts, m.To+" "+m.Text)
		}
		t.Log(strings.Join(texts, "\n"))
		t.Log(len(w.am.active()))
		for _, n := range []string{alice, bob} {
			confirmed := false
			for _, m := range w.sim.Messages() {
				confirmed = confirmed || "+"+m.To == n && strings.HasPrefix(m.Text, "Silenced")
			}
			if !confirmed {
				t.Errorf("%s gets no confirmation", n)
			}
		}
	})
}
