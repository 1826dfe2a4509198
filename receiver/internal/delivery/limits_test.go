package delivery_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
	"github.com/smspager/smspager/templating/gsm7"
)

// usual are the limits that a configuration has by default.
var usual = map[string][]delivery.Limit{"oncall": {{Messages: 5, Per: 5 * time.Minute}, {Messages: 5, Per: 15 * time.Minute}, {Messages: 11, Per: time.Hour}}}

func limited(s *delivery.Settings) { s.Limits = usual }

func TestStorm(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		const alerts, groups = 5000, 50
		var ids []string
		for i := range alerts {
			m := w.message(alice, fmt.Sprint("g", i%groups), fmt.Sprint("alert ", i))
			m.Headline = fmt.Sprintf("WARNING Group%d", i%groups)
			if i%groups == 7 {
				m.Headline = "CRITICAL Group7"
			}
			w.put(m)
			ids = append(ids, m.ID)
			if i == 0 {
				synctest.Wait()
				w.expect(m.ID, outbox.Accepted, 1)
			}
			time.Sleep(time.Minute / alerts)
		}
		after(time.Hour)
		texts := w.texts()
		if len(texts) > 15 || texts[0] != "alert 0" {
			t.Errorf("%d messages were sent: %q", len(texts), texts)
		}
		i := slices.IndexFunc(texts, func(text string) bool { return strings.Contains(text, " more in ") })
		if i < 0 || !strings.Contains(texts[i], " groups: CRITICAL Group7, WARNING Group0, ") || !strings.Contains(texts[i], ", +") || gsm7.Measure(texts[i]).Segments > 2 {
			t.Errorf("no digest in %q", texts)
		}
		// Every alert is accounted for: it was sent, or names the message that was sent instead.
		notified := 0
		for _, id := range ids {
			m := w.get(id)
			switch last := m.Events[len(m.Events)-1]; m.State {
			case outbox.Accepted, outbox.Delivered:
				notified++
			case outbox.Superseded:
				if !strings.Contains(last.Detail, "01") && !strings.Contains(last.Detail, "00") {
					t.Fatalf("%+v names no successor", last)
				}
				notified++
			default:
				t.Fatalf("message %s is %s", id, m.State)
			}
		}
		if notified != alerts {
			t.Errorf("%d of %d are accounted for", notified, alerts)
		}
	})
}

func TestUrgentAndTestMessagesPass(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		for i := range 20 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("urgent ", i))
			m.Urgent = true
			w.put(m, w.message("999", fmt.Sprint("g", i), fmt.Sprint("test ", i)))
		}
		synctest.Wait()
		if got := len(w.texts()); got != 40 {
			t.Errorf("%d of 40 were sent", got)
		}
	})
}

func TestSingleHeldMessageIsSentAsItIs(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		for i := range 6 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
		}
		synctest.Wait()
		if got := len(w.texts()); got != 5 {
			t.Errorf("%d messages were sent immediately", got)
		}
		after(3 * time.Minute)
		if got := w.texts(); len(got) != 6 || got[5] != "alert 5" {
			t.Errorf("sent %q", got)
		}
	})
}

// TestQuietHours: messages that may wait go into one digest when quiet hours end; others are sent
// immediately. A digest because of limits, which comes earlier, includes none of those in quiet hours.
func TestQuietHours(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		morning := time.Now().Add(8 * time.Hour)
		quiet := func(group, text string) outbox.Message {
			m := w.message(alice, group, text)
			m.Headline, m.Severity, m.NotBefore, m.ExpiresAt = "WARNING "+group, "warning", morning, morning.Add(time.Hour)
			return m
		}
		w.put(quiet("Disk", "disk"), quiet("Load", "load"), quiet("Certificate", "certificate"))
		for i := range 7 { // two more than the limits allow
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("critical ", i))
			m.Headline, m.Severity, m.ExpiresAt = "CRITICAL g", "critical", morning
			w.put(m)
		}
		after(time.Hour)
		night := w.texts()
		if len(night) != 6 || night[5] != "2 more in 2 groups: CRITICAL g (2)" {
			t.Errorf("at night, %q were sent", night)
		}
		w.halt()
		w.start()
		resolved := quiet("Load", "resolved")
		resolved.Headline, resolved.Severity = "RESOLVED Load", ""
		w.put(resolved)
		after(6*time.Hour + 59*time.Minute)
		if got := w.texts(); len(got) != 6 {
			t.Errorf("before the morning %q were sent", got[6:])
		}
		after(2 * time.Minute)
		if got := w.texts(); len(got) != 7 || got[6] != "4 more in 3 groups: WARNING Certificate, WARNING Disk, RESOLVED Load" {
			t.Errorf("in the morning %q were sent", got[6:])
		}
	})
}

func TestSingleQuietMessageIsSentAsItIs(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		m := w.message(alice, "g", "disk full")
		m.NotBefore, m.Urgent, m.ExpiresAt = time.Now().Add(time.Hour), true, time.Now().Add(2*time.Hour)
		w.put(m)
		after(59 * time.Minute)
		w.expect(m.ID, outbox.Queued, 0)
		after(90 * time.Second)
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

// TestDailyBudget: once the budget is spent, messages that are not critical go into digests.
func TestDailyBudget(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.DailyBudget = 4 }
		w.d.Configure(w.settings())
		time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(30 * time.Hour))) // six in the morning
		put := func(severity string, i int) {
			m := w.message(alice, fmt.Sprint(severity, i), fmt.Sprint(severity, " ", i))
			m.Headline, m.Severity, m.ExpiresAt = fmt.Sprint(severity, " g", i), severity, m.CreatedAt.Add(24*time.Hour)
			w.put(m)
			after(time.Second)
		}
		for i := range 4 {
			put("WARNING", i)
		}
		w.halt()
		w.start() // the restarted process knows what was spent
		for i := range 3 {
			put("INFO", i)
			put("CRITICAL", i)
		}
		if got := w.texts(); len(got) != 7 || got[4] != "CRITICAL 0" || got[6] != "CRITICAL 2" {
			t.Errorf("sent %q", got)
		}
		after(2 * time.Hour)
		if got := w.texts(); len(got) != 8 || !strings.HasPrefix(got[7], "3 more in 3 groups: INFO g0") {
			t.Errorf("an hour later %q were sent", got[7:])
		}
		after(20 * time.Hour) // another day
		put("WARNING", 9)
		if got := w.texts(); len(got) != 9 || got[8] != "WARNING 9" {
			t.Errorf("the next day %q were sent", got[8:])
		}
	})
}

func TestDigestOfPagesSaysHowToGetTheCodes(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		for i := range 8 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("page ", i))
			m.PageID, m.Headline = fmt.Sprint("page", i), strings.Repeat("CRITICAL long name ", 3)+fmt.Sprint(i)
			w.put(m)
		}
		after(10 * time.Minute)
		got := w.texts()
		if len(got) != 6 || !strings.HasSuffix(got[5], "\nReply ? for their codes") || gsm7.Measure(got[5]).Segments > 2 {
			t.Errorf("sent %q", got)
		}
	})
}

func TestMaxPerSecond(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.MaxPerSecond = 4 }
		w.d.Configure(w.settings())
		for i := range 20 {
			w.put(w.message(e164.Number(fmt.Sprintf("+336123456%02d", i)), "g", "text"))
		}
		synctest.Wait()
		if got := len(w.texts()); got != 1 {
			t.Errorf("%d messages were sent immediately", got)
		}
		after(2 * time.Second)
		if got := len(w.texts()); got != 9 {
			t.Errorf("%d were sent within 2 s, want 9", got)
		}
		after(10 * time.Second)
		if got := len(w.texts()); got != 20 {
			t.Errorf("%d of 20 were sent", got)
		}
	})
}

// TestLimitsHold: without failures, no recipient gets more than the limits allow, whatever
// is added, even over restarts.
func TestLimitsHold(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, textinghousetest.Options{}, func(w *world) {
				w.alter = limited
				w.d.Configure(w.settings())
				random := rand.New(rand.NewPCG(seed, 1))
				for i := range 200 {
					w.put(w.message(alice, fmt.Sprint("g", random.IntN(30)), fmt.Sprint("alert ", i)))
					after(time.Duration(random.IntN(60)) * time.Second)
					if random.IntN(40) == 0 {
						w.halt()
						w.start()
					}
				}
				after(3 * time.Hour)
				ms := w.sim.Messages()
				for _, l := range usual["oncall"] {
					for i := range ms {
						for j := i; j < len(ms); j++ {
							within := ms[j].At.Sub(ms[i].At)
							if allowed := float64(l.Messages) * (1 + float64(within+time.Millisecond)/float64(l.Per)); float64(j-i+1) > allowed+0.1 { // the store keeps milliseconds
								t.Errorf("%d messages within %s, by %s; %.1f are allowed", j-i+1, within, ms[j].At, allowed)
							}
						}
					}
				}
				if len(ms) < 15 {
					t.Errorf("only %d were sent", len(ms))
				}
			})
		})
	}
}

// TestUrgentMessagesDoNotUseUpLimits: urgent messages and confirmations do not use up the limits of other
// messages, also after a restart.
func TestUrgentMessagesDoNotUseUpLimits(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		for i := range 20 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("urgent ", i))
			m.Urgent = true
			w.put(m)
		}
		synctest.Wait()
		w.halt()
		w.start()
		for i := range 5 {
			w.put(w.message(alice, fmt.Sprint("h", i), fmt.Sprint("alert ", i)))
		}
		synctest.Wait()
		if got := len(w.texts()); got != 25 {
			t.Errorf("%d of 25 were sent", got)
		}
	})
}

// TestHeldMessageRecordsTheReason: a message records once what it waits for. It does not count as one that
// should have been sent.
func TestHeldMessageRecordsTheReason(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		const bob, carol e164.Number = "+33612345679", "+33612345670"
		var last [2]outbox.Message
		for i := range 6 {
			last[0] = w.message(alice, fmt.Sprint("g", i), fmt.Sprint("page ", i))
			last[0].PageID = fmt.Sprint("p", i)
			last[1] = w.message(bob, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			w.put(last[0], last[1])
		}
		night := w.message(carol, "g", "page")
		night.PageID, night.NotBefore, night.ExpiresAt = "p", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		w.put(night)
		after(2 * time.Minute)
		if waiting, oldest := measured(w, "smspager_messages_waiting"), measured(w, "smspager_oldest_waiting_seconds"); waiting != 3 || oldest != 0 {
			t.Errorf("%v messages wait, one of them for %v s; want 3 that are held", waiting, oldest)
		}
		for m, want := range map[string]string{
			last[0].ID: "queued, held beyond the limits of its recipient, until 00:03:00 UTC",
			last[1].ID: "queued, held beyond the limits of its recipient, until 00:03:00 UTC",
			night.ID:   "queued, held in the quiet hours of its recipient, until 01:00:00 UTC",
		} {
			var events []string
			for _, e := range w.get(m).Events {
				events = append(events, strings.TrimSpace(string(e.Type)+" "+e.Detail))
			}
			if got := strings.Join(events, ", "); got != want {
				t.Errorf("%s: %s; want %s", m, got, want)
			}
		}
		// When the hold ends, the provider fails: the message has waited since then.
		w.outage(2 * time.Minute)
		after(70 * time.Second)
		if oldest := measured(w, "smspager_oldest_waiting_seconds"); oldest < 8 || oldest > 12 {
			t.Errorf("10 seconds after the hold, a message has waited for %v s", oldest)
		}
		w.halt()
		w.start()
		after(time.Second)
		if m := w.get(night.ID); len(m.Events) != 2 {
			t.Errorf("after a restart, the history is %+v", m.Events)
		}
	})
}

// noDigests is a store that refuses digests, as if they were of an old term.
type noDigests struct {
	outbox.Store
	tries []time.Time
}

func (s *noDigests) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	if len(e.Messages) > 0 && e.Messages[0].GroupKey == outbox.DigestGroup {
		s.tries = append(s.tries, time.Now())
		return outbox.Added{}, outbox.ErrConflict
	}
	return s.Store.Add(ctx, e)
}

// TestDigestOfAnOldTerm: the store is not asked again and again to store a digest of an old term.
func TestDigestOfAnOldTerm(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		store := &noDigests{}
		w.wraps = func(s outbox.Store) outbox.Store { store.Store = s; return store }
		w.start()
		w.alter = func(s *delivery.Settings) {
			s.Limits = map[string][]delivery.Limit{"oncall": {{Messages: 1, Per: time.Minute}}}
		}
		w.d.Configure(w.settings())
		for i := range 3 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
		}
		after(2 * time.Minute)
		if len(store.tries) < 3 {
			t.Fatalf("the digest was stored %d times", len(store.tries))
		}
		for i, at := range store.tries[1:] {
			if gap := at.Sub(store.tries[i]); gap < time.Second {
				t.Errorf("try %d came %s after the last one", i+1, gap)
			}
		}
	})
}
