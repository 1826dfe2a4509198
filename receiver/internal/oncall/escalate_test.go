package oncall_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCalendarContactStops: the team also learns that a contact from a calendar has stopped texts.
func TestCalendarContactStops(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		w.halt()
		file := filepath.Join(w.dir, "rota.ics")
		if err := os.WriteFile(file, []byte(calendar("alice", "19991231T000000Z", "20000109T000000Z")), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(team + "rotas: [{name: primary, calendar: " + file + ", default: [carol]}]\nreceivers: [{name: oncall, to: [\"rota:primary\"], limits: [], acknowledge: true}]\n")
		a, c := w.phone(alice), w.phone(carol)
		after(time.Second)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		a.say("stop")
		a.expect(time.Second, "You get no more...")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := c.Next(ctx); err != nil {
			t.Error("nobody is notified that alice, who is on duty, has stopped texts")
		}
		w.notify("oncall", "other", "first notification", other)
		after(10 * time.Second)
		n := 0
		for _, m := range w.sim.Messages() {
			if strings.Contains(m.Text, "LoadHigh") {
				n++
			}
		}
		if n == 0 {
			t.Error("the contact on duty has stopped texts: a critical alert pages nobody, not even the default")
		}
	})
}

// TestReachedDespiteFailedUpdate: somebody whose first text was delivered is reached, even if a
// later one fails.
func TestReachedDespiteFailedUpdate(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		after(time.Minute) // the text is delivered
		w.sim.Outcome(alice, 6)
		w.notify("oncall", "disk", "new alerts added", disk, other)
		a.expect(time.Second, "CRITICAL...")
		b.silent(3 * time.Minute)
	})
}

func TestReachedDespiteUpdateWithoutReceipt(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: []\n    no_receipt: 3m", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		after(2*time.Minute + 59*time.Second + 500*time.Millisecond)
		w.notify("oncall", "disk", "new alerts added", disk, other)
		a.expect(time.Second, "CRITICAL...")
		b.silent(time.Minute)
	})
}

// TestReachedDespiteHeldUpdate: an update that limits hold does not turn "No answer" into "Not reached".
func TestReachedDespiteHeldUpdate(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: [{messages: 1, per: 1h}]", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		after(time.Minute)
		w.notify("oncall", "disk", "new alerts added", disk, other)
		text := b.expect(5*time.Minute, "CRITICAL:...")
		if !strings.Contains(text, "No answer from alice") {
			t.Errorf("bob gets %q, but alice was reached", text)
		}
	})
}

// TestHolderStops: a holder who stops texts no longer holds the page.
func TestHolderStops(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("ok")
		a.expect(time.Second, "OK...")
		a.say("stop")
		a.expect(time.Second, "You get no more...")
		b.expectBoth(10*time.Second, "alice has stopped...", "CRITICAL DiskFull...Re CODE") // because nobody holds the page now
	})
}

// TestRemovedAcknowledgeExpiresPages: a page expires when its receiver no longer has pages.
func TestRemovedAcknowledgeExpiresPages(t *testing.T) {
	inWorld(t, team+"receivers: [{name: oncall, to: [alice], limits: [], acknowledge: true}]\n", func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		if err := w.r.Apply(w.config(team + "receivers: [{name: oncall, to: [alice], limits: []}]\n")); err != nil {
			t.Fatal(err)
		}
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		if p := w.page(); p.State != "expired" {
			t.Errorf("the page is %s", p.State)
		}
	})
}

// TestStopDropsHeldMessages: a person who has stopped texts gets no held ones.
func TestStopDropsHeldMessages(t *testing.T) {
	inWorld(t, sleeping+"receivers: [{name: oncall, to: [alice], limits: [], acknowledge: true}]\n", func(w *world) {
		a := w.phone(alice)
		w.notify("oncall", "x", "first notification", disk)
		a.expect(time.Second, "CRITICAL...")
		w.notify("oncall", "1", "first notification", load)
		a.say("stop")
		a.expect(time.Second, "You get no more...")
		a.silent(12 * time.Hour)
	})
}

// TestStepsAfterDowntime: after a long downtime the steps keep their distance from each other.
func TestStepsAfterDowntime(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		w.fire()
		after(time.Minute)
		w.halt()
		time.Sleep(30 * time.Minute)
		w.start(escalating)
		b, c := w.phone(bob), w.phone(carol)
		b.expect(10*time.Second, "CRITICAL...")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if sms, err := c.Next(ctx); err == nil {
			t.Errorf("carol gets %q at the same time", sms.Text)
		}
	})
}

// TestHolderStopsDuringSilence: if the holder of a silenced page has stopped texts, others are paged when
// the silence ends.
func TestHolderStopsDuringSilence(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		a.say("%s 2h", a.code)
		a.expect(5*time.Second, "Silenced...")
		a.say("stop")
		a.expect(5*time.Second, "You get no more texts...")
		b.expect(5*time.Second, "alice has stopped...")
		after(time.Minute)
		w.am.silences[0].Status.State = "expired" // somebody ends it in Alertmanager, which notifies again
		w.notify("oncall", "disk", "repeat interval elapsed", disk)
		a.silent(10 * time.Second)
		b.expect(20*time.Minute, "CRITICAL...")
	})
}

// TestUndeliveredAfterQuietHours: if the first message, sent after the quiet hours, is not delivered, the next step
// is taken immediately.
func TestUndeliveredAfterQuietHours(t *testing.T) {
	cfg := sleeping + `
receivers:
  - {name: oncall, to: [alice], limits: [], escalate: [{after: 30m, to: [bob]}]}
`
	inWorld(t, cfg, func(w *world) {
		w.sim.Outcome(alice, 6)
		w.notify("oncall", "g", "first notification", alert{name: "Slow", severity: "warning", instance: "x"})
		after(7 * time.Hour)
		w.phone(bob).expect(2*time.Minute, "WARNING...Not reached: alice. OK? Re CODE")
	})
}
