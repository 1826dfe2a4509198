package delivery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestClockGapBeginsANewTerm: after the machine slept, the process was stopped or the clock was set, the
// provider is asked about waiting messages before they are sent.
func TestClockGapBeginsANewTerm(t *testing.T) {
	for name, tc := range map[string]struct {
		steady, wall time.Duration
		asks         bool
	}{
		"nothing":                    {},
		"a slow moment":              {steady: 10 * time.Second, wall: 10 * time.Second},
		"a clock that is adjusted":   {wall: -time.Second},
		"the machine slept":          {wall: 10 * time.Minute, asks: true},
		"the process was stopped":    {steady: 2 * time.Minute, wall: 2 * time.Minute, asks: true},
		"the clock was set back":     {wall: -3 * time.Hour, asks: true},
		"the clock was set forwards": {wall: 3 * time.Hour, asks: true},
	} {
		inWorld(t, textinghousetest.Options{StatusDelay: 100 * time.Hour}, func(w *world) {
			w.halt()
			began := time.Now()
			var steady, wall atomic.Int64
			w.clocks = func() (time.Duration, time.Duration) {
				passed := time.Since(began)
				return passed + time.Duration(steady.Load()), passed + time.Duration(wall.Load())
			}
			w.start()
			g := w.script()
			w.outage(20 * time.Second)
			m := w.message(alice, "g", "disk full")
			w.put(m)
			after(7 * time.Second)
			steady.Store(int64(tc.steady))
			wall.Store(int64(tc.wall))
			after(time.Minute)
			w.expect(m.ID, outbox.Accepted, 1)
			asks, noticed := g.asks[m.ID], began.Add(10*time.Second)
			if len(asks) > 0 != tc.asks {
				t.Errorf("%s: %d questions, want some: %t", name, len(asks), tc.asks)
			}
			for _, at := range g.sends[m.ID] {
				if tc.asks && at.After(noticed) && at.Before(asks[0]) {
					t.Errorf("%s: sent after %v, asked after %v", name, at.Sub(began), asks[0].Sub(began))
				}
			}
		})
	}
}

// TestSweepUsesTheDatabasesClock: a leader whose clock is ahead of the database's keeps the limits, and
// does not send a message of another replica after a newer one of its lane.
func TestSweepUsesTheDatabasesClock(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		w.halt()
		w.alter = limited
		p.ahead.Store(int64(time.Hour))
		w.start()
		for i := range 5 {
			w.put(w.message(alice, fmt.Sprint("g", i), fmt.Sprint("disk ", i)))
		}
		after(50 * time.Second)
		const bob = "+33612345679"
		late := w.message(bob, "g", "firing")
		newer := w.message(bob, "g", "resolved")
		w.put(newer)
		after(15 * time.Second) // the queue is swept every minute
		w.expect(newer.ID, outbox.Accepted, 1)
		if _, err := p.Store.Add(context.Background(), outbox.Entry{SeenAt: w.spool.Now(), Messages: []outbox.Message{late}}); err != nil {
			t.Fatal(err)
		}
		p.hints <- outbox.Hint{ID: late.ID}
		sixth := w.message(alice, "g6", "disk 6")
		w.put(sixth)
		after(5 * time.Second)
		w.expect(late.ID, outbox.Superseded, 0)
		w.expect(sixth.ID, outbox.Queued, 0)
	})
}

// TestDatabaseClockSetBack: if the database's clock is set back, nothing waits until it has caught up: neither
// attempts, questions, limits, the account, nor polls.
func TestDatabaseClockSetBack(t *testing.T) {
	const bob, carol = e164.Number("+33612345679"), e164.Number("+33612345670")
	for name, before := range map[string]func(w *world) (undo func(), ms []outbox.Message){
		"an attempt that failed": func(w *world) (func(), []outbox.Message) {
			ms := []outbox.Message{w.message(alice, "g", "disk full")}
			return w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 300, Command: "sendsms"}), ms
		},
		"an attempt in doubt": func(w *world) (func(), []outbox.Message) {
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropBefore, Command: "sendsms", Times: 1})
			return w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 300, Command: "getstatus"}), []outbox.Message{w.message(alice, "g", "disk full")}
		},
		"a refused account": func(w *world) (func(), []outbox.Message) {
			ms := []outbox.Message{w.message(alice, "g", "disk full"), w.message(bob, "g", "disk full"), w.message(carol, "g", "disk full")}
			return w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 101}), ms
		},
		"limits": func(w *world) (func(), []outbox.Message) {
			var ms []outbox.Message
			for i := range 6 {
				ms = append(ms, w.message(alice, fmt.Sprint("g", i), fmt.Sprint("disk ", i)))
			}
			return func() {}, ms
		},
		"polls": func(w *world) (func(), []outbox.Message) {
			return func() {}, []outbox.Message{w.message(alice, "g", "disk full")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inReplica(t, func(w *world, p *peers) {
				w.alter = limited
				w.d.Configure(w.settings())
				after(time.Minute)
				undo, ms := before(w)
				w.put(ms...)
				after(20 * time.Second)
				p.ahead.Store(int64(3 * time.Hour))
				after(time.Second)
				undo()
				after(20 * time.Minute)
				for _, m := range ms {
					w.expect(m.ID, outbox.Delivered, 1)
				}
			})
		})
	}
}

// TestMessageFromTheFuture: a message stored by a clock that was ahead counts as made when the process
// starts.
func TestMessageFromTheFuture(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		m := w.message(alice, "g", "disk full")
		m.CreatedAt = m.CreatedAt.Add(3 * time.Hour)
		m.ExpiresAt = m.CreatedAt.Add(time.Hour)
		w.put(m)
		w.halt()
		w.outage(90 * time.Minute)
		w.start()
		after(2 * time.Hour)
		w.expect(m.ID, outbox.Expired, 0)
	})
}

// TestClockSetBackRewindsPages: pages with times in the future count as written now, also if the
// clock is set back while the process runs.
func TestClockSetBackRewindsPages(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		began := time.Now()
		var wall atomic.Int64
		w.clocks = func() (time.Duration, time.Duration) {
			passed := time.Since(began)
			return passed, passed + time.Duration(wall.Load())
		}
		w.start()
		then := began.Add(3 * time.Hour)
		p := outbox.Page{ID: "p", Receiver: "oncall", GroupKey: "g", Code: "17", State: outbox.PageOpen, OpenedAt: then, UpdatedAt: then, DueAt: then.Add(5 * time.Minute), Doc: []byte(`{}`)}
		if _, err := w.spool.Try(context.Background(), spool.Strict, outbox.Entry{Page: &p}); err != nil {
			t.Fatal(err)
		}
		wall.Store(int64(-3 * time.Hour))
		after(time.Minute)
		ps, err := w.spool.Pages(context.Background(), outbox.PageQuery{Current: true, Limit: 2})
		if err != nil || len(ps) != 1 || ps[0].DueAt.After(began.Add(6*time.Minute)) {
			t.Errorf("the pages are %+v, %v", ps, err)
		}
	})
}
