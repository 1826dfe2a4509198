package delivery_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestPolling(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: 5 * time.Minute}, func(w *world) {
		m := w.message(alice, "g", "no receipts come")
		w.put(m)
		after(59 * time.Second)
		if n := w.sim.Requests("acme", "getstatus"); n != 0 {
			t.Errorf("asked %d times within the first minute", n)
		}
		after(2 * time.Second)
		if n := w.sim.Requests("acme", "getstatus"); n != 1 {
			t.Errorf("asked %d times after a minute, want 1", n)
		}
		after(30 * time.Minute)
		w.expect(m.ID, outbox.Delivered, 1)
		asked := w.sim.Requests("acme", "getstatus")
		after(80 * time.Hour)
		if n := w.sim.Requests("acme", "getstatus"); n != asked {
			t.Errorf("asked %d times more after the final status", n-asked)
		}
	})
}

func TestPollingEnds(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.sim.Outcome(string(alice), textinghousetest.Never)
		m := w.message(alice, "g", "never delivered")
		w.put(m)
		after(71 * time.Hour)
		w.expect(m.ID, outbox.Accepted, 1)
		if n := w.sim.Requests("acme", "getstatus"); n < 15 || n > 40 {
			t.Errorf("asked %d times in 71 hours", n)
		}
		after(12 * time.Hour)
		w.expect(m.ID, outbox.Unknown, 1)
		// A restart does not begin polling again.
		w.halt()
		asked := w.sim.Requests("acme", "getstatus")
		w.start()
		after(24 * time.Hour)
		if n := w.sim.Requests("acme", "getstatus"); n != asked {
			t.Errorf("asked %d times after the end", n-asked)
		}
	})
}

func TestPollsSoonWithoutCallbacks(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.Callbacks = false }
		w.d.Configure(w.settings())
		m := w.message(alice, "g", "disk full")
		w.put(m)
		after(6 * time.Second)
		w.expect(m.ID, outbox.Delivered, 1)
	})
}

func TestReceiptBeforeTheResponse(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: time.Hour}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HangAfter, Command: "sendsms", Times: 1})
		m := w.message(alice, "g", "disk full")
		w.put(m)
		synctest.Wait()
		outcome, err := w.d.Receive(context.Background(), textinghouse.Receipt{ClientID: m.ID, APIID: "5d72", Status: 3})
		if outcome != delivery.OutcomeApplied || err != nil {
			t.Errorf("Receive = %q, %v", outcome, err)
		}
		w.expect(m.ID, outbox.Delivered, 1)
		after(time.Hour)
		w.expect(m.ID, outbox.Delivered, 1)
		if m := w.get(m.ID); m.APIID != "5d72" {
			t.Errorf("the api_id is %q", m.APIID)
		}
	})
}

// TestReceiptEndsTheAttempts: what a receipt reports on is not sent again, even if getstatus does not respond or
// the provider had refused the message.
func TestReceiptEndsTheAttempts(t *testing.T) {
	refusal := func(command string) error {
		return &textinghouse.Error{Command: command, Code: textinghouse.CodeProcessing}
	}
	unreadable := &textinghouse.UnreadableResponseError{Command: textinghouse.CommandSend}
	for name, response := range map[string]error{"in doubt": unreadable, "refused": refusal(textinghouse.CommandSend)} {
		for _, status := range []textinghouse.Status{textinghouse.StatusSent, textinghouse.StatusReceived} {
			for _, shared := range []bool{false, true} {
				test := func(w *world) {
					g := w.script()
					g.send = func(textinghouse.SMS) (string, error) { return "", response }
					var responds atomic.Bool
					g.status = func(string) (textinghouse.Status, error) {
						if responds.Load() {
							return textinghouse.StatusReceived, nil
						}
						return 0, refusal(textinghouse.CommandStatus)
					}
					m := w.message(alice, "g", "disk full")
					w.put(m)
					after(2 * time.Second)
					before := len(g.sends[m.ID])
					if shared { // another replica gets the receipt
						note := outbox.ProviderAccepted(m.ID, "5d72", w.spool.Now(), "")
						if _, err := w.store.Add(context.Background(), outbox.Entry{Notes: []outbox.Change{note}}); err != nil {
							t.Fatal(err)
						}
					} else if got, err := w.d.Receive(context.Background(), textinghouse.Receipt{ClientID: m.ID, APIID: "5d72", Status: status}); got != delivery.OutcomeApplied || err != nil {
						t.Errorf("%s: Receive = %q, %v", name, got, err)
					}
					g.send = nil
					after(time.Minute)
					w.put(w.message(alice, "h", "sending works"))
					after(10 * time.Minute)
					if n := len(g.sends[m.ID]) - before; n != 0 {
						t.Errorf("%s, status %d: sent %d times after its receipt", name, status, n)
					}
					responds.Store(true)
					after(3 * time.Hour)
					if state := w.get(m.ID).State; state != outbox.Delivered {
						t.Errorf("%s, status %d, shared %t: the message is %s, it is not polled", name, status, shared, state)
					}
				}
				if shared {
					inReplica(t, func(w *world, _ *peers) { test(w) })
				} else {
					inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, test)
				}
			}
		}
	}
}

// TestReceiptDuringASlowRequest: a message whose receipt comes long before the response counts as accepted once.
func TestReceiptDuringASlowRequest(t *testing.T) {
	inReplica(t, func(w *world, _ *peers) {
		g := w.script()
		g.send = func(textinghouse.SMS) (string, error) {
			time.Sleep(8 * time.Second)
			return "5d72", nil
		}
		m := w.message(alice, "g", "disk full")
		w.put(m)
		after(4 * time.Second)
		if got, err := w.d.Receive(context.Background(), textinghouse.Receipt{ClientID: m.ID, APIID: "5d72", Status: textinghouse.StatusReceived}); got != delivery.OutcomeApplied || err != nil {
			t.Errorf("Receive = %q, %v", got, err)
		}
		after(10 * time.Second)
		if n := measured(w, "smspager_segments_total"); n != 1 {
			t.Errorf("%v segments were counted", n)
		}
	})
}

// TestReceiptOfAnExpiringMessage: no notice reports a message as not sent if a receipt shows that it was.
func TestReceiptOfAnExpiringMessage(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		g := w.script()
		var m outbox.Message
		g.send = func(textinghouse.SMS) (string, error) {
			return "", &textinghouse.UnreadableResponseError{Command: textinghouse.CommandSend}
		}
		g.status = func(id string) (textinghouse.Status, error) {
			if w.spool.Now().After(m.ExpiresAt) { // the receipt overtakes this response
				_, _ = w.d.Receive(context.Background(), textinghouse.Receipt{ClientID: id, Status: textinghouse.StatusReceived})
			}
			return 0, &textinghouse.Error{Command: textinghouse.CommandStatus, Code: textinghouse.CodeUnknownClientID}
		}
		m = w.message(alice, "g", "disk full")
		w.put(m)
		after(70 * time.Minute)
		if state := w.get(m.ID).State; state != outbox.Delivered || len(g.sends) != 1 {
			t.Errorf("the message is %s; %d different messages were sent", state, len(g.sends))
		}
	})
}

func TestReceiptsWithoutMessage(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		m := w.message(alice, "g", "disk full")
		w.put(m)
		synctest.Wait()
		for name, tc := range map[string]struct {
			receipt textinghouse.Receipt
			want    delivery.Outcome
		}{
			"an unknown id":     {textinghouse.Receipt{ClientID: "nobody's", Status: 3}, delivery.OutcomeUnknownID},
			"an unknown api_id": {textinghouse.Receipt{APIID: "nobody's", Status: 3}, delivery.OutcomeUnknownID},
			"an unknown status": {textinghouse.Receipt{ClientID: m.ID, Status: 17}, delivery.OutcomeUnknownStatus},
		} {
			if got, err := w.d.Receive(context.Background(), tc.receipt); got != tc.want || err != nil {
				t.Errorf("%s gives %q, %v, want %q", name, got, err, tc.want)
			}
		}
		w.expect(m.ID, outbox.Accepted, 1)
		if got, err := w.d.Receive(context.Background(), textinghouse.Receipt{APIID: w.get(m.ID).APIID, Status: 6}); got != delivery.OutcomeApplied || err != nil {
			t.Errorf("a receipt by api_id gives %q, %v", got, err)
		}
		w.expect(m.ID, outbox.Failed, 1)
	})
}

// TestReceiptsFindTheirMessage: receipts find their message by the provider's ID if the climsgid is not
// known, and without regard to case.
func TestReceiptsFindTheirMessage(t *testing.T) {
	for name, receipt := range map[string]func(m outbox.Message) textinghouse.Receipt{
		"climsgid in small letters": func(m outbox.Message) textinghouse.Receipt {
			return textinghouse.Receipt{ClientID: strings.ToLower(m.ID)}
		},
		"unknown climsgid": func(m outbox.Message) textinghouse.Receipt {
			return textinghouse.Receipt{ClientID: "nobody's", APIID: m.APIID}
		},
		"apimsgid in capitals": func(m outbox.Message) textinghouse.Receipt {
			return textinghouse.Receipt{APIID: strings.ToUpper(m.APIID)}
		},
	} {
		for _, stored := range []bool{false, true} {
			inWorld(t, textinghousetest.Options{StatusDelay: time.Hour}, func(w *world) {
				m := w.message(alice, "g", "disk full")
				w.put(m)
				synctest.Wait()
				if stored {
					after(2 * time.Second)
				}
				r := receipt(w.get(m.ID))
				r.Status = textinghouse.StatusReceived
				if got, err := w.d.Receive(context.Background(), r); got != delivery.OutcomeApplied || err != nil {
					t.Errorf("%s gives %q, %v", name, got, err)
				}
				w.expect(m.ID, outbox.Delivered, 1)
			})
		}
	}
}

func TestMetrics(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		m := w.message(alice, "g", "disk full")
		w.put(m)
		after(2 * time.Minute)
		if err := testutil.GatherAndCompare(w.reg, strings.NewReader(`
# HELP smspager_messages_total Messages that the provider accepted, and messages by the state they ended in.
# TYPE smspager_messages_total counter
smspager_messages_total{state="accepted"} 1
smspager_messages_total{state="delivered"} 1
smspager_messages_total{state="expired"} 0
smspager_messages_total{state="failed"} 0
smspager_messages_total{state="superseded"} 0
smspager_messages_total{state="unknown"} 0
# HELP smspager_segments_total Segments of accepted messages. The provider bills them, except for those of probes to 999.
# TYPE smspager_segments_total counter
smspager_segments_total{encoding="gsm7"} 1
`), "smspager_messages_total", "smspager_segments_total"); err != nil {
			t.Error(err)
		}
	})
}
