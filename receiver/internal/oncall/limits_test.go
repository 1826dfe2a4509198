package oncall_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestUnlimitedPageStaysOutOfTheDigest: a page of a receiver without limits is sent in full, not in the
// digest of texts that another receiver's limits hold.
func TestUnlimitedPageStaysOutOfTheDigest(t *testing.T) {
	cfg := team + `
receivers:
  - {name: oncall, to: [alice], limits: [], acknowledge: true}
  - {name: chatty, to: [alice], limits: [{messages: 1, per: 1h}]}
`

	inWorld(t, cfg, func(w *world) {
		a := w.phone(alice)
		for i := range 3 {
			w.notify("chatty", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Note", i), severity: "info", instance: "x"})
		}
		a.expect(time.Second, "INFO Note0...")
		after(time.Minute)
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
	})
}

// TestBudgetAndMaxAge: once the budget is spent, texts that may wait are sent in a digest, even if
// max_age is below an hour.
func TestBudgetAndMaxAge(t *testing.T) {
	cfg := team + `
credit: {daily_budget: 2}
receivers:
  - {name: oncall, to: [alice], limits: [], max_age: 15m}
`

	inWorld(t, cfg, func(w *world) {
		a := w.phone(alice)
		for range 2 {
			w.notify("oncall", time.Now().String(), "first notification", alert{name: "First", severity: "warning", instance: fmt.Sprint(time.Now().Unix())})
			after(20 * time.Second)
		}
		for i := range 12 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Note", i), severity: "warning", instance: "x"})
			after(time.Minute)
		}
		after(2 * time.Hour)
		late := 0
		for _, m := range w.sim.Messages() {
			if strings.HasPrefix(m.Text, "NOT SENT") {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d texts say NOT SENT, want one digest; %d texts in all", late, len(w.sim.Messages()))
		}
		_ = a
	})
}

// TestCriticalTextsDoNotStarveTheDigest: critical texts do not starve the digest of the others.
func TestCriticalTextsDoNotStarveTheDigest(t *testing.T) {
	cfg := team + `
credit: {daily_budget: 1}
receivers:
  - {name: oncall, to: [alice], limits: []}
`

	inWorld(t, cfg, func(w *world) {
		after(time.Minute)
		w.notify("oncall", "first", "first notification", disk)
		after(20 * time.Second)
		w.notify("oncall", "w", "first notification", alert{name: "CertExpires", severity: "warning", instance: "x"})
		for i := range 6 {
			after(30 * time.Minute)
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Bad", i), severity: "critical", instance: "x"})
		}
		for _, m := range w.sim.Messages() {
			if strings.Contains(m.Text, "CertExpires") {
				if strings.HasPrefix(m.Text, "NOT SENT") {
					t.Errorf("a text that is not critical was never sent: %q", m.Text)
				}
				return
			}
		}
		t.Error("no text names CertExpires")
	})
}

// TestLimitAboveHundred: a limit of more than a hundred messages holds.
func TestLimitAboveHundred(t *testing.T) {
	inWorld(t, team+"receivers: [{name: oncall, to: [alice], limits: [{messages: 120, per: 1d}]}]\n", func(w *world) {
		for i := range 300 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Note", i), severity: "warning", instance: "x"})
			after(time.Second)
		}
		if n := len(w.sim.Messages()); n > 130 {
			t.Errorf("%d texts came within 5 minutes, 120 a day are allowed", n)
		}
	})
}

// TestLimitAcrossARestart: a restart does not reset limits.
func TestLimitAcrossARestart(t *testing.T) {
	cfg := team + "receivers: [{name: oncall, to: [alice], limits: [{messages: 2, per: 1d}]}]\n"
	inWorld(t, cfg, func(w *world) {
		send := func(from int) {
			for i := range 2 {
				w.notify("oncall", fmt.Sprint(from+i), "first notification", alert{name: fmt.Sprint("Note", from+i), severity: "warning", instance: "x"})
				after(time.Second)
			}
		}
		send(0)
		after(7 * time.Hour)
		w.halt()
		w.start(cfg)
		send(2)
		if n := len(w.sim.Messages()); n != 2 {
			t.Errorf("%d texts were sent, want 2", n)
		}
	})
}

// TestLateTextsOfTwoReceiversInOneDigest: one digest reports the texts that several receivers could not send in time.
func TestLateTextsOfTwoReceiversInOneDigest(t *testing.T) {
	inWorld(t, team+"receivers: [{name: one, to: [alice]}, {name: two, to: [alice]}]\n", func(w *world) {
		provider := w.routes.get("provider")
		w.routes.set("provider", refusing{})
		w.notify("one", "1", "first notification", load)
		w.notify("two", "2", "first notification", disk)
		after(90 * time.Minute)
		w.routes.set("provider", provider)
		after(10 * time.Minute)
		var late []string
		for _, m := range w.sim.Messages() {
			late = append(late, m.Text)
		}
		if len(late) != 1 {
			t.Errorf("alice gets %q", late)
		}
	})
}

// TestHeldTextsOfAcknowledgedPages: held texts are not sent if their page is acknowledged or their recipient
// has stopped texts.
func TestHeldTextsOfAcknowledgedPages(t *testing.T) {
	inWorld(t, strings.Replace(escalating, "limits: []", "limits: [{messages: 1, per: 2m}]\n    urgent: []", 1), func(w *world) {
		a, b := w.phone(alice), w.phone(bob)
		for i := range 4 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: fmt.Sprint("Service", i), severity: "critical", instance: "x"})
		}
		a.expect(time.Second, "CRITICAL Service0...Re CODE") // the others are held
		a.expect(3*time.Minute, "3 more in 3 groups: ...")
		b.expect(4*time.Minute, "CRITICAL Service...") // so are bob's
		after(time.Second)
		a.say("ok all")
		a.expect(time.Second, "OK, 4 pages are yours:\n...")
		b.expect(time.Second, "alice has:\n...")
		b.silent(time.Hour)
		w.notify("oncall", "5", "first notification", alert{name: "Service5", severity: "critical", instance: "x"})
		w.notify("oncall", "6", "first notification", alert{name: "Service6", severity: "critical", instance: "x"})
		a.expect(time.Second, "CRITICAL Service5...")
		a.say("stop")
		a.expect(time.Second, "You get no more...")
		a.silent(10 * time.Minute)
	})
}

// TestUnlimitedReceiverStarvesNoOther: a receiver without limits does not hold another's texts for ever.
func TestUnlimitedReceiverStarvesNoOther(t *testing.T) {
	cfg := team + `
receivers:
  - {name: oncall, to: [alice], limits: [{messages: 5, per: 5m}]}
  - {name: chatty, to: [alice], limits: []}
`
	inWorld(t, cfg, func(w *world) {
		for i := range 3 * 60 * 2 {
			w.notify("chatty", fmt.Sprint("c", i), "first notification", alert{name: fmt.Sprint("Note", i), severity: "info", instance: "x"})
			if i == 20 {
				w.notify("oncall", "disk", "first notification", disk)
			}
			after(30 * time.Second)
		}
		n := 0
		for _, m := range w.sim.Messages() {
			if strings.Contains(m.Text, "DiskFull") {
				n++
			}
		}
		_, text := w.do("GET", "/api/v1/messages?receiver=oncall", "")
		if n == 0 {
			t.Errorf("after %s: %s", 3*time.Hour, text)
		}
	})
}
