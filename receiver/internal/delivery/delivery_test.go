package delivery_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestSendsImmediatelyAndFollowsToTheEnd(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: time.Second}, func(w *world) {
		m := w.message(alice, "g", "disk full")
		w.put(m)
		synctest.Wait()
		w.expect(m.ID, outbox.Accepted, 1)
		sent := w.sim.Messages()[0]
		if sent.Commercial || sent.ClientID != m.ID || sent.To != "33612345678" {
			t.Errorf("sent %+v", sent)
		}
		after(2 * time.Second)
		for _, status := range []textinghouse.Status{0, 1, 0, 3, 1, 4} {
			if _, err := w.d.Receive(context.Background(), textinghouse.Receipt{ClientID: m.ID, APIID: sent.APIID, Status: status}); err != nil {
				t.Fatal(err)
			}
		}
		w.expect(m.ID, outbox.Delivered, 1)
		var got []string
		for _, e := range w.get(m.ID).Events {
			got = append(got, string(e.Type))
		}
		if want := []string{"queued", "attempt", "accepted", "status", "status", "delivered"}; !slices.Equal(got, want) {
			t.Errorf("the events are %v, want %v", got, want)
		}
		if len(w.finals) != 1 || w.finals[0].State != outbox.Delivered {
			t.Errorf("OnFinal got %+v", w.finals)
		}
	})
}

// TestFaults: whatever happens to the first request, the provider accepts the message once.
func TestFaults(t *testing.T) {
	type fault = textinghousetest.Fault
	for _, tc := range []struct {
		name   string
		faults []fault
		asks   int // expected getstatus requests, -1 for any number
		within time.Duration
	}{
		{"not accepted, 5xx", []fault{{Kind: textinghousetest.HTTPStatus, N: 503, Command: "sendsms", Times: 1}}, 1, 2 * time.Second},
		{"accepted, 5xx", []fault{{Kind: textinghousetest.StatusAfter, N: 502, Command: "sendsms", Times: 1}}, 1, 2 * time.Second},
		{"not accepted, dropped", []fault{{Kind: textinghousetest.DropBefore, Command: "sendsms", Times: 1}}, 1, 2 * time.Second},
		{"accepted, dropped", []fault{{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1}}, 1, 2 * time.Second},
		{"accepted, garbage", []fault{{Kind: textinghousetest.Garbage, Command: "sendsms", Times: 1}}, 1, 2 * time.Second},
		{"not accepted, hangs", []fault{{Kind: textinghousetest.Hang, Command: "sendsms", Times: 1}}, 1, 13 * time.Second},
		{"accepted, hangs", []fault{{Kind: textinghousetest.HangAfter, Command: "sendsms", Times: 1}}, 1, 13 * time.Second},
		{"error 300", []fault{{Kind: textinghousetest.Err, N: 300, Times: 1}}, 0, 2 * time.Second},
		{"an unknown error", []fault{{Kind: textinghousetest.Err, N: 999, Times: 1}}, 0, 2 * time.Second},
		{"accepted, dropped, and questions fail for long", []fault{
			{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1}, {Kind: textinghousetest.HTTPStatus, N: 503, Command: "getstatus", Times: 6},
		}, 7, 3 * time.Minute},
		{"dropped ten times", []fault{{Kind: textinghousetest.DropBefore, Command: "sendsms", Times: 10}}, -1, 10 * time.Minute},
		{"accepted at the third attempt, dropped", []fault{
			{Kind: textinghousetest.DropBefore, Command: "sendsms", Times: 2}, {Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1},
		}, 3, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Without receipts, only the tested attempt asks for statuses.
			inWorld(t, textinghousetest.Options{StatusDelay: 24 * time.Hour}, func(w *world) {
				for _, f := range tc.faults {
					w.sim.AddFault(f)
				}
				m := w.message(alice, "g", "disk full")
				w.put(m)
				synctest.Wait()
				began := time.Now()
				for w.get(m.ID).State != outbox.Accepted && time.Since(began) < time.Hour {
					after(100 * time.Millisecond)
				}
				if took := time.Since(began); took > tc.within {
					t.Errorf("took %s, want at most %s", took, tc.within)
				}
				w.expect(m.ID, outbox.Accepted, 1)
				if asks := w.sim.Requests("acme", "getstatus"); tc.asks >= 0 && asks != tc.asks {
					// The simulator does not count requests that a fault responds to.
					failed := 0
					for _, f := range tc.faults {
						if f.Command == "getstatus" {
							failed += f.Times
						}
					}
					if asks+failed != tc.asks {
						t.Errorf("asked %d times, want %d", asks+failed, tc.asks)
					}
				}
			})
		})
	}
}

func TestLaneSendsOneAfterAnother(t *testing.T) {
	for _, tc := range []struct {
		fault textinghousetest.Kind // of the first message's attempt, after which the provider may have it
		want  []string
	}{
		{textinghousetest.DropAfter, []string{"firing", "resolved"}},
		{textinghousetest.DropBefore, []string{"resolved"}},
	} {
		t.Run(string(tc.fault), func(t *testing.T) {
			inWorld(t, textinghousetest.Options{}, func(w *world) {
				w.sim.AddFault(textinghousetest.Fault{Kind: tc.fault, Command: "sendsms", Times: 1})
				first, second, third := w.message(alice, "g", "firing"), w.message(alice, "g", "still firing"), w.message(alice, "g", "resolved")
				w.put(first)
				synctest.Wait()
				w.put(second, third)
				after(time.Minute)
				if got := w.texts(); !slices.Equal(got, tc.want) {
					t.Errorf("sent %q, want %q", got, tc.want)
				}
				if got := w.get(second.ID).State; got != outbox.Superseded {
					t.Errorf("the second message is %s", got)
				}
			})
		})
	}
}

func TestOtherLanesDoNotWait(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Hang, Command: "sendsms", Times: 1})
		stuck := w.message(alice, "g", "stuck")
		w.put(stuck)
		synctest.Wait()
		w.put(w.message(alice, "h", "another group"), w.message("+33612345679", "g", "another person"))
		synctest.Wait()
		if got := len(w.texts()); got != 2 {
			t.Errorf("%d messages were sent while one is stuck, want 2", got)
		}
	})
}

func TestSameTextWaitsForTheFloodToEnd(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		var ids []string
		for i := range 3 {
			m := w.message(alice, fmt.Sprint("group ", i), "same text")
			ids = append(ids, m.ID)
			w.put(m)
		}
		synctest.Wait()
		if got := len(w.texts()); got != 1 {
			t.Errorf("%d messages were sent immediately, want 1", got)
		}
		after(21 * time.Second)
		for _, id := range ids {
			if m := w.get(id); m.Attempts != 1 {
				t.Errorf("needed %d attempts, want 1: %+v", m.Attempts, m.Events)
			}
			w.expect(id, w.get(id).State, 1)
		}
		if w.sim.Requests("acme", "sendsms") != 3 {
			t.Errorf("%d requests, want 3", w.sim.Requests("acme", "sendsms"))
		}
	})
}

func TestWaitsForTheFloodOfAnotherProgram(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		if _, err := w.settings().Gateway.Send(context.Background(), textinghouse.SMS{To: string(alice), Text: "same text"}); err != nil {
			t.Fatal(err)
		}
		m := w.message(alice, "g", "same text")
		w.put(m)
		after(11 * time.Second)
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

// TestFloodByTheMessageItself: another process has sent the message, and could not store that.
func TestFloodByTheMessageItself(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: 24 * time.Hour}, func(w *world) {
		m := w.message(alice, "g", "disk full")
		if _, err := w.settings().Gateway.Send(context.Background(), textinghouse.SMS{To: string(alice), Text: m.Text, ClientID: m.ID}); err != nil {
			t.Fatal(err)
		}
		w.put(m)
		after(30 * time.Second)
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

func TestFloodOnAResendProvesNothing(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		// The provider accepts it and drops the connection, then claims not to know it.
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1})
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 202, Command: "getstatus", Times: 1})
		m := w.message(alice, "g", "disk full")
		w.put(m)
		after(5 * time.Second)
		w.expect(m.ID, outbox.Sending, 1)
		after(10 * time.Second) // the window is over, and the provider now reports that it has the message
		w.expect(m.ID, outbox.Delivered, 1)
	})
}

// TestFloodOfATwin: of two messages with the same text, the second is refused, because the window
// is forgotten in a restart. After a crash, the second is in doubt, and is sent.
func TestFloodOfATwin(t *testing.T) {
	for _, attempted := range []bool{false, true} { // whether the attempt was stored before the crash
		inWorld(t, textinghousetest.Options{StatusDelay: 24 * time.Hour}, func(w *world) {
			first := w.message(alice, "g", "disk full")
			w.put(first)
			after(time.Second)
			w.halt()
			w.start()
			second := w.message(alice, "h", "disk full")
			w.put(second)
			synctest.Wait() // refused with 350
			w.expect(second.ID, outbox.Queued, 0)
			w.halt()
			if attempted {
				store, err := sqlite.Open(context.Background(), filepath.Join(w.dir, "outbox.db"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := store.Add(context.Background(), outbox.Entry{Notes: []outbox.Change{outbox.Attempted(second.ID, time.Now(), "")}}); err != nil {
					t.Fatal(err)
				}
				store.Close()
			}
			w.start()
			after(15 * time.Second)
			w.expect(first.ID, outbox.Accepted, 1)
			w.expect(second.ID, outbox.Accepted, 1)
		})
	}
}

func TestPermanentRefusalFailsImmediately(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 100, Command: "sendsms", Times: 1})
		m, next := w.message(alice, "g", "refused"), w.message(alice, "g", "the next")
		w.put(m)
		synctest.Wait()
		w.put(next)
		synctest.Wait()
		w.expect(m.ID, outbox.Failed, 0)
		w.expect(next.ID, outbox.Accepted, 1)
	})
}

func TestRefusedAccountKeepsEverything(t *testing.T) {
	for _, code := range []int{101, 104} {
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: code, Command: "sendsms"})
			var ids []string
			for i := range 20 {
				m := w.message(alice, fmt.Sprint(i), fmt.Sprint("text ", i))
				ids = append(ids, m.ID)
				w.put(m)
				synctest.Wait()
			}
			if w.d.Refusal() == "" || measured(w, "smspager_account_refused") != 1 || measured(w, "smspager_messages_waiting") != 20 {
				t.Errorf("refusal %q, waiting %v", w.d.Refusal(), measured(w, "smspager_messages_waiting"))
			}
			attempts := func() (n int) {
				for _, id := range ids {
					n += w.get(id).Attempts
				}
				return n
			}
			before := attempts()
			after(10 * time.Minute)
			if n := attempts() - before; n < 9 || n > 11 {
				t.Errorf("%d attempts in ten minutes, want one a minute", n)
			}
			w.sim.ClearFaults()
			after(61 * time.Second)
			for _, id := range ids {
				w.expect(id, outbox.Accepted, 1)
			}
			if w.d.Refusal() != "" || measured(w, "smspager_account_refused") != 0 {
				t.Error("still refused")
			}
		})
	}
}

func TestReloadTriesARefusedAccountImmediately(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 101, Times: 1})
		m := w.message(alice, "g", "disk full")
		w.put(m)
		after(time.Second)
		w.expect(m.ID, outbox.Queued, 0)
		w.d.Configure(w.settings())
		synctest.Wait()
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

func TestTooOldIsNotSent(t *testing.T) {
	for name, fault := range map[string]textinghousetest.Fault{
		"the provider fails":     {Kind: textinghousetest.Err, N: 300},
		"the account is refused": {Kind: textinghousetest.Err, N: 104},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, textinghousetest.Options{}, func(w *world) {
				w.sim.AddFault(fault)
				m, young := w.message(alice, "g", "old"), w.message(alice, "h", "young")
				young.ExpiresAt = young.ExpiresAt.Add(time.Hour)
				w.put(m, young)
				after(time.Hour + time.Minute)
				w.expect(m.ID, outbox.Expired, 0)
				w.sim.ClearFaults()
				after(2 * time.Minute)
				w.expect(young.ID, outbox.Delivered, 1)
				w.expect(m.ID, outbox.Expired, 0)
			})
		})
	}
}

// TestCrash: a process starts on an outbox that another left in the middle of a send.
func TestCrash(t *testing.T) {
	for _, tc := range []struct {
		name     string
		accepted bool
		age      time.Duration // of the attempt when the new process starts
	}{
		{"accepted", true, time.Second},
		{"not accepted", false, time.Second},
		{"accepted long ago", true, time.Minute},
		{"not accepted, long ago", false, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, textinghousetest.Options{StatusDelay: 24 * time.Hour}, func(w *world) {
				w.halt()
				store, err := sqlite.Open(context.Background(), filepath.Join(w.dir, "outbox.db"))
				if err != nil {
					t.Fatal(err)
				}
				w.store = store
				m := w.message(alice, "g", "disk full")
				if _, err := store.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
					t.Fatal(err)
				}
				if _, err := store.Add(context.Background(), outbox.Entry{Notes: []outbox.Change{outbox.Attempted(m.ID, time.Now(), "")}}); err != nil {
					t.Fatal(err)
				}
				if tc.accepted {
					if _, err := w.settings().Gateway.Send(context.Background(), textinghouse.SMS{To: string(alice), Text: m.Text, ClientID: m.ID}); err != nil {
						t.Fatal(err)
					}
				}
				store.Close()
				time.Sleep(tc.age)
				w.start()
				after(15 * time.Second)
				w.expect(m.ID, outbox.Accepted, 1)
				if asks := w.sim.Requests("acme", "getstatus"); asks != 1 {
					t.Errorf("asked %d times, want 1", asks)
				}
			})
		})
	}
}

func TestStoppingFinishesAttempts(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: time.Hour}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 3 * time.Second, Times: 1})
		under, behind := w.message(alice, "g", "under way"), w.message(alice, "g", "behind")
		w.put(under)
		synctest.Wait()
		w.put(behind)
		synctest.Wait()
		began := time.Now()
		w.halt()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("stopping took %s, want 3s", took)
		}
		w.start()
		synctest.Wait()
		w.expect(under.ID, outbox.Accepted, 1)
		w.expect(behind.ID, outbox.Accepted, 1)
		if asks := w.sim.Requests("acme", "getstatus"); asks != 1 { // about the message behind, which was loaded
			t.Errorf("asked %d times, want 1: only about the message that was behind", asks)
		}
	})
}

func TestStoppingRequeuesHangingAttempts(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: time.Hour}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HangAfter, Times: 1})
		m := w.message(alice, "g", "hangs")
		w.put(m)
		synctest.Wait()
		w.halt()
		w.start()
		after(time.Second)
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.Concurrency = 4 }
		w.d.Configure(w.settings())
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: time.Second})
		for i := range 10 {
			w.put(w.message(alice, fmt.Sprint(i), fmt.Sprint("text ", i)))
		}
		for _, want := range []int{0, 4, 8, 10} {
			synctest.Wait()
			if got := len(w.texts()); got != want {
				t.Errorf("%d are sent, want %d", got, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestResendsKeepWithinTheFloodWindow: all attempts whose requests may still be
// on their way began within ten seconds.
func TestResendsKeepWithinTheFloodWindow(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		const timeout = 30 * time.Second
		w.alter = func(s *delivery.Settings) { s.Timeout = timeout }
		w.d.Configure(w.settings())
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropBefore, Command: "sendsms"})
		m := w.message(alice, "g", "disk full")
		w.put(m)
		after(5 * time.Minute)
		var first, last time.Time
		attempts := 0
		for _, e := range w.get(m.ID).Events {
			if e.Type != outbox.EventAttempt {
				continue
			}
			attempts++
			if e.At.Sub(last) >= timeout {
				first = e.At
			}
			if e.At.Sub(first) > 10*time.Second {
				t.Errorf("attempt %d began %s after the first, %s after the last", attempts, e.At.Sub(first), e.At.Sub(last))
			}
			last = e.At
		}
		if attempts < 10 {
			t.Errorf("only %d attempts in five minutes", attempts)
		}
	})
}
