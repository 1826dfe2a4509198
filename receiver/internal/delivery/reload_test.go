package delivery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestReloadedRules: a reload changes what is held, and what was sent before it counts once.
func TestReloadedRules(t *testing.T) {
	hourly := func(n int) map[string][]delivery.Limit {
		return map[string][]delivery.Limit{"oncall": {{Messages: n, Per: time.Hour}}}
	}
	type rules struct {
		limits map[string][]delivery.Limit
		budget int
	}
	for name, tc := range map[string]struct {
		before, after rules
		first, second int // how many messages before and after the reload
		want          int // how many are sent within a minute after it
	}{
		"other limits under a budget":             {rules{hourly(100), 10}, rules{hourly(101), 10}, 5, 4, 9},
		"other limits under a budget that ends":   {rules{hourly(100), 10}, rules{hourly(101), 10}, 5, 6, 10},
		"limits that did not exist":               {rules{nil, 0}, rules{hourly(5), 0}, 5, 5, 5},
		"a budget that did not exist":             {rules{nil, 0}, rules{nil, 5}, 5, 5, 5},
		"a budget that did not exist, and limits": {rules{hourly(8), 0}, rules{hourly(8), 100}, 5, 5, 8},
		"no limits any more":                      {rules{hourly(1), 0}, rules{nil, 0}, 2, 0, 2},
		"the limits of another receiver":          {rules{hourly(1), 0}, rules{map[string][]delivery.Limit{"other": {{Messages: 1, Per: time.Hour}}}, 0}, 2, 0, 2},
		"a greater budget":                        {rules{nil, 1}, rules{nil, 10}, 2, 0, 2},
		"the same limits":                         {rules{hourly(1), 0}, rules{hourly(1), 0}, 2, 1, 1},
	} {
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			use := func(r rules) {
				w.alter = func(s *delivery.Settings) { s.Limits, s.DailyBudget = r.limits, r.budget }
				w.d.Configure(w.settings())
				synctest.Wait()
			}
			put := func(kind string, n int) {
				for i := range n {
					m := w.message(alice, fmt.Sprint(kind, i), fmt.Sprint(kind, " ", i))
					m.Headline, m.Severity = "WARNING g", "warning"
					w.put(m)
					after(time.Second)
				}
			}
			time.Sleep(6 * time.Hour) // far from midnight
			use(tc.before)
			put("before", tc.first)
			use(tc.after)
			put("after", tc.second)
			after(time.Minute)
			if got := w.texts(); len(got) != tc.want {
				t.Errorf("%s: %d messages were sent, want %d: %q", name, len(got), tc.want, got)
			}
		})
	}
}

// TestReloadDuringARefusedRequest: a refusal of the old password that comes after a reload with the new one stops
// nothing.
func TestReloadDuringARefusedRequest(t *testing.T) {
	for _, command := range []string{textinghouse.CommandSend, textinghouse.CommandStatus} {
		inWorld(t, textinghousetest.Options{StatusDelay: time.Hour}, func(w *world) {
			first := w.message(alice, "g", "disk full")
			if command == textinghouse.CommandStatus { // it is asked about
				w.halt()
				w.stored(first)
			}
			w.sim.Update("acme", func(a *textinghousetest.Account) { a.Password = "new" })
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 2 * time.Second, Command: command, Times: 1})
			if command == textinghouse.CommandStatus {
				w.start()
			} else {
				w.put(first)
			}
			after(time.Second)
			w.alter = func(s *delivery.Settings) {
				client, err := textinghouse.NewClient(textinghouse.Options{
					User: "acme", Password: "new", Endpoints: []string{"http://127.0.0.1/"}, Transport: w.sim.Transport(), Observe: w.d.Observe,
				})
				if err != nil {
					t.Fatal(err)
				}
				s.Gateway = client
			}
			w.d.Configure(w.settings())
			after(3 * time.Second)
			second := w.message(alice, "h", "another")
			w.put(second)
			after(time.Second)
			w.expect(first.ID, outbox.Accepted, 1)
			w.expect(second.ID, outbox.Accepted, 1)
		})
	}
}
