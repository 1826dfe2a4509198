package delivery_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/delivery"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
	"github.com/smspager/smspager/templating/gsm7"
)

// usual are the limits that a configuration has by default.
var usual = map[string][]delivery.Limit{"oncall": {{Messages: 5, Per: 5 * time.Minute}, {Messages: 5, Per: 15 * time.Minute}, {Messages: 11, Per: time.Hour}}}

func limited(s *delivery.Settings) { s.Limits = usual }

// outage makes the provider refuse everything for a time.
func (w *world) outage(d time.Duration) {
	w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 300, Command: "sendsms"})
	time.AfterFunc(d, w.sim.ClearFaults)
}

func TestAfterAnOutageOnlyTheNewestStateIsSent(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.outage(40 * time.Minute)
		var sent []outbox.Message
		for i := range 5 {
			m := w.message(alice, "g", fmt.Sprintf("firing %d", i))
			w.put(m)
			sent = append(sent, m)
			after(5 * time.Minute)
		}
		last := w.message(alice, "g", "resolved, after 25m")
		w.put(last, w.message(alice, "other", "another group"))
		after(time.Hour)
		if got := w.texts(); len(got) != 2 || !slices.Contains(got, "resolved, after 25m") || !slices.Contains(got, "another group") {
			t.Errorf("sent %q", got)
		}
		for i, m := range sent {
			got := w.get(m.ID)
			successor := last.ID
			if i+1 < len(sent) {
				successor = sent[i+1].ID
			}
			if e := got.Events[len(got.Events)-1]; got.State != outbox.Superseded || e.Type != outbox.EventSuperseded || !strings.Contains(e.Detail, successor) {
				t.Errorf("message %d is %s: %+v", i, got.State, e)
			}
		}
	})
}

// TestSupersededAcrossARestart: what was stored before a crash is as stale after it.
func TestSupersededAcrossARestart(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.outage(time.Minute)
		old := w.message(alice, "g", "firing")
		w.put(old)
		synctest.Wait()
		w.halt()
		next := w.message(alice, "g", "resolved")
		w.start()
		w.put(next)
		after(5 * time.Minute)
		w.expect(old.ID, outbox.Superseded, 0)
		if got := w.texts(); !slices.Equal(got, []string{"resolved"}) {
			t.Errorf("sent %q", got)
		}
	})
}

// slow is a store that takes its time to tell what is open.
type slow struct{ outbox.Store }

func (s slow) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		time.Sleep(3 * time.Second)
		for m, err := range s.Store.Open(ctx) {
			if !yield(m, err) {
				return
			}
		}
	}
}

// TestOlderOnesTurnUpLate: what is new after a start goes at once; what is older
// and turns up later does not follow it.
func TestOlderOnesTurnUpLate(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.outage(time.Minute)
		old, alone := w.message(alice, "g", "firing"), w.message(alice, "h", "alone")
		w.put(old, alone)
		synctest.Wait()
		w.halt()
		after(time.Minute)
		w.wraps = func(s outbox.Store) outbox.Store { return slow{s} }
		w.start()
		next := w.message(alice, "g", "resolved")
		w.put(next)
		after(time.Second)
		w.expect(next.ID, outbox.Accepted, 1)
		after(5 * time.Minute)
		w.expect(old.ID, outbox.Superseded, 0)
		if got := w.texts(); !slices.Equal(got, []string{"resolved", "alone"}) {
			t.Errorf("sent %q", got)
		}
		later := w.message(alice, "g", "firing again")
		w.put(later)
		after(time.Second)
		w.expect(later.ID, outbox.Accepted, 1)
	})
}

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
		// Every alert is accounted for: it was sent, or names what was sent for it.
		told := 0
		for _, id := range ids {
			m := w.get(id)
			switch last := m.Events[len(m.Events)-1]; m.State {
			case outbox.Accepted, outbox.Delivered:
				told++
			case outbox.Superseded:
				if !strings.Contains(last.Detail, "01") && !strings.Contains(last.Detail, "00") {
					t.Fatalf("%+v names no other", last)
				}
				told++
			default:
				t.Fatalf("message %s is %s", id, m.State)
			}
		}
		if told != alerts {
			t.Errorf("%d of %d are accounted for", told, alerts)
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

func TestOneHeldBackIsSentAsItIs(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		for i := range 6 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
		}
		synctest.Wait()
		if got := len(w.texts()); got != 5 {
			t.Errorf("%d were sent at once", got)
		}
		after(3 * time.Minute)
		if got := w.texts(); len(got) != 6 || got[5] != "alert 5" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestTooLateIsTold(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.outage(3 * time.Hour)
		for i := range 4 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			m.Headline = fmt.Sprintf("WARNING Group%d", i)
			w.put(m)
			after(20 * time.Minute)
		}
		after(4 * time.Hour)
		if got, want := w.texts(), []string{"NOT SENT in time: 4 messages in 4 groups: WARNING Group0, WARNING Group1, WARNING Group2, WARNING Group3"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

// TestQuietHours: what may wait is told in one digest when they end, what may not
// at once, and limits that end earlier fold nothing of it.
func TestQuietHours(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = limited
		w.d.Configure(w.settings())
		morning := time.Now().Add(8 * time.Hour)
		quiet := func(group, text string) outbox.Message {
			m := w.message(alice, group, text)
			m.Headline, m.NotBefore, m.ExpiresAt = "WARNING "+group, morning, morning.Add(time.Hour)
			return m
		}
		w.put(quiet("Disk", "disk"), quiet("Load", "load"), quiet("Certificate", "certificate"))
		for i := range 7 { // two of them beyond the limits
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("critical ", i))
			m.Headline, m.ExpiresAt = "CRITICAL g", morning
			w.put(m)
		}
		after(time.Hour)
		night := w.texts()
		if len(night) != 6 || night[5] != "2 more in 2 groups: CRITICAL g (2)" {
			t.Errorf("in the night %q were sent", night)
		}
		w.halt()
		w.start()
		resolved := quiet("Load", "resolved")
		resolved.Headline = "RESOLVED Load"
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

func TestOneQuietMessageIsSentAsItIs(t *testing.T) {
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

// TestDailyBudget: once it is spent, what is not critical comes as digests.
func TestDailyBudget(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.DailyBudget = 4 }
		w.d.Configure(w.settings())
		time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(30 * time.Hour))) // six in the morning
		put := func(severity string, i int) {
			m := w.message(alice, fmt.Sprint(severity, i), fmt.Sprint(severity, " ", i))
			m.Headline, m.ExpiresAt = fmt.Sprint(severity, " g", i), m.CreatedAt.Add(24*time.Hour)
			w.put(m)
			after(time.Second)
		}
		for i := range 4 {
			put("WARNING", i)
		}
		w.halt()
		w.start() // what was spent is known after a restart
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

func TestADigestOfPagesTellsHowToGetTheCodes(t *testing.T) {
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
		if len(got) != 6 || !strings.HasSuffix(got[5], "\nAnswer ? for their codes") || gsm7.Measure(got[5]).Segments > 2 {
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
			t.Errorf("%d were sent at once", got)
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

// TestLawsOfTheSchedule holds over random histories of messages, outages,
// restarts and answers that leave the outcome open.
func TestLawsOfTheSchedule(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, textinghousetest.Options{}, func(w *world) {
				w.alter = limited
				w.d.Configure(w.settings())
				random := rand.New(rand.NewPCG(seed, 0))
				people := []e164.Number{alice, "+33612345679", "999"}
				type sent struct {
					id    string
					group string
					to    e164.Number
				}
				var all []sent
				for range 150 {
					switch random.IntN(12) {
					case 0:
						w.outage(time.Duration(random.IntN(20)) * time.Minute)
					case 1:
						w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1})
					case 2:
						w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropBefore, Command: "sendsms", Times: 1})
					case 3:
						w.halt()
						w.start()
					default:
						to, group := people[random.IntN(len(people))], fmt.Sprint("g", random.IntN(4))
						m := w.message(to, group, fmt.Sprintf("%s %d", group, len(all)))
						m.Headline, m.ExpiresAt = "WARNING "+group, m.CreatedAt.Add(24*time.Hour)
						w.put(m)
						all = append(all, sent{m.ID, group, to})
					}
					after(time.Duration(random.IntN(90)) * time.Second)
				}
				w.sim.ClearFaults()
				after(26 * time.Hour)

				// Each ends, is sent at most once, and in the order of its lane.
				at := make(map[string]time.Time) // when the provider took it
				for _, m := range w.sim.Messages() {
					if _, twice := at[m.ClientID]; twice {
						t.Errorf("%s was sent twice", m.ClientID)
					}
					at[m.ClientID] = m.At
				}
				newest := make(map[string]time.Time)
				for _, s := range all {
					m := w.get(s.id)
					taken, was := at[s.id]
					switch m.State {
					case outbox.Delivered, outbox.Accepted:
						if !was {
							t.Errorf("%s is %s, but the provider has it not", s.id, m.State)
						}
						lane := string(s.to) + s.group
						if taken.Before(newest[lane]) {
							t.Errorf("%s was sent after a newer one of its group", s.id)
						}
						newest[lane] = taken
					case outbox.Superseded:
						if was {
							t.Errorf("%s is superseded, but was sent", s.id)
						}
					default:
						t.Errorf("%s ended as %s: %+v", s.id, m.State, m.Events)
					}
				}
			})
		})
	}
}

// TestLimitsHold: without failures, no recipient gets more than the limits
// allow, whatever comes in, restarts included.
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
