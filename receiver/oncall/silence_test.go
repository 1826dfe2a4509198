package oncall_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/oncall/silencer"
)

// three fires three alerts of one group.
func (w *world) three() {
	w.t.Helper()
	var alerts []alert
	for i := range 3 {
		alerts = append(alerts, alert{name: "DiskFull", severity: "critical", instance: fmt.Sprint("db-", i+1)})
	}
	w.notify("oncall", "disk", "first notification", alerts...)
}

func TestSilencedByReply(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.three()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		b.expect(6*time.Minute, "STILL...")
		b.say("%s 2h", b.code)
		b.expect(time.Second, "Silenced "+b.code+" for 2h: CRITICAL DiskFull. UNDO "+b.code+" ends it.")
		a.expect(time.Second, "bob silenced "+b.code+" for 2h: CRITICAL DiskFull")
		active := w.am.active()
		if len(active) != 3 {
			t.Fatalf("%d silences are set, want 3", len(active))
		}
		for i, s := range active {
			want := []silencer.Matcher{
				{Name: "alertname", Value: "DiskFull", IsEqual: true}, {Name: "instance", Value: fmt.Sprint("db-", i+1), IsEqual: true}, {Name: "severity", Value: "critical", IsEqual: true},
			}
			slices.SortFunc(s.Matchers, func(a, b silencer.Matcher) int { return strings.Compare(a.Name, b.Name) })
			if !slices.Equal(s.Matchers, want) || s.CreatedBy != "bob" || !strings.Contains(s.Comment, w.page().ID) || s.EndsAt.Sub(s.StartsAt).Round(time.Minute) != 2*time.Hour {
				t.Errorf("silence %d is %+v", i, s)
			}
		}
		w.phone(carol).silent(90 * time.Minute)
		// Undo ends them, and the escalation goes on.
		b.say("undo")
		a.expect(time.Second, "bob gave "+b.code+" back, it is open again: CRITICAL DiskFull. Re CODE")
		b.expect(time.Second, "Undone: "+b.code+" is open again and not silenced. CRITICAL DiskFull")
		if left := w.am.active(); len(left) != 0 {
			t.Errorf("%d silences are left", len(left))
		}
		w.phone(carol).expect(11*time.Minute, "STILL...")
		if got := history(w.page()); !strings.HasSuffix(got, "acknowledged bob, silencing bob, silenced bob, undone bob, undone bob, escalated, paged carol") {
			t.Errorf("the history is %q", got)
		}
	})
}

func TestAlertmanagerIsAway(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.three()
		a.expect(time.Second, "CRITICAL...")
		w.am.set(func() { w.am.broken = true })
		a.say("s 90m")
		a.silent(40 * time.Second)
		w.am.set(func() { w.am.broken = false })
		a.expect(11*time.Second, "Silenced "+a.code+" for 1h30m: ...")
		// For longer it is told, and what was asked for is an acknowledgement.
		a.say("undo")
		a.expect(time.Second, "Undone...")
		w.am.set(func() { w.am.broken = true })
		a.say("s 90m")
		a.expect(2*time.Minute, "NOT silenced: Alertmanager does not answer. "+a.code+" stays yours: CRITICAL DiskFull")
		b.silent(time.Hour)
		if p := w.page(); p.State != "acknowledged" {
			t.Errorf("the page is %s", p.State)
		}
	})
}

// TestAnAnswerOfAlertmanagerIsLost: what was set is found, not set twice; also after
// a restart.
func TestAnAnswerOfAlertmanagerIsLost(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inWorld(t, escalating, func(w *world) {
			a := w.phone(alice)
			w.three()
			a.expect(time.Second, "CRITICAL...")
			w.am.set(func() { w.am.breakAt = 2 })
			a.say("s 2h")
			if restart {
				w.halt()
				w.start(escalating)
			}
			w.am.set(func() { w.am.broken, w.am.breakAt = false, 0 })
			a.expect(15*time.Second, "Silenced "+a.code+" for 2h...")
			if n := len(w.am.active()); n != 3 {
				t.Errorf("%d silences are set, want 3", n)
			}
		})
	}
}

func TestSilencesThatAreRefused(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 2d")
		a.expect(time.Second, "NOT silenced: at most 1d is allowed. OK "+a.code+" acknowledges.")
		if p := w.page(); p.State != "open" {
			t.Errorf("the page is %s", p.State)
		}
		w.am.set(func() { w.am.refusal = "bad matcher" })
		a.say("s 2h")
		a.expect(time.Second, "NOT silenced: Alertmanager refuses. "+a.code+" stays yours: CRITICAL DiskFull")
		a.say("undo")
		a.expect(time.Second, "Undone...")
		var many []alert
		for i := range 21 {
			many = append(many, alert{name: "TargetDown", severity: "critical", instance: fmt.Sprint("node-", i)})
		}
		w.notify("oncall", "targets", "first notification", many...)
		a.expect(time.Second, "CRITICAL TargetDown...Re CODE")
		a.say("s 2h")
		a.expect(time.Second, "NOT silenced: 21 alerts are too many for a text, use Alertmanager. OK "+a.code+" acknowledges.")
	})
	inWorld(t, strings.Replace(escalating, "alertmanager: {urls: [http://alertmanager]}", "", 1), func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 2h")
		a.expect(time.Second, "NOT silenced: silences are not set up here. OK "+a.code+" acknowledges.")
	})
}

func TestAfterTheSilenceItIsAPageAgain(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 1h")
		a.expect(time.Second, "Silenced...")
		after(2 * time.Hour)
		w.notify("oncall", "disk", "repeat interval elapsed", disk)
		a.expect(time.Second, "STILL CRITICAL...Re CODE")
		b.expect(6*time.Minute, "STILL CRITICAL...No answer from alice. Re CODE")
		if got := history(w.page()); !strings.Contains(got, "silenced alice, notified, reopened, paged alice, escalated, paged bob") {
			t.Errorf("the history is %q", got)
		}
	})
}
