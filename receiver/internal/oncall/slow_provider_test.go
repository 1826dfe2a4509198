package oncall_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowAll is a provider that delays every request.
type slowAll struct {
	http.RoundTripper
	by time.Duration
}

func (s slowAll) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(s.by)
	return s.RoundTripper.RoundTrip(r)
}

// TestNotificationDuringAStepWithoutStore: a notification that comes while a step is sent without the store
// does not cause the step to be taken again.
func TestNotificationDuringAStepWithoutStore(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		b := w.phone(bob)
		w.fire()
		after(4*time.Minute + 50*time.Second)
		store.readOnly.Store(true)
		w.routes.set("provider", slowAll{w.sim.Transport(), 3 * time.Second})
		after(12 * time.Second) // the step is being sent
		w.notify("oncall", "disk", "new alerts added", disk, other)
		after(30 * time.Second)
		store.readOnly.Store(false)
		after(time.Minute)
		n := 0
		for _, m := range w.sim.Messages() {
			if "+"+m.To == bob && strings.Contains(m.Text, "No answer from alice") || strings.Contains(m.Text, "Not reached: alice") {
				n++
				t.Log(m.Text)
			}
		}
		if n != 1 {
			t.Errorf("the step to bob was taken %d times: %s", n, history(w.page()))
		}
		_ = b
	})
}

// TestEndDuringAStepWithoutStore: a page that is resolved while a step is sent without the store stays
// resolved.
func TestEndDuringAStepWithoutStore(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		w.fire()
		after(4*time.Minute + 50*time.Second)
		store.readOnly.Store(true)
		slow := &slowNow{RoundTripper: w.sim.Transport()}
		slow.first = 5 * time.Second
		w.routes.set("provider", slow)
		after(12 * time.Second) // the step is being sent, slowly
		w.resolve()             // overtakes the step
		after(20 * time.Minute)
		for _, m := range w.sim.Messages() {
			if "+"+m.To == carol {
				t.Errorf("carol gets %q after the end", m.Text)
			}
		}
		store.readOnly.Store(false)
		after(time.Minute)
		t.Log(w.page().State, history(w.page()))
	})
}

// slowNow delays the first request about bob.
type slowNow struct {
	http.RoundTripper
	first time.Duration
}

func (s *slowNow) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if strings.Contains(string(body)+r.URL.RawQuery, bob[1:]) {
		d := s.first
		s.first = 0
		time.Sleep(d)
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestDeadHeartbeatAcrossAnOutage: a heartbeat that dies while the provider is away for more than an hour
// is reported when the provider is back.
func TestDeadHeartbeatAcrossAnOutage(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		a := w.phone(alice)
		w.beat()
		after(time.Minute)
		provider := w.routes.get("provider")
		w.routes.set("provider", refusing{})
		after(2 * time.Hour)
		w.routes.set("provider", provider)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Hour)
		defer cancel()
		for {
			sms, err := a.Next(ctx)
			if err != nil {
				t.Fatal("alice gets no text that the heartbeat is dead")
			}
			t.Logf("alice gets %q", sms.Text)
			if strings.Contains(sms.Text, "prometheus-eu") {
				return
			}
		}
	})
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("connection refused")
}

// TestHeartbeatConfiguredAgain: a heartbeat that a restart configures again gets its full time.
func TestHeartbeatConfiguredAgain(t *testing.T) {
	inWorld(t, watched, func(w *world) {
		w.beat()
		w.halt()
		w.start(team + "receivers: [{name: oncall, to: [bob], limits: []}]\n")
		after(24 * time.Hour)
		w.halt()
		w.start(watched)
		w.phone(alice).silent(4 * time.Minute)
	})
}
