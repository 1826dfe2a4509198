package oncall_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

type down struct{}

func (down) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// TestStaleStepIsDropped: a step that could be neither stored nor sent is not sent after the page is over.
// RESOLVED replaces it, as it does if the store works.
func TestStaleStepIsDropped(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(4 * time.Minute)
		store.readOnly.Store(true)
		w.routes.set("provider", down{})
		after(2 * time.Minute)
		w.routes.set("provider", w.sim.Transport())
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		b.expect(time.Minute, "RESOLVED...")
		b.silent(5 * time.Minute)
	})
}

// TestResolvedSurvivesAnOutage: RESOLVED is sent after an outage of the provider even if the page has
// got an event since.
func TestResolvedSurvivesAnOutage(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(6*time.Minute, "CRITICAL...Re CODE")
		w.am.set(func() { w.am.broken = true })
		a.say("%s 2h", a.code)
		b.expect(time.Second, "alice has ...")
		after(50 * time.Second)
		w.routes.set("provider", down{})
		w.resolve()
		after(40 * time.Second)
		w.routes.set("provider", w.sim.Transport())
		b.expect(10*time.Minute, "RESOLVED...")
	})
}

// TestConfirmationSurvivesTheEndOfThePage: a confirmation is sent even if the page is over when the provider works again.
func TestConfirmationSurvivesTheEndOfThePage(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: []\n    send_resolved: false", 1), func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Minute)
		w.routes.set("provider", down{})
		a.say("ok")
		after(10 * time.Second)
		w.resolve()
		after(10 * time.Second)
		w.routes.set("provider", w.sim.Transport())
		a.expect(time.Minute, "OK, ...")
	})
}

// TestHeldResolvedWithoutSilence is TestHeldResolvedSurvivesFailedSilence without the silence.
func TestHeldResolvedWithoutSilence(t *testing.T) {
	inWorld(t, twoLimited, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Minute)
		a.say("%s", a.code)
		b.expect(time.Second, "alice has ...")
		after(30 * time.Second)
		w.resolve()
		b.expect(15*time.Minute, "RESOLVED...")
	})
}

const twoLimited = team + `
receivers:
  - name: oncall
    to: [alice, bob]
    limits: [{messages: 1, per: 10m}]
    urgent: []
    acknowledge: true
`

// TestHeldResolvedSurvivesFailedSilence: RESOLVED that limits hold is sent even if a silence that fails changes the page's
// UpdatedAt in the meantime.
func TestHeldResolvedSurvivesFailedSilence(t *testing.T) {
	inWorld(t, twoLimited, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.notify("oncall", "load", "first notification", load)
		a.expect(time.Second, "WARNING...Re CODE")
		b.expect(time.Second, "WARNING...Re CODE")
		after(9 * time.Minute)
		over := load
		over.resolved = true
		w.notify("oncall", "load", "all alerts resolved", over)
		a.expect(time.Second, "RESOLVED...")
		b.expect(time.Second, "RESOLVED...") // limits hold the next text for ten minutes
		after(time.Minute)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(time.Second, "CRITICAL...Re CODE")
		w.am.set(func() { w.am.broken = true })
		after(time.Minute)
		a.say("%s 2h", a.code)
		b.expect(time.Second, "alice has ...")
		after(30 * time.Second)
		w.resolve()
		a.expect(2*time.Minute, "NOT silenced: ...")
		b.expect(15*time.Minute, "RESOLVED...")
	})
}
