package delivery_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

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

// TestSupersededAcrossARestart: a message stored before a restart is superseded by one that comes after
// the restart.
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

// slow is a store that is slow to return the open messages.
type slow struct {
	outbox.Store
	by time.Duration
}

func (s slow) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		time.Sleep(s.by)
		for m, err := range s.Store.Open(ctx) {
			if !yield(m, err) {
				return
			}
		}
	}
}

// TestOlderMessageIsReadLate: a new message after a start is sent immediately; an older one
// of its lane that is read later is not sent after it.
func TestOlderMessageIsReadLate(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.outage(time.Minute)
		old, alone := w.message(alice, "g", "firing"), w.message(alice, "h", "alone")
		w.put(old, alone)
		synctest.Wait()
		w.halt()
		after(time.Minute)
		w.wraps = func(s outbox.Store) outbox.Store { return slow{s, 3 * time.Second} }
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

// TestNewerDeliveredInAnEarlierRun: a process sent a newer message, and stopped before it had read an older
// one. The next process finds in the store that the newer one was delivered.
func TestNewerDeliveredInAnEarlierRun(t *testing.T) {
	for _, reachable := range []bool{true, false} { // whether the provider can be asked
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			w.outage(time.Minute)
			old := w.message(alice, "g", "firing")
			w.put(old)
			synctest.Wait()
			w.halt()
			after(time.Minute)
			w.wraps = func(s outbox.Store) outbox.Store { return slow{s, 20 * time.Minute} }
			w.start()
			next := w.message(alice, "g", "resolved")
			w.put(next)
			after(10 * time.Minute)
			w.expect(next.ID, outbox.Delivered, 1)
			w.halt()
			w.wraps = func(s outbox.Store) outbox.Store { return s }
			if !reachable {
				w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503, Command: "getstatus"})
			}
			w.start()
			after(10 * time.Minute)
			w.expect(old.ID, outbox.Superseded, 0)
			if got := w.texts(); !slices.Equal(got, []string{"resolved"}) {
				t.Errorf("sent %q", got)
			}
		})
	}
}

// TestNewerAcceptedInAnEarlierRun: the provider has a newer message, without a final status. The next
// process reads the older one long before the newer one among the open messages.
func TestNewerAcceptedInAnEarlierRun(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		store, err := sqlite.Open(context.Background(), filepath.Join(w.dir, "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		old := w.message(alice, "g", "firing")
		older := outbox.Entry{Messages: []outbox.Message{old}}
		for i := range 2000 {
			older.Messages = append(older.Messages, w.message(alice, fmt.Sprint("other ", i), fmt.Sprint("other ", i)))
		}
		next := w.message(alice, "g", "resolved")
		next.State, next.AcceptedAt = outbox.Accepted, time.Now()
		for _, e := range []outbox.Entry{{Messages: []outbox.Message{next}}, older} { // separately, so that the store does not mark the older one as superseded
			if _, err := store.Add(context.Background(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		w.start()
		after(time.Minute)
		w.expect(old.ID, outbox.Superseded, 0)
	})
}

func TestTooLateIsReported(t *testing.T) {
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

// TestTooLateIsReportedInFull: notices list every message that was too old, once, also after restarts.
func TestTooLateIsReportedInFull(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		expire := func(n int, group string) {
			for i := range n {
				m := w.message(alice, fmt.Sprint(group, i), fmt.Sprint(group, i))
				m.Headline = "WARNING " + group
				w.put(m)
				after(time.Second)
			}
			after(time.Hour)
		}
		restart := func() {
			w.halt()
			w.start()
			synctest.Wait()
		}
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 101})
		expire(30, "A")
		restart()
		expire(1, "B")
		after(48 * time.Hour) // longer than a notice may wait
		restart()
		w.sim.ClearFaults()
		after(2 * time.Minute)
		w.outage(3 * time.Hour)
		restart()
		expire(1, "C")
		restart()
		expire(1, "D")
		after(2 * time.Hour)
		want := []string{
			"NOT SENT in time: 31 messages in 31 groups: WARNING A (30), WARNING B",
			"NOT SENT in time: 2 messages in 2 groups: WARNING C, WARNING D",
		}
		if got := w.texts(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

// TestSimultaneousExpiryIsCountedOnce: a notice does not count a message twice that expires while the notice is made.
func TestSimultaneousExpiryIsCountedOnce(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.outage(2 * time.Hour)
		var ms []outbox.Message
		for i := range 16 {
			m := w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			m.Headline = fmt.Sprintf("WARNING Group%d", i)
			ms = append(ms, m)
		}
		w.put(ms...)
		after(3 * time.Hour)
		for _, text := range w.texts() {
			if n := 0; !strings.HasPrefix(text, "NOT SENT in time: ") {
				t.Errorf("sent %q", text)
			} else if _, err := fmt.Sscanf(text, "NOT SENT in time: %d messages", &n); err != nil || n > len(ms) || strings.Contains(text, "(2)") {
				t.Errorf("sent %q", text)
			}
		}
	})
}

// TestLawsOfTheSchedule checks the laws over random histories of messages, outages,
// restarts and responses that leave the outcome unknown.
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

				// Each message ends, is sent at most once, and in the order of its lane.
				at := make(map[string]time.Time) // when the provider accepted each message
				for _, m := range w.sim.Messages() {
					if _, twice := at[m.ClientID]; twice {
						t.Errorf("%s was sent twice", m.ClientID)
					}
					at[m.ClientID] = m.At
				}
				newest := make(map[string]time.Time)
				for _, s := range all {
					m := w.get(s.id)
					acceptedAt, was := at[s.id]
					switch m.State {
					case outbox.Delivered, outbox.Accepted:
						if !was {
							t.Errorf("%s is %s, but the provider does not have it", s.id, m.State)
						}
						lane := string(s.to) + s.group
						if acceptedAt.Before(newest[lane]) {
							t.Errorf("%s was sent after a newer message of its group", s.id)
						}
						newest[lane] = acceptedAt
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
