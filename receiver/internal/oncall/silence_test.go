package oncall_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
)

// three posts that three alerts of one group fire.
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
		b.expect(6*time.Minute, "CRITICAL...")
		b.say("%s 2h", b.code)
		b.expect(time.Second, "Silenced "+b.code+" for 2h: CRITICAL DiskFull. UNDO "+b.code+" ends it.")
		a.expect(time.Second, "bob has "+b.code+", and silences it for 2h: CRITICAL DiskFull")
		active := w.am.active()
		if len(active) != 3 {
			t.Fatalf("%d silences are set, want 3", len(active))
		}
		for i, s := range active {
			want := []alertmanager.Matcher{
				{Name: "alertname", Value: "DiskFull", IsEqual: true}, {Name: "instance", Value: fmt.Sprint("db-", i+1), IsEqual: true}, {Name: "severity", Value: "critical", IsEqual: true},
			}
			slices.SortFunc(s.Matchers, func(a, b alertmanager.Matcher) int { return strings.Compare(a.Name, b.Name) })
			if !slices.Equal(s.Matchers, want) || s.CreatedBy != "bob" || !strings.Contains(s.Comment, w.page().ID) || s.EndsAt.Sub(s.StartsAt).Round(time.Minute) != 2*time.Hour {
				t.Errorf("silence %d is %+v", i, s)
			}
		}
		if n := w.metric("smspager_page_acknowledged_seconds"); n != 1 {
			t.Errorf("%v acknowledgements are measured", n)
		}
		w.phone(carol).silent(90 * time.Minute)
		// UNDO ends them, and the escalation continues.
		b.say("undo")
		a.expect(time.Second, "bob undid the acknowledgement of "+b.code+". It is open again: CRITICAL DiskFull. Re CODE")
		b.expect(time.Second, "Undone: "+b.code+" is open and not silenced. CRITICAL DiskFull")
		if left := w.am.active(); len(left) != 0 {
			t.Errorf("%d silences are left", len(left))
		}
		w.phone(carol).expect(11*time.Minute, "CRITICAL...")
		if got := history(w.page()); !strings.HasSuffix(got, "acknowledged bob, silencing bob, silenced bob, undone bob, escalated, paged carol") {
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
		// If Alertmanager is away for longer, a text reports it, and the page is only acknowledged.
		a.say("undo")
		a.expect(time.Second, "Undone...")
		w.am.set(func() { w.am.broken = true })
		a.say("s 90m")
		a.expect(2*time.Minute, "NOT silenced: Alertmanager does not respond. "+a.code+" stays yours: CRITICAL DiskFull")
		b.silent(time.Hour)
		if p := w.page(); p.State != "acknowledged" {
			t.Errorf("the page is %s", p.State)
		}
	})
}

// TestAlertmanagersResponseIsLost: a silence is not set twice if the response is lost, even after a
// restart.
func TestAlertmanagersResponseIsLost(t *testing.T) {
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

func TestRefusedSilences(t *testing.T) {
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
		a.expect(time.Second, "NOT silenced: Alertmanager refuses. "+a.code+" stays yours: CRITICAL DiskFull db-1")
		a.say("undo")
		a.expect(time.Second, "Undone...")
		var many []alert
		for i := range 21 {
			many = append(many, alert{name: "TargetDown", severity: "critical", instance: fmt.Sprint("node-", i)})
		}
		w.notify("oncall", "targets", "first notification", many...)
		a.expect(time.Second, "CRITICAL TargetDown...Re CODE")
		a.say("s 2h")
		a.expect(time.Second, "NOT silenced: there are more alerts than a text can silence, use Alertmanager. OK "+a.code+" acknowledges.")
	})
	inWorld(t, strings.Replace(escalating, "alertmanager: {urls: [http://alertmanager]}", "", 1), func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 2h")
		a.expect(time.Second, "NOT silenced: silences are not set up here. OK "+a.code+" acknowledges.")
	})
}

// TestAfterTheSilence: after a silence the page is reopened if its alerts fire, without waiting for a
// notification; otherwise it is over.
func TestAfterTheSilence(t *testing.T) {
	for _, fires := range []bool{true, false} {
		inWorld(t, escalating, func(w *world) {
			a, b := w.phone(alice), w.phone(bob)
			w.fire()
			a.expect(time.Second, "CRITICAL...")
			b.expect(6*time.Minute, "CRITICAL...")
			a.say("s 1h")
			a.expect(time.Second, "Silenced...")
			b.expect(time.Second, "alice has...")
			w.am.set(func() { w.am.gone = !fires })
			a.silent(59 * time.Minute)
			if !fires {
				a.expect(2*time.Minute, "RESOLVED while "+a.code+" was silenced: CRITICAL DiskFull db-1")
				b.expect(time.Second, "RESOLVED while...")
				b.silent(40 * time.Hour)
				return
			}
			a.expect(2*time.Minute, "STILL CRITICAL...\nThe silence has ended. Re CODE")
			b.expect(time.Second, "STILL CRITICAL...\nThe silence has ended. Re CODE")
			b.expect(6*time.Minute, "STILL CRITICAL...No answer from alice, bob. Re CODE")
			if got := history(w.page()); !strings.Contains(got, "silenced alice, fires, reopened, paged alice, paged bob, escalated, paged bob") {
				t.Errorf("the history is %q", got)
			}
		})
	}
}

// TestAlertmanagerIsAwayWhenTheSilenceEnds: the page is reopened if it is unknown whether its alerts fire.
func TestAlertmanagerIsAwayWhenTheSilenceEnds(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 1h")
		a.expect(time.Second, "Silenced...")
		w.am.set(func() { w.am.broken = true })
		a.silent(time.Hour)
		a.expect(2*time.Minute, "STILL CRITICAL...The silence has ended. Re CODE")
	})
}

// TestLongSilences: a page does not expire while it is silenced.
func TestLongSilences(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "http://alertmanager]", "http://alertmanager], max_silence: 7d", 1), func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 4 days")
		a.expect(time.Second, "Silenced...")
		a.silent(95 * time.Hour)
		a.expect(2*time.Hour, "STILL CRITICAL...The silence has ended. Re CODE")
	})
}

func TestSecondSilenceReplacesTheFirst(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 1h")
		a.expect(time.Second, "Silenced...")
		a.say("s 4h")
		a.expect(time.Second, "Silenced "+a.code+" for 4h...")
		after(time.Second)
		if active := w.am.active(); len(active) != 1 || active[0].EndsAt.Sub(active[0].StartsAt).Round(time.Minute) != 4*time.Hour {
			t.Errorf("%+v are active", active)
		}
		a.silent(2 * time.Hour)
		a.say("undo")
		a.expect(time.Second, "Undone...")
		if left := w.am.active(); len(left) != 0 {
			t.Errorf("%d silences are left", len(left))
		}
	})
}

// TestUndoEndsTheSilenceOfAReopenedPage: UNDO ends the silence of a page that is open again
// because of a new alert, or that is over.
func TestUndoEndsTheSilenceOfAReopenedPage(t *testing.T) {
	for _, over := range []bool{false, true} {
		inWorld(t, escalating, func(w *world) {
			a := w.phone(alice)
			w.fire()
			a.expect(time.Second, "CRITICAL...")
			a.say("s 4h")
			a.expect(time.Second, "Silenced...")
			w.notify("oncall", "disk", "new alerts added", alert{name: "LoadHigh", severity: "critical", instance: "db-2"})
			a.expect(time.Second, "CRITICAL LoadHigh...Re CODE")
			want := "open"
			if over {
				w.resolve()
				a.expect(time.Second, "RESOLVED DiskFull...LoadHigh db-2 still fires. Re CODE")
				w.notify("oncall", "disk", "all alerts resolved", alert{name: "LoadHigh", severity: "critical", instance: "db-2", resolved: true})
				a.expect(time.Second, "RESOLVED LoadHigh...")
				want = "resolved"
			}
			a.say("undo %s", a.code)
			a.expect(time.Second, "Undone: "+a.code+" is "+want+" and not silenced. CRITICAL LoadHigh db-2")
			if left := w.am.active(); len(left) != 0 {
				t.Errorf("%d silences are left", len(left))
			}
		})
	}
}

// TestHangingAlertmanagerDelaysNoPage: an Alertmanager that hangs delays no page.
func TestHangingAlertmanagerDelaysNoPage(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "http://alertmanager]", "http://alertmanager, http://other]", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		w.routes.set("alertmanager", hanging{})
		w.routes.set("other", hanging{})
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		after(4*time.Minute + 40*time.Second)
		for i := range 5 {
			w.notify("oncall", fmt.Sprint("g", i), "first notification", alert{name: fmt.Sprint("A", i), severity: "critical", instance: "x"})
			a.expect(time.Second, "CRITICAL...Re CODE")
			a.say("%s 2h", a.code)
			time.Sleep(time.Second)
			b.silent(time.Second)
		}
		b.expect(12*time.Second, "CRITICAL...")
	})
}

// hanging never responds.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestSilenceCoversAlertsOfItsRequest: the alerts that fired when the silence was asked for are silenced, each
// once, whatever fires when the silence is set.
func TestSilenceCoversAlertsOfItsRequest(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.three()
		a.expect(time.Second, "CRITICAL...")
		w.am.set(func() { w.am.breakAt = 1 })
		a.say("s 2h")
		after(time.Second)
		w.notify("oncall", "disk", "some alerts resolved", alert{name: "DiskFull", severity: "critical", instance: "db-2"}, alert{name: "DiskFull", severity: "critical", instance: "db-3"})
		a.expect(time.Second, "CRITICAL...")
		w.am.set(func() { w.am.broken, w.am.breakAt = false, 0 })
		a.expect(15*time.Second, "Silenced...")
		of := make(map[string]int)
		for _, s := range w.am.active() {
			for _, m := range s.Matchers {
				if m.Name == "instance" {
					of[m.Value]++
				}
			}
		}
		if want := map[string]int{"db-1": 1, "db-2": 1, "db-3": 1}; !maps.Equal(of, want) {
			t.Errorf("the silences are for %v, want %v", of, want)
		}
	})
}

// TestLateSilenceOfAnEndedPage: a silence that cannot be set immediately is not set after the page is
// over. After a text with NOT silenced, no alert stays silenced.
func TestLateSilenceOfAnEndedPage(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		w.am.set(func() { w.am.broken = true })
		a.say("s 4h")
		after(3 * time.Second)
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		w.am.set(func() { w.am.broken = false })
		a.expect(time.Minute, "NOT silenced: "+a.code+" is resolved already...")
		after(time.Minute)
		if left := w.am.active(); len(left) != 0 {
			t.Errorf("%d silences are left", len(left))
		}
	})
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.three()
		a.expect(time.Second, "CRITICAL...")
		w.am.set(func() { w.am.breakAt = 2 })
		a.say("s 4h")
		a.expect(3*time.Minute, "NOT silenced: Alertmanager does not respond...")
		after(10 * time.Minute)
		w.am.set(func() { w.am.broken, w.am.breakAt = false, 0 })
		after(2 * time.Minute)
		if left := w.am.active(); len(left) != 0 {
			t.Errorf("the text says NOT silenced, but %d silences are active", len(left))
		}
	})
}

// TestUndoWhileAlertmanagerIsAway: attempts to end a silence continue, even after the page is over.
func TestUndoWhileAlertmanagerIsAway(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		a.say("s 4h")
		a.expect(time.Second, "Silenced...")
		w.am.set(func() { w.am.broken = true })
		a.say("undo")
		a.expect(2*time.Minute, a.code+" is open, but its silence could NOT be ended yet; end it in Alertmanager; smspager keeps trying. CRITICAL DiskFull db-1")
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		after(10 * time.Minute)
		w.am.set(func() { w.am.broken = false })
		a.expect(2*time.Minute, "The silence of "+a.code+" has ended now: CRITICAL DiskFull db-1")
		if left := w.am.active(); len(left) != 0 {
			t.Errorf("%d silences are left", len(left))
		}
	})
}
