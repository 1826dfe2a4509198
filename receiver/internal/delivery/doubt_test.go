package delivery_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// broken is a transport that replaces the simulator's responses to getstatus.
type broken struct {
	http.RoundTripper
	respond http.HandlerFunc // nil: the request hangs
}

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	copied := r.Clone(r.Context())
	copied.Body, _ = r.GetBody()
	if _ = copied.ParseForm(); copied.PostForm.Get("cmd") != textinghouse.CommandStatus {
		return b.RoundTripper.RoundTrip(r)
	}
	if b.respond == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	b.respond(w, r)
	return w.Result(), nil
}

// breakStatus makes a handler respond to getstatus.
func (w *world) breakStatus(respond http.HandlerFunc) {
	w.alter = func(s *delivery.Settings) { s.Gateway = w.client(broken{w.sim.Transport(), respond}) }
	w.d.Configure(w.settings())
	synctest.Wait()
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// TestDoubtEnds: while the provider cannot say what it has, a message in doubt holds up its lane and
// its text only until its request must have ended. It is sent again after two minutes.
func TestDoubtEnds(t *testing.T) {
	for name, respond := range map[string]http.HandlerFunc{
		"500":                   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) },
		"302":                   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"HTML":                  body("<html>Maintenance</html>"),
		"nothing":               nil,
		"empty":                 body(""),
		"ERR 300":               body("ERR: 300 | Error processing request"),
		"ERR 100":               body("ERR: 100 | Missing parameter"),
		"ERR 201":               body("ERR: 201 | Unknown api_id"),
		"ERR 300 without a bar": body("ERR: 300"),
	} {
		for _, accepted := range []bool{false, true} { // whether the provider has the message in doubt
			t.Run(name, func(t *testing.T) { doubtEnds(t, respond, accepted) })
		}
	}
}

func doubtEnds(t *testing.T, respond http.HandlerFunc, accepted bool) {
	inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, func(w *world) {
		w.breakStatus(respond)
		kind := textinghousetest.DropBefore
		if accepted {
			kind = textinghousetest.DropAfter
		}
		w.sim.AddFault(textinghousetest.Fault{Kind: kind, Command: "sendsms", Times: 2})
		first, alone := w.message(alice, "g", "disk full"), w.message("+33612345679", "g", "disk full")
		w.put(first, alone)
		after(time.Second)
		newer, equal := w.message(alice, "g", "disk full, and RAID"), w.message("+33612345679", "h", "disk full")
		w.put(newer, equal)
		after(9*time.Second + 100*time.Millisecond) // the request has ended
		if respond == nil {
			after(11 * time.Second) // the question that hangs has ended, too
		}
		w.expect(newer.ID, outbox.Accepted, 1)
		w.expect(equal.ID, outbox.Accepted, 1)
		times := map[bool]int{true: 1}[accepted]
		w.expect(first.ID, outbox.Superseded, times)
		after(90 * time.Second)
		w.expect(alone.ID, outbox.Sending, times)
		after(70 * time.Second)
		w.expect(alone.ID, outbox.Accepted, times+1)
		w.expect(first.ID, outbox.Superseded, times)
		if n := measured(w, "smspager_messages_possibly_twice_total"); n != 1 {
			t.Errorf("%v messages are counted that may arrive twice", n)
		}
		notified := 0
		for _, e := range w.get(alone.ID).Events {
			if strings.Contains(e.Detail, "it may arrive twice") {
				notified++
			}
		}
		if notified != 1 {
			t.Errorf("the history is %+v", w.get(alone.ID).Events)
		}
	})
}

// TestNewerMessagePassesLateDoubt: a newer message of the lane does not wait for the next question
// about a message whose request ended long ago.
func TestNewerMessagePassesLateDoubt(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, func(w *world) {
		w.breakStatus(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) })
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropBefore, Command: "sendsms", Times: 1})
		first := w.message(alice, "g", "firing")
		w.put(first)
		after(10 * time.Minute)
		w.expect(first.ID, outbox.Sending, 0)
		newer := w.message(alice, "g", "resolved")
		w.put(newer)
		synctest.Wait()
		w.expect(newer.ID, outbox.Accepted, 1)
		w.expect(first.ID, outbox.Superseded, 0)
	})
}

// TestDoubtOfALoneMessageEnds: if no other message shows that sending works, a response to a request
// for the credit does. Without that, the doubt ends after 72 hours.
func TestDoubtOfALoneMessageEnds(t *testing.T) {
	for _, credit := range []bool{true, false} {
		inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, func(w *world) {
			w.breakStatus(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) })
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1})
			m := w.message(alice, "g", "disk full")
			w.put(m)
			after(5 * time.Minute)
			w.expect(m.ID, outbox.Sending, 1)
			if credit {
				w.d.Observe(textinghouse.Exchange{Command: textinghouse.CommandCredit})
				after(time.Minute)
				w.expect(m.ID, outbox.Accepted, 2)
				return
			}
			after(73 * time.Hour)
			w.expect(m.ID, outbox.Unknown, 1)
		})
	}
}

// TestDoubtEndsInANewTerm: if a message has already waited long, a new term does not ask about it for
// another two minutes.
func TestDoubtEndsInANewTerm(t *testing.T) {
	for _, tc := range []struct {
		age   time.Duration
		tried bool
		want  outbox.State
	}{
		{time.Minute, false, outbox.Queued}, {5 * time.Minute, false, outbox.Accepted},
		{time.Minute, true, outbox.Sending}, {5 * time.Minute, true, outbox.Accepted},
	} {
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			w.halt()
			m := w.message(alice, "g", "disk full")
			if tc.tried {
				outbox.Attempted(m.ID, time.Now(), "").Apply(&m)
			}
			w.stored(m)
			after(tc.age)
			w.breakStatus(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) })
			w.start()
			for i := range 6 { // sending works
				other := fmt.Sprint("other ", i)
				w.put(w.message("+33639980009", other, other))
				after(10 * time.Second)
			}
			if got := w.get(m.ID); got.State != tc.want {
				t.Errorf("%+v: a minute into a new term the message is %s", tc, got.State)
			}
		})
	}
}

// TestRefusedAccountIsTriedWithOtherMessages: a message that cannot succeed for a reason of its own does not
// keep the others waiting after a temporary refusal of the account.
func TestRefusedAccountIsTriedWithOtherMessages(t *testing.T) {
	const bob = "+33612345679"
	for name, tc := range map[string]struct {
		hopeless func(textinghouse.SMS) bool // a filter refuses it, or its outcome is unknown
		err      error
		odd      int // number of hopeless messages
	}{
		"a text that a filter refuses":               {func(m textinghouse.SMS) bool { return strings.HasPrefix(m.Text, "odd") }, &textinghouse.UnreadableResponseError{StatusCode: 403}, 1},
		"texts that a filter refuses, to one number": {func(m textinghouse.SMS) bool { return strings.HasPrefix(m.Text, "odd") }, &textinghouse.UnreadableResponseError{StatusCode: 403}, 20},
		"a number that a filter refuses":             {func(m textinghouse.SMS) bool { return m.To == string(alice) }, &textinghouse.UnreadableResponseError{StatusCode: 403}, 1},
		"a message in doubt":                         {func(m textinghouse.SMS) bool { return strings.HasPrefix(m.Text, "odd") }, &textinghouse.TransportError{Written: true, Err: errors.New("reset")}, 1},
	} {
		inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, func(w *world) {
			g := w.script()
			var works atomic.Bool
			g.status = func(string) (textinghouse.Status, error) {
				return 0, &textinghouse.UnreadableResponseError{StatusCode: 500}
			}
			g.send = func(m textinghouse.SMS) (string, error) {
				switch {
				case !works.Load():
					return "", &textinghouse.Error{Code: textinghouse.CodeAuthentication}
				case tc.hopeless(m):
					return "", tc.err
				}
				return "x" + m.ClientID, nil
			}
			var others []outbox.Message
			for _, group := range []string{"a", "b", "c", "d"} {
				to := e164.Number(alice)
				if tc.odd > 1 || name == "a number that a filter refuses" {
					to = bob
				}
				others = append(others, w.message(to, group, group))
			}
			w.put(others...)
			for i := range tc.odd { // newer than the others
				w.put(w.message(alice, fmt.Sprint("odd", i), fmt.Sprint("odd", i)))
			}
			after(30 * time.Second)
			works.Store(true)
			after(3 * time.Minute)
			for _, m := range others {
				if got := w.get(m.ID); got.State != outbox.Accepted {
					t.Errorf("%s: the message to %s of %s is %s", name, m.To, m.GroupKey, got.State)
				}
			}
			if w.d.Refusal() != "" {
				t.Errorf("%s: still refused: %s", name, w.d.Refusal())
			}
		})
	}
}

// TestAnyReadableResponseEndsTheRefusal: a readable response to any request ends the refusal of the
// account.
func TestAnyReadableResponseEndsTheRefusal(t *testing.T) {
	for name, x := range map[string]textinghouse.Exchange{
		"credit":         {Command: textinghouse.CommandCredit},
		"getstatus: 202": {Command: textinghouse.CommandStatus, Err: &textinghouse.Error{Code: textinghouse.CodeUnknownClientID}},
		"a status":       {Command: textinghouse.CommandStatus},
		"sendsms: 350":   {Command: textinghouse.CommandSend, Err: &textinghouse.Error{Code: textinghouse.CodeFlood}},
	} {
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 104, Command: "sendsms", Times: 1})
			m := w.message(alice, "g", "disk full")
			w.put(m)
			after(2 * time.Second)
			w.expect(m.ID, outbox.Queued, 0)
			old := x
			old.Duration = 10 * time.Second // begun before the refusal
			for _, proves := range []textinghouse.Exchange{
				old,
				{Command: x.Command, Err: &textinghouse.UnreadableResponseError{StatusCode: 403}},
				{Command: x.Command, Err: &textinghouse.TransportError{Written: true, Err: errors.New("reset")}},
				{Command: x.Command, Err: &textinghouse.Error{Code: textinghouse.CodeInsufficientCredit}},
			} {
				w.d.Observe(proves)
				synctest.Wait()
				if w.d.Refusal() == "" {
					t.Errorf("%s: %v ended the refusal", name, proves)
				}
			}
			w.d.Observe(x)
			synctest.Wait()
			w.expect(m.ID, outbox.Accepted, 1)
			if w.d.Refusal() != "" {
				t.Errorf("%s: still refused", name)
			}
		})
	}
}

// TestQuestionsDoNotStormARefusedAccount: without credit, the provider still serves questions. They
// end a refusal at most once a minute.
func TestQuestionsDoNotStormARefusedAccount(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 104, Command: "sendsms"})
		g := w.script()
		m := w.message(alice, "g", "disk full")
		w.put(m)
		for range 600 {
			w.d.Observe(textinghouse.Exchange{Command: textinghouse.CommandStatus})
			after(time.Second)
		}
		if n := len(g.sends[m.ID]); n < 5 || n > 22 {
			t.Errorf("tried %d times in ten minutes", n)
		}
	})
}

// TestLaggingGetstatusMakesNoDouble: a message is sent once even if getstatus knows it only seconds
// after the acceptance, and its request hangs or breaks off.
func TestLaggingGetstatusMakesNoDouble(t *testing.T) {
	for _, lag := range []time.Duration{2 * time.Second, 8 * time.Second, 9800 * time.Millisecond} {
		for _, accepted := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, 7 * time.Second, 9900 * time.Millisecond} {
			for _, hangs := range []bool{true, false} {
				inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, func(w *world) {
					late := &lagging{RoundTripper: w.sim.Transport(), sim: w.sim, lag: lag, accepted: accepted, hangs: hangs}
					w.alter = func(s *delivery.Settings) { s.Gateway = w.client(late) }
					w.d.Configure(w.settings())
					synctest.Wait()
					m := w.message(alice, "g", "disk full")
					w.put(m)
					after(2 * time.Minute)
					if w.expect(m.ID, outbox.Accepted, 1); t.Failed() {
						t.Fatalf("a lag of %v, accepted after %v, hangs: %t", lag, accepted, hangs)
					}
				})
			}
		}
	}
}

// lagging is a provider that accepts the first message late without responding. Its getstatus knows
// a message only some time after the acceptance.
type lagging struct {
	http.RoundTripper
	sim           *textinghousetest.Simulator
	lag, accepted time.Duration
	hangs         bool // the first request hangs; otherwise it breaks off after the acceptance
	sent          bool
}

func (l *lagging) RoundTrip(r *http.Request) (*http.Response, error) {
	copied := r.Clone(r.Context())
	copied.Body, _ = r.GetBody()
	_ = copied.ParseForm()
	switch command := copied.PostForm.Get("cmd"); {
	case command == textinghouse.CommandStatus:
		for _, m := range l.sim.Messages() {
			if m.ClientID == copied.PostForm.Get("climsgid") && time.Since(m.At) < l.lag {
				w := httptest.NewRecorder()
				body("ERR: 202 | unknown")(w, r)
				return w.Result(), nil
			}
		}
	case command == textinghouse.CommandSend && !l.sent:
		l.sent = true
		httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
		time.Sleep(l.accepted)
		response, err := l.RoundTripper.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_ = response.Body.Close()
		if l.hangs {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return nil, errors.New("reset")
	}
	return l.RoundTripper.RoundTrip(r)
}

// unguarded is a gateway with endpoints that share nothing.
type unguarded struct{ delivery.Gateway }

func (unguarded) Guards(string) bool { return false }

// TestLagWithoutFloodRule: if no flood rule guards against a double, a message that another process
// tried is not sent again until getstatus must know it.
func TestLagWithoutFloodRule(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) { s.Gateway = unguarded{s.Gateway} }
		w.halt()
		w.start()
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Lag, Delay: 9 * time.Second})
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1})
		m := w.message(alice, "g", "disk full")
		w.put(m)
		synctest.Wait()
		w.halt()
		w.start()
		after(time.Minute)
		w.expect(m.ID, outbox.Delivered, 1)
		if n := w.sim.Requests("acme", "sendsms"); n != 1 {
			t.Errorf("the message was sent %d times", n)
		}
	})
}
