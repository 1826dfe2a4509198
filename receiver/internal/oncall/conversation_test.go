package oncall_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestAcknowledgedByReply(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull: db-1, for 10m\nOK? Re CODE")
		after(2 * time.Minute)
		a.say("ok")
		a.expect(time.Second, "OK, "+a.code+" is yours: CRITICAL DiskFull db-1")
		b.silent(time.Hour)
		w.resolve()
		a.expect(time.Second, "RESOLVED DiskFull: db-1, after 1h12m")
		b.silent(time.Hour)
		p := w.page()
		if got, want := history(p), "opened, paged alice, acknowledged alice, resolved"; got != want {
			t.Errorf("the history is %q, want %q", got, want)
		}
		if p.State != "resolved" || p.AcknowledgedBy != "alice" || len(p.Messages) != 3 || p.Code != a.code {
			t.Errorf("the page is %+v", p)
		}
		if n := w.metric("smspager_page_acknowledged_seconds"); n != 1 {
			t.Errorf("%v acknowledgements are measured", n)
		}
	})
}

func TestEscalatesUntilAcknowledged(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b, c := w.phone(alice), w.phone(bob), w.phone(carol)
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...")
		b.silent(4*time.Minute + 59*time.Second)
		b.expect(2*time.Second, "CRITICAL DiskFull: db-1, for 15m\nNo answer from alice. OK? Re CODE")
		c.silent(9*time.Minute + 58*time.Second)
		c.expect(3*time.Second, "CRITICAL DiskFull: db-1, for 25m\nNo answer from bob. OK? Re CODE")
		if a.codeOf("Re "+a.code) != c.code || b.code != c.code {
			t.Errorf("the codes are %s, %s and %s", a.code, b.code, c.code)
		}
		c.say("ack %s", c.code)
		c.expect(time.Second, "OK, "+c.code+" is yours: CRITICAL DiskFull db-1")
		a.expect(time.Second, "carol has "+c.code+": CRITICAL DiskFull db-1")
		b.expect(time.Second, "carol has "+c.code+": CRITICAL DiskFull db-1")
		// Bob is too late, and his confirmation says so.
		wrong := "4821"
		if c.code == wrong {
			wrong = "4822"
		}
		b.say("%s no", wrong)
		b.expect(time.Second, "Nothing was done. No page of yours is open.")
		b.say("ok")
		b.expect(time.Second, "carol has "+c.code+" since ...")
		w.resolve()
		for _, p := range []*phone{a, b, c} {
			p.expect(time.Second, "RESOLVED DiskFull...")
		}
		if got, want := history(w.page()), "opened, paged alice, escalated, paged bob, escalated, paged carol, acknowledged carol, resolved"; got != want {
			t.Errorf("the history is %q, want %q", got, want)
		}
		if n := w.metric("smspager_escalations_total", "receiver", "oncall"); n != 2 {
			t.Errorf("%v escalations are counted", n)
		}
	})
}

func TestResolutionStopsTheEscalation(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		after(4 * time.Minute)
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		b.silent(2 * time.Hour)
		a.say("ok")
		a.expect(time.Second, a.code+" is resolved, since ...")
	})
}

// TestPageEndsWithoutResolvedMessage: the page ends even with send_resolved: false.
func TestPageEndsWithoutResolvedMessage(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: []\n    send_resolved: false", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		w.resolve()
		b.silent(2 * time.Hour)
		a.silent(time.Second)
		if p := w.page(); p.State != "resolved" {
			t.Errorf("the page is %s", p.State)
		}
	})
}

func TestUndeliveredEscalatesImmediately(t *testing.T) {
	for _, status := range []textinghouse.Status{4, 5, 6, 7, 20} {
		inWorld(t, escalating, func(w *world) {
			w.sim.Outcome(alice, status)
			b := w.phone(bob)
			w.fire()
			b.expect(10*time.Second, "CRITICAL DiskFull...\nNot reached: alice. OK? Re CODE")
			b.silent(10 * time.Minute) // the next step is not earlier
			w.phone(carol).expect(6*time.Minute, "CRITICAL DiskFull...\nNo answer from bob. OK? Re CODE")
			if got := history(w.page()); !strings.HasPrefix(got, "opened, paged alice, unreached, escalated, paged bob") {
				t.Errorf("status %d: the history is %q", status, got)
			}
		})
	}
}

// TestStepWaitsIfOneOfTwoIsReached: the next step waits while at least one of two people may have received the
// page.
func TestStepWaitsIfOneOfTwoIsReached(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "to: [alice]\n", "to: [alice, carol]\n", 1), func(w *world) {
		w.sim.Outcome(alice, 6)
		b := w.phone(bob)
		w.fire()
		b.silent(4 * time.Minute)
		b.expect(2*time.Minute, "CRITICAL...\nNo answer from alice, carol. OK? Re CODE")
	})
}

func TestNoReceipt(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: []\n    no_receipt: 90s", 1), func(w *world) {
		w.sim.Outcome(alice, textinghousetest.Never)
		b, c := w.phone(bob), w.phone(carol)
		w.fire()
		b.silent(88 * time.Second)
		b.expect(4*time.Second, "CRITICAL...\nNot reached: alice. OK? Re CODE")
		c.silent(13 * time.Minute) // bob's message was delivered
		c.expect(2*time.Minute, "CRITICAL...")
	})
}

func TestRepeatsUntilAcknowledged(t *testing.T) {
	inWorld(t, team+"receivers: [{name: oncall, to: [alice], limits: [], acknowledge: true, repeat: 10m}]\n", func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull: db-1, for 10m\nOK? Re CODE")
		a.expect(10*time.Minute+time.Second, "STILL CRITICAL DiskFull: db-1, for 20m\nRe CODE")
		a.expect(10*time.Minute+time.Second, "STILL CRITICAL DiskFull: db-1, for 30m\nRe CODE")
		a.say("yes")
		a.expect(time.Second, "OK, ...")
		a.silent(2 * time.Hour)
	})
}

func TestRepeatIntervalNotifiesOnlyTheHolder(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "to: [alice]\n", "to: [alice, bob]\n", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		b.expect(time.Second, "CRITICAL...")
		a.say("ok")
		a.expect(time.Second, "OK...")
		b.expect(time.Second, "alice has...")
		after(4 * time.Hour)
		w.notify("oncall", "disk", "repeat interval elapsed", disk)
		a.expect(time.Second, "STILL CRITICAL...Re CODE")
		b.silent(time.Hour)
		// The page is reopened, and everybody is paged.
		load := alert{name: "LoadHigh", severity: "critical", instance: "db-2"}
		w.notify("oncall", "disk", "new alerts added", disk, load)
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(time.Second, "CRITICAL...Re CODE")
		w.phone(carol).expect(16*time.Minute, "CRITICAL...Re CODE")
		if p := w.page(); p.State != "open" || !strings.Contains(history(p), "acknowledged alice, notified, notified, reopened, paged alice, paged bob, escalated") {
			t.Errorf("the page is %s: %s", p.State, history(p))
		}
	})
}

func TestUpdateReachesAllWhoWerePaged(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		b.expect(6*time.Minute, "CRITICAL...")
		w.notify("oncall", "disk", "new alerts added", disk, alert{name: "LoadHigh", severity: "warning", instance: "db-2"})
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(time.Second, "CRITICAL...Re CODE")
		w.phone(carol).expect(11*time.Minute, "CRITICAL:...") // the step is not later
	})
}

func TestUndoResumesTheEscalation(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b, c := w.phone(alice), w.phone(bob), w.phone(carol)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		b.expect(6*time.Minute, "CRITICAL...")
		b.say("ok")
		b.expect(time.Second, "OK...")
		a.expect(time.Second, "bob has...")
		after(time.Hour)
		b.say("undo")
		b.expect(time.Second, "Undone: "+b.code+" is open again: CRITICAL DiskFull db-1")
		a.expect(time.Second, "bob undid the acknowledgement of "+b.code+". It is open again: CRITICAL DiskFull db-1. Re CODE")
		c.silent(9 * time.Minute)
		c.expect(2*time.Minute, "CRITICAL...No answer from bob. OK? Re CODE")
	})
}

func TestPagesExpire(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		first := a.code
		w.am.set(func() { w.am.broken = true })
		after(37 * time.Hour)
		if p := w.page(); p.State != "expired" {
			t.Errorf("the page is %s", p.State)
		}
		a.say("%s", first)
		a.expect(time.Second, first+" is expired...")
		w.notify("oncall", "disk", "repeat interval elapsed", disk)
		a.expect(time.Second, "CRITICAL...")
		if a.code == first {
			t.Errorf("the new page has the old code %s", first)
		}
	})
}

func TestByLabel(t *testing.T) {
	inWorld(t, team+"receivers: [{name: oncall, to_label: instance, limits: [], acknowledge: true}]\n", func(w *world) {
		const dave = "+33612345600"
		d := w.phone(dave)
		a := disk
		a.instance = dave
		w.notify("oncall", "disk", "first notification", a)
		d.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		d.say("ok") // registered only because he was paged
		d.expect(time.Second, "OK, ...")
	})
}

// TestStepWithoutRecipientsIsSkipped: a step that names nobody is skipped immediately, and delays no later step.
func TestStepWithoutRecipientsIsSkipped(t *testing.T) {
	steps := strings.Replace(escalating, "{after: 5m, to: [bob]}, {after: 15m, to: [carol]}", "{after: 5m, to: [bob]}, {after: 15m, to: [alice]}, {after: 1h, to: [carol]}", 1)
	inWorld(t, steps, func(w *world) {
		a, c := w.phone(alice), w.phone(carol)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		w.do("POST", "/textinghouse/"+token+"/mo", fmt.Sprintf(`{"climsgid":"x","from":%q,"txt":"stop","date":"2000-01-01 00:00:03"}`, bob[1:]))
		c.expect(time.Second, "bob has stopped...")
		a.expect(time.Second, "bob has stopped...")
		a.expect(6*time.Minute, "STILL...Re CODE") // the second step, ten minutes early: bob's names nobody
		c.silent(50 * time.Minute)
		c.expect(6*time.Minute, "CRITICAL...No answer from alice. OK? Re CODE")
	})
}
