package oncall_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// inMortalWorld is inWorld with a store that can no longer be written after fails. revive kills the
// process, and starts another some time later.
func inMortalWorld(t *testing.T, cfg string, test func(w *world, fails func(), revive func(later time.Duration))) {
	t.Helper()
	inWorld(t, cfg, func(w *world) {
		w.halt()
		d := &death{dead: make(chan struct{}), buried: make(chan struct{})}
		var first flaky
		network, bury := w.startMortal(cfg, d, func(s outbox.Store) outbox.Store {
			first.Store = s
			return &first
		})
		test(w, func() { first.readOnly.Store(true) }, func(later time.Duration) {
			close(d.dead)
			if err := first.Close(); err != nil {
				t.Error(err)
			}
			after(later)
			w.wraps, w.routes = nil, network
			w.start(cfg)
		})
		w.halt()
		close(d.buried)
		bury()
	})
}

// sentOnce fails the test unless one text begins with each of wants and no text was sent twice.
func (w *world) sentOnce(wants ...string) {
	w.t.Helper()
	texts := make(map[string]int)
	for _, m := range w.sim.Messages() {
		texts["+"+m.To+" "+m.Text]++
	}
	for text, n := range texts {
		if n > 1 {
			w.t.Errorf("%d texts are %q, want 1", n, text)
		}
	}
	for _, want := range wants {
		n := 0
		for text := range texts {
			if strings.HasPrefix(text, want) {
				n++
			}
		}
		if n != 1 {
			w.t.Errorf("%d texts begin with %q: %v", n, want, texts)
		}
	}
}

// TestUnstoredStepIsSentOnce: a process takes steps that it cannot store, and is killed. The next process
// takes them again, but the phones get each text once.
func TestUnstoredStepIsSentOnce(t *testing.T) {
	for name, test := range map[string]struct {
		life, death time.Duration // since the page opened; until the next process
		ids         int           // how many messages the first process sends
	}{
		"one step":                         {6 * time.Minute, time.Second, 2},
		"one step, a long downtime":        {6 * time.Minute, 30 * time.Minute, 2},
		"two steps":                        {16 * time.Minute, time.Second, 3},
		"two steps, after a while":         {16 * time.Minute, 5 * time.Minute, 3},
		"two steps, after a long downtime": {16 * time.Minute, 40 * time.Minute, 3},
		"killed just after the step":       {5*time.Minute + 20*time.Millisecond, time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inMortalWorld(t, escalating, func(w *world, fails func(), revive func(time.Duration)) {
				w.fire()
				after(time.Minute)
				fails()
				after(test.life - time.Minute)
				if n := len(w.sim.Messages()); n != test.ids {
					t.Fatalf("%d messages were sent, want %d", n, test.ids)
				}
				revive(test.death)
				after(time.Hour)
				w.sentOnce(alice+" CRITICAL", bob+" CRITICAL", carol+" CRITICAL")
				if p := w.page(); len(p.Messages) != 3 {
					t.Errorf("the page has %d messages: %s", len(p.Messages), history(p))
				}
			})
		})
	}
}

// TestUnsentUnstoredStepIsSent: the next process sends a step that was neither stored nor sent.
func TestUnsentUnstoredStepIsSent(t *testing.T) {
	inMortalWorld(t, escalating, func(w *world, fails func(), revive func(time.Duration)) {
		w.fire()
		after(time.Minute)
		fails()
		w.sim.AddFault(hangs)
		after(5 * time.Minute)
		w.sim.ClearFaults()
		revive(time.Second)
		after(5 * time.Minute)
		w.sentOnce(alice+" CRITICAL", bob+" CRITICAL")
		w.notify("oncall", "disk", "new alerts added", disk, other)
		after(time.Minute)
		if n := len(w.sim.Messages()); n != 4 { // two about the new alert
			t.Errorf("%d messages were sent", n)
		}
	})
}

// TestUnstoredRepeatIsSentOnce is TestUnstoredStepIsSentOnce for a repeat.
func TestUnstoredRepeatIsSentOnce(t *testing.T) {
	cfg := team + "receivers: [{name: oncall, to: [alice], limits: [], acknowledge: true, repeat: 10m}]\n"
	inMortalWorld(t, cfg, func(w *world, fails func(), revive func(time.Duration)) {
		w.fire()
		after(time.Minute)
		fails()
		after(10 * time.Minute)
		revive(time.Second)
		after(5 * time.Minute)
		if n := len(w.sim.Messages()); n != 2 {
			t.Errorf("%d messages were sent, want the page and a repeat", n)
		}
		after(10 * time.Minute)
		if n := len(w.sim.Messages()); n != 3 {
			t.Errorf("%d messages were sent, want another repeat", n)
		}
	})
}

// TestUnstoredEndIsSentOnce is TestUnstoredStepIsSentOnce for a page whose alerts Alertmanager no longer
// lists.
func TestUnstoredEndIsSentOnce(t *testing.T) {
	inMortalWorld(t, escalating, func(w *world, fails func(), revive func(time.Duration)) {
		w.fire()
		after(10 * time.Second)
		fails()
		w.am.notified(map[string]string{"alertname": disk.name, "severity": disk.severity, "instance": disk.instance}, false)
		after(2 * time.Minute)
		w.sentOnce(alice + " RESOLVED")
		revive(time.Second)
		after(time.Hour)
		w.sentOnce(alice+" CRITICAL", alice+" RESOLVED")
	})
}

// TestUnstoredReplyIsConfirmedOnce: a reply is confirmed once even if its callback comes again after the process
// that confirmed it was killed.
func TestUnstoredReplyIsConfirmedOnce(t *testing.T) {
	for _, test := range []struct{ text, confirmation string }{{"ok", "OK, "}, {"%s 2h", "Silenced "}, {"who", "oncall: "}} {
		t.Run(test.text, func(t *testing.T) {
			inMortalWorld(t, escalating, func(w *world, fails func(), revive func(time.Duration)) {
				a := w.phone(alice)
				w.fire()
				a.expect(time.Second, "CRITICAL...Re CODE")
				w.phone(bob).expect(6*time.Minute, "CRITICAL...")
				after(time.Minute)
				fails()
				text := strings.ReplaceAll(test.text, "%s", a.code)
				body := fmt.Sprintf(`{"climsgid":"x","from":%q,"txt":%q,"date":%q}`, alice, text, time.Now().UTC().Format("2006-01-02 15:04:05"))
				for i := range 2 {
					if i > 0 {
						revive(time.Second)
					}
					if code, response := w.do("POST", "/textinghouse/"+token+"/mo", body); code != 200 {
						t.Errorf("the response is %d %s", code, response)
					}
					after(30 * time.Second)
				}
				w.sentOnce(alice + " " + test.confirmation)
				if n := len(w.am.active()); n > 1 {
					t.Errorf("%d silences are set", n)
				}
			})
		})
	}
}

// hangs is a provider that accepts nothing.
var hangs = textinghousetest.Fault{Kind: textinghousetest.DropBefore, Command: "sendsms"}
