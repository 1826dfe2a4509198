package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// scripted is a gateway whose responses a test may replace. It records the times of all requests.
type scripted struct {
	delivery.Gateway
	send   func(textinghouse.SMS) (string, error)             // nil: the gateway's
	status func(clientID string) (textinghouse.Status, error) // nil: the gateway's

	observe func(textinghouse.Exchange)

	mu    sync.Mutex
	sends map[string][]time.Time // by climsgid
	asks  map[string][]time.Time // by api_id, or by climsgid if the query has no api_id
}

func (g *scripted) Send(ctx context.Context, m textinghouse.SMS) (string, error) {
	g.note(g.sends, m.ClientID)
	if g.send != nil {
		id, err := g.send(m)
		g.observe(textinghouse.Exchange{Command: textinghouse.CommandSend, Err: err})
		return id, err
	}
	return g.Gateway.Send(ctx, m)
}

func (g *scripted) Status(ctx context.Context, apiID string) (textinghouse.Status, error) {
	g.note(g.asks, apiID)
	if g.status != nil {
		return g.replaced(apiID)
	}
	return g.Gateway.Status(ctx, apiID)
}

func (g *scripted) StatusByClientID(ctx context.Context, id string) (textinghouse.Status, error) {
	g.note(g.asks, id)
	if g.status != nil {
		return g.replaced(id)
	}
	return g.Gateway.StatusByClientID(ctx, id)
}

func (g *scripted) replaced(id string) (textinghouse.Status, error) {
	status, err := g.status(id)
	g.observe(textinghouse.Exchange{Command: textinghouse.CommandStatus, Err: err})
	return status, err
}

func (g *scripted) note(in map[string][]time.Time, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in[id] = append(in[id], time.Now())
}

// round is a question about a message, the attempt to send it, or an attempt after its question.
type round struct{ begun, ended time.Time }

// rounds returns the rounds of a message.
func (g *scripted) rounds(id string) (rounds []round) {
	asks, sends := g.asks[id], g.sends[id]
	for asked := false; len(asks)+len(sends) > 0; {
		if len(sends) == 0 || len(asks) > 0 && !sends[0].Before(asks[0]) {
			rounds, asks, asked = append(rounds, round{asks[0], asks[0]}), asks[1:], true
			continue
		}
		if !asked {
			rounds = append(rounds, round{begun: sends[0]})
		}
		rounds[len(rounds)-1].ended, sends, asked = sends[0], sends[1:], false
	}
	return rounds
}

// script puts a scripted gateway in front of the simulator.
func (w *world) script() *scripted {
	g := &scripted{observe: w.d.Observe, sends: make(map[string][]time.Time), asks: make(map[string][]time.Time)}
	w.alter = func(s *delivery.Settings) { g.Gateway, s.Gateway = s.Gateway, g }
	w.d.Configure(w.settings())
	synctest.Wait()
	return g
}

// TestUnknownStatusesAreHarmless: a status that the provider's documentation lacks changes nothing, and
// a final status always applies.
func TestUnknownStatusesAreHarmless(t *testing.T) {
	for _, unknown := range []textinghouse.Status{2, 8, 21, 99} {
		for _, doubtful := range []bool{false, true} { // whether the attempt's outcome is unknown
			inWorld(t, textinghousetest.Options{StatusDelay: 24 * time.Hour}, func(w *world) {
				g := w.script()
				var status atomic.Int64
				status.Store(int64(unknown))
				g.status = func(string) (textinghouse.Status, error) { return textinghouse.Status(status.Load()), nil }
				if doubtful {
					w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1})
				}
				m := w.message(alice, "g", "disk full")
				w.put(m)
				after(10 * time.Minute)
				w.expect(m.ID, outbox.Accepted, 1)
				if got := w.get(m.ID).Status; got != outbox.NoStatus {
					t.Errorf("after status %d the message has %d", unknown, got)
				}
				status.Store(int64(textinghouse.StatusReceived))
				after(24 * time.Hour)
				w.expect(m.ID, outbox.Delivered, 1)
			})
		}
	}
}

// TestEndedMessageIsNotAskedAbout: the provider is not asked about a message that is followed although
// it has ended, because its receipt came before its acceptance.
func TestEndedMessageIsNotAskedAbout(t *testing.T) {
	inWorld(t, textinghousetest.Options{StatusDelay: time.Second}, func(w *world) {
		g := w.script()
		m := w.message(alice, "g", "disk full")
		w.put(m)
		synctest.Wait()
		accepted := w.get(m.ID)
		if _, err := w.d.Receive(context.Background(), textinghouse.Receipt{ClientID: m.ID, Status: 3}); err != nil {
			t.Fatal(err)
		}
		w.d.Changed(accepted, outbox.Change{To: outbox.Accepted}) // comes after the receipt
		after(100 * time.Hour)
		w.expect(m.ID, outbox.Delivered, 1)
		if len(g.asks) > 0 {
			t.Errorf("asked at %v", g.asks)
		}
	})
}

// source is a source of random numbers that several requests share.
type source struct {
	mu sync.Mutex
	*rand.PCG
}

func (s *source) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.PCG.Uint64()
}

// randomStatuses returns a function that responds to getstatus at random, sometimes with undocumented codes.
func randomStatuses(random *rand.Rand) func(string) (textinghouse.Status, error) {
	return func(string) (textinghouse.Status, error) {
		switch random.IntN(5) {
		case 0:
			return textinghouse.Status(random.IntN(3)), nil
		case 1:
			return textinghouse.Status(8 + random.IntN(90)), nil
		case 2:
			return 0, &textinghouse.Error{Code: textinghouse.Code(100 + random.IntN(300))}
		case 3:
			return 0, &textinghouse.UnreadableResponseError{StatusCode: 500}
		}
		return 0, &textinghouse.TransportError{Written: random.IntN(2) == 0, Err: errors.New("reset")}
	}
}

// TestOneQuestionASecond states the poller's law: whatever the provider responds, and however often a
// message is added again, the poller asks about it at most once a second.
func TestOneQuestionASecond(t *testing.T) {
	for seed := range uint64(4) {
		inWorld(t, textinghousetest.Options{StatusDelay: 1000 * time.Hour}, func(w *world) {
			random := rand.New(&source{PCG: rand.NewPCG(seed, 0)})
			g := w.script()
			g.status = randomStatuses(random)
			var all []outbox.Message
			for range 5 {
				m := w.message(alice, "g", "disk full")
				m.State, m.APIID = outbox.Accepted, m.ID
				m.AcceptedAt = m.CreatedAt.Add(time.Duration(random.IntN(200)-100) * time.Hour) // by clocks that are wrong, too
				all = append(all, m)
			}
			w.put(all...)
			for range 300 {
				after(time.Duration(random.IntN(3600)) * time.Second / 10)
				for _, m := range all {
					w.d.Handover(false, m)
				}
			}
			after(200 * time.Hour)
			asked := 0
			for id, at := range g.asks {
				asked += len(at)
				for i := range len(at) - 1 {
					if gap := at[i+1].Sub(at[i]); gap < time.Second {
						t.Fatalf("asked about %s again after %v", id, gap)
					}
				}
			}
			if asked == 0 || asked > 20_000 {
				t.Errorf("asked %d times", asked)
			}
			for _, m := range all {
				w.expect(m.ID, outbox.Unknown, 0)
			}
		})
	}
}

// TestOneAttemptASecond states the sender's law: whatever the provider responds, the rounds of a message
// are at least the first backoff apart and, after the first ones, any three take at least a second.
func TestOneAttemptASecond(t *testing.T) {
	for seed := range uint64(4) {
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			random := rand.New(&source{PCG: rand.NewPCG(seed, 1)})
			g := w.script()
			g.status = randomStatuses(random)
			g.send = func(textinghouse.SMS) (string, error) {
				_, err := g.status("")
				if random.IntN(200) > 0 && (err == nil || !textinghouse.MayHaveBeenAccepted(err) && random.IntN(4) > 0) {
					err = &textinghouse.Error{Code: []textinghouse.Code{101, 104, 300, 350, 999}[random.IntN(5)]}
				}
				return "x", err
			}
			var all []outbox.Message
			for i := range 5 {
				m := w.message(alice, fmt.Sprint(i), fmt.Sprint("text ", i%2))
				m.ExpiresAt = m.CreatedAt.Add(10 * time.Hour)
				all = append(all, m)
			}
			w.put(all...)
			after(12 * time.Hour)
			for _, m := range all {
				rounds := g.rounds(m.ID)
				if len(rounds) == 0 {
					t.Error("a message was never attempted")
				}
				for i := range len(rounds) - 1 {
					if gap := rounds[i+1].begun.Sub(rounds[i].ended); gap < 370*time.Millisecond || i > 1 && rounds[i+1].begun.Sub(rounds[i-1].begun) < time.Second {
						t.Errorf("%d rounds about %s, number %d after %v: %v", len(rounds), m.ID, i+1, gap, rounds[max(0, i-2):min(len(rounds), i+3)])
						break
					}
				}
			}
		})
	}
}

// fickle is a shared store that grants the lead only for a time, and whose hints end.
type fickle struct {
	outbox.Store
	valid        bool
	holds        time.Duration // how long the lead lasts; 0: it is lost immediately
	leads, reads int
}

type lease struct {
	context.Context
	of *fickle
}

func (l lease) Valid() bool { return l.of.valid && l.Err() == nil }

func (lease) Term() int64 { return 1 }

func (f *fickle) Lead(ctx context.Context) (outbox.Lease, func(), error) {
	f.leads++
	held, cancel := context.WithTimeout(ctx, f.holds)
	return lease{held, f}, cancel, nil
}

func (f *fickle) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (f *fickle) Listen(_ context.Context, ready func(), _ func(outbox.Hint)) error {
	ready()
	return errors.New("ended")
}

func (f *fickle) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	f.reads++
	return f.Store.Open(ctx)
}

// TestLeaderDoesNotSpin: the leader and the sender do not spin if the lead is lost immediately or
// cannot be proved.
func TestLeaderDoesNotSpin(t *testing.T) {
	for _, f := range []*fickle{{valid: true}, {holds: time.Hour}, {valid: true, holds: time.Hour}} {
		inWorld(t, textinghousetest.Options{}, func(w *world) {
			w.halt()
			w.shared = true
			w.wraps = func(s outbox.Store) outbox.Store { f.Store = s; return f }
			w.start()
			m := w.message(alice, "g", "disk full")
			w.put(m)
			const seconds = 60
			after(seconds * time.Second)
			if accepted := w.sim.TimesAccepted(m.ID); accepted > 0 != (f.valid && f.holds > 0) {
				t.Errorf("%+v: the message was accepted %d times", f, accepted)
			}
			if f.leads > seconds+1 || f.reads > seconds+10 {
				t.Errorf("in a minute, the leader tried to lead %d times, and read the open messages %d times", f.leads, f.reads)
			}
			if n := measured(w, "smspager_loop_rounds_total"); n == 0 || n > 10*seconds {
				t.Errorf("the first loop had %v rounds", n)
			}
		})
	}
}

// pages lets a test act while the sender waits for Needless.
type pages struct{ meanwhile func() }

func (p pages) Needless(context.Context, outbox.Message) string {
	p.meanwhile()
	return ""
}

func (pages) Undelivered(context.Context, string) {}

// TestLeaseIsCheckedLast: a leader that loses the lease while it waits for something does not send.
func TestLeaseIsCheckedLast(t *testing.T) {
	f := &fickle{valid: true, holds: 100 * time.Hour}
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		w.shared, w.pages = true, pages{func() { f.valid = false }}
		w.wraps = func(s outbox.Store) outbox.Store { f.Store = s; return f }
		m := w.message(alice, "g", "disk full")
		after(time.Hour / 2) // too old to count as certainly still needed
		w.start()
		w.put(m)
		after(time.Minute)
		w.expect(m.ID, outbox.Queued, 0)
	})
}
