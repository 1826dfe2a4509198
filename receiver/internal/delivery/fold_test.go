package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

type noFold struct {
	outbox.Store
	broken atomic.Bool
	calls  atomic.Int64
}

func (f *noFold) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	f.calls.Add(1)
	if f.broken.Load() {
		time.Sleep(time.Millisecond)
		return outbox.Added{}, errBroken
	}
	return f.Store.Add(ctx, e)
}

// TestDigestThatCannotBeStored: a digest that cannot be stored is sent, and stored later. The store is not tried
// in a tight loop.
func TestDigestThatCannotBeStored(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		store := &noFold{}
		w.wraps = func(s outbox.Store) outbox.Store { store.Store = s; return store }
		w.alter = func(s *delivery.Settings) {
			s.Limits = map[string][]delivery.Limit{"oncall": {{Messages: 1, Per: 10 * time.Minute}}}
		}
		w.halt()
		w.start()
		for i := range 3 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			m.ExpiresAt = time.Now().Add(2 * time.Minute)
			w.put(m)
		}
		after(time.Minute)
		store.broken.Store(true)
		before := store.calls.Load()
		after(time.Minute + 10*time.Second)
		if n := store.calls.Load() - before; n < 60 || n > 90 {
			t.Errorf("%d tries in 70 s", n)
		}
		if got := w.texts(); len(got) != 2 || !strings.HasPrefix(got[1], "2 more in 2 groups") {
			t.Errorf("sent %q", got)
		}
		store.broken.Store(false)
		after(time.Minute)
		if ms, err := w.store.List(context.Background(), outbox.Query{State: outbox.Superseded, Limit: 10}); err != nil || len(ms) != 2 || len(w.texts()) != 2 {
			t.Errorf("the messages in the digest are stored as %+v, %v; sent %q", ms, err, w.texts())
		}
	})
}

// TestDigestAfterAFailedMorning: if the store fails when quiet hours end, one digest still replaces all
// messages that were held.
func TestDigestAfterAFailedMorning(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		store := &noFold{}
		w.wraps = func(s outbox.Store) outbox.Store { store.Store = s; return store }
		w.halt()
		w.start()
		morning := time.Now().Add(8 * time.Hour)
		for i := range 9 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			m.NotBefore, m.ExpiresAt = morning, morning.Add(time.Hour)
			w.put(m)
		}
		after(7 * time.Hour)
		store.broken.Store(true)
		after(time.Hour + 500*time.Millisecond)
		store.broken.Store(false)
		after(10 * time.Minute)
		if got := w.texts(); len(got) != 1 || !strings.Contains(got[0], "9 more in 9 groups") {
			t.Errorf("sent %q", got)
		}
	})
}

// TestHeldOverARestart: messages that limits hold do not expire because of a restart.
func TestHeldOverARestart(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) {
			s.Limits = map[string][]delivery.Limit{"oncall": {{Messages: 1, Per: 3 * time.Hour}}}
		}
		w.d.Configure(w.settings())
		for i := range 3 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
		}
		after(90 * time.Minute)
		w.halt()
		w.start()
		after(4 * time.Hour)
		for _, text := range w.texts() {
			if strings.Contains(text, "NOT SENT") {
				t.Errorf("sent %q", text)
			}
		}
	})
}

// TestReloadedLimits: after a reload with stricter limits, everybody has a full new allowance.
func TestReloadedLimits(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		use := func(n int) {
			w.alter = func(s *delivery.Settings) {
				s.Limits = map[string][]delivery.Limit{"oncall": {{Messages: n, Per: time.Hour}}}
			}
			w.d.Configure(w.settings())
			after(time.Second)
		}
		use(5)
		for i := range 5 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
		}
		after(time.Second)
		use(4)
		for i := range 5 {
			w.put(w.message(alice, fmt.Sprint("h", i), fmt.Sprint("more ", i)))
		}
		after(time.Second)
		if got := w.texts(); len(got) != 5 {
			t.Errorf("sent %q", got)
		}
	})
}

// TestSpentBudgetWithLimits: if the budget is spent and there are limits, a message to a new recipient is still
// sent in the end.
func TestSpentBudgetWithLimits(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.Limits = usual; s.DailyBudget = 1 }
		w.d.Configure(w.settings())
		m := w.message(alice, "g", "first")
		m.Headline, m.Severity = "WARNING a", "warning"
		w.put(m)
		after(time.Second)
		m = w.message(e164.Number("+33612345679"), "g", "second")
		m.Headline, m.Severity = "WARNING b", "warning"
		w.put(m)
		after(2 * time.Hour)
		if got := w.texts(); len(got) != 2 {
			t.Errorf("sent %q", got)
		}
	})
}

// TestHeldMessageExpiresDuringRefusal: a held message that becomes too old while the account is refused goes into a digest
// once the account works.
func TestHeldMessageExpiresDuringRefusal(t *testing.T) {
	inWorld(t, textinghousetest.Options{Accounts: []textinghousetest.Account{{User: "acme", Password: "correct horse", Credit: 5}}}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		for i := range 6 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
		}
		after(2 * time.Hour)
		w.sim.Update("acme", func(a *textinghousetest.Account) { a.Credit = 100 })
		after(2 * time.Minute)
		if got := w.texts(); len(got) != 6 || !strings.HasPrefix(got[5], "1 more in 1 group: ") {
			t.Errorf("sent %q", got)
		}
	})
}

// TestLoadedMessagesExpireDuringRefusal: messages of an earlier run that become too old while the account is refused
// were not held: no digest replaces them. They expire once the provider can be asked, and one notice lists them.
func TestLoadedMessagesExpireDuringRefusal(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		var ms []outbox.Message
		for i := range 10 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			m.Headline = fmt.Sprint("WARNING g", i)
			ms = append(ms, m)
		}
		w.stored(ms...)
		w.sim.Update("acme", func(a *textinghousetest.Account) { a.Password = "new" })
		w.start()
		after(3 * time.Hour)
		w.sim.Update("acme", func(a *textinghousetest.Account) { a.Password = "correct horse" })
		after(20 * time.Minute)
		for _, m := range ms {
			w.expect(m.ID, outbox.Expired, 0)
		}
		if got := w.texts(); len(got) == 0 || slices.ContainsFunc(got, func(text string) bool { return !strings.HasPrefix(text, "NOT SENT in time: ") }) {
			t.Errorf("sent %q", got)
		}
	})
}

// TestDigestInDoubt: later digests pass a digest in doubt once its request must have ended. It is not superseded, but
// sent again after two minutes.
func TestDigestInDoubt(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		g := &scripted{observe: w.d.Observe, sends: make(map[string][]time.Time), asks: make(map[string][]time.Time)}
		w.alter = func(s *delivery.Settings) { limited(s); g.Gateway, s.Gateway = s.Gateway, g }
		w.d.Configure(w.settings())
		g.status = func(string) (textinghouse.Status, error) {
			return 0, &textinghouse.Error{Command: textinghouse.CommandStatus, Code: textinghouse.CodeProcessing}
		}
		var mu sync.Mutex
		var digests []string
		var first time.Time
		g.send = func(m textinghouse.SMS) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(m.Text, " more in ") {
				return "5d72", nil
			}
			if digests = append(digests, m.ClientID); len(digests) == 1 {
				first = time.Now()
				return "", &textinghouse.UnreadableResponseError{Command: textinghouse.CommandSend}
			}
			if len(digests) == 2 && time.Since(first) > 25*time.Second {
				t.Errorf("the second digest is sent %v after the first", time.Since(first))
			}
			return "5d72", nil
		}
		for i := range 40 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			m.Headline, m.Severity, m.Urgent = "CRITICAL g", "critical", true
			w.put(m)
			after(time.Second)
		}
		after(5 * time.Minute)
		if n := len(digests); n < 3 || !slices.Contains(digests[1:], digests[0]) || digests[1] == digests[0] {
			t.Errorf("the digests %q were sent", digests)
		}
	})
}
