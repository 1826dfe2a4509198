package delivery_test

import (
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// peers is a shared store in which this process leads from its start, and a test acts as another
// replica.
type peers struct {
	flaky
	hints      chan outbox.Hint
	doubted    atomic.Bool   // its lease is in doubt
	deaf       chan struct{} // ends the connection that hints come by
	unreadable atomic.Bool   // messages cannot be read
	opens      atomic.Int64  // how often the open messages were read
	ahead      atomic.Int64  // how far this process's clock is ahead of the database's, a time.Duration
}

func (p *peers) Get(ctx context.Context, id string) (outbox.Message, error) {
	if p.unreadable.Load() {
		return outbox.Message{}, errBroken
	}
	return p.Store.Get(ctx, id)
}

func (p *peers) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	p.opens.Add(1)
	if p.unreadable.Load() {
		return func(yield func(outbox.Message, error) bool) { yield(outbox.Message{}, errBroken) }
	}
	return p.Store.Open(ctx)
}

func (p *peers) Lead(ctx context.Context) (outbox.Lease, func(), error) {
	lease, release := context.WithCancel(ctx)
	return lasting{lease, p}, release, nil
}

func (p *peers) Listen(ctx context.Context, ready func(), hinted func(outbox.Hint)) error {
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case h := <-p.hints:
			hinted(h)
		case <-p.deaf:
			return errBroken
		}
	}
}

func (p *peers) Now(context.Context) (time.Time, error) {
	return time.Now().Add(-time.Duration(p.ahead.Load())), nil
}

// lasting is a lease that lasts until its context ends.
type lasting struct {
	context.Context
	of *peers
}

func (lasting) Term() int64   { return 1 }
func (l lasting) Valid() bool { return l.Err() == nil && !l.of.doubted.Load() }

// inReplica runs a test in a world whose store is shared, and whose process leads.
func inReplica(t *testing.T, test func(w *world, p *peers)) {
	t.Helper()
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		p := &peers{hints: make(chan outbox.Hint, 10), deaf: make(chan struct{})}
		w.shared = true
		w.wraps = func(s outbox.Store) outbox.Store { p.Store = s; return p }
		w.start()
		test(w, p)
	})
}

// storeLate adds a message that another replica sent without the database, and could store only now.
func (p *peers) storeLate(t *testing.T, m outbox.Message, state outbox.State, hint bool) {
	t.Helper()
	m.State, m.AcceptedAt, m.APIID = outbox.Accepted, time.Now(), "5d72"
	if state != outbox.Accepted {
		outbox.Ended(m.ID, "", time.Now(), outbox.StatusOf(textinghouse.StatusReceived), state == outbox.Delivered, "").Apply(&m)
	}
	if _, err := p.Store.Add(context.Background(), outbox.Entry{SeenAt: time.Now(), Messages: []outbox.Message{m}}); err != nil {
		t.Fatal(err)
	}
	if hint {
		p.hints <- outbox.Hint{ID: m.ID}
	}
}

// TestNewerSentByAnotherReplica: another replica sends a message without the database while an older
// message of its lane waits in the leader's queue. The leader does not send the older one any more,
// whatever state the newer one has when it is stored, with or without a hint.
func TestNewerSentByAnotherReplica(t *testing.T) {
	for _, state := range []outbox.State{outbox.Accepted, outbox.Delivered, outbox.Failed} {
		for _, hint := range []bool{true, false} {
			inReplica(t, func(w *world, p *peers) {
				w.outage(40 * time.Second)
				older := w.message(alice, "g", "firing")
				w.put(older)
				after(time.Second)
				p.storeLate(t, w.message(alice, "g", "resolved"), state, hint)
				after(5 * time.Minute)
				if m := w.get(older.ID); m.State != outbox.Superseded || w.sim.TimesAccepted(older.ID) > 0 {
					t.Errorf("the newer message is %s, hint %t: the older one is %s, accepted %d times", state, hint, m.State, w.sim.TimesAccepted(older.ID))
				}
			})
		}
	}
}

// TestNewerSentWithoutTheDatabase: a process that starts without the database leads when the database
// is back. Before it sends older messages, it gives other replicas time to store what they have sent.
func TestNewerSentWithoutTheDatabase(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		w.outage(2 * time.Second)
		older := w.message(alice, "g", "firing")
		w.put(older)
		after(time.Second)
		newer := w.message(alice, "g", "resolved")
		w.halt()
		after(10 * time.Second)
		w.away = 1
		w.start()
		for w.away > 0 || w.spool.Trouble() != nil {
			after(time.Second / 10)
		}
		after(time.Second)
		p.storeLate(t, newer, outbox.Delivered, true)
		after(5 * time.Minute)
		w.expect(older.ID, outbox.Superseded, 0)
	})
}

// TestNewerSentWhileTheLeaseWasInDoubt: the database is away for a moment, in which another replica sends
// a message without it. The leader, whose lease goes on, gives that replica time to store the message
// before it sends an older one. New messages do not wait.
func TestNewerSentWhileTheLeaseWasInDoubt(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		p.doubted.Store(true)
		p.deaf <- struct{}{}
		older, alone := w.message(alice, "g", "firing"), w.message(alice, "h", "alone")
		w.put(older, alone)
		after(time.Second / 10)
		p.doubted.Store(false)
		after(1500 * time.Millisecond)
		p.storeLate(t, w.message(alice, "g", "resolved"), outbox.Accepted, true)
		fresh := w.message(alice, "i", "fresh")
		w.put(fresh)
		synctest.Wait()
		w.expect(fresh.ID, outbox.Accepted, 1)
		w.expect(alone.ID, outbox.Queued, 0)
		after(10 * time.Second)
		w.expect(older.ID, outbox.Superseded, 0)
		w.expect(alone.ID, outbox.Accepted, 1)
	})
}

// TestNewerSentWhileTheLeaderCouldNotWrite: a write of the leader fails, while its lease and its hints go on.
// Another replica may have sent a message without the database then. The leader gives it time to store that.
func TestNewerSentWhileTheLeaderCouldNotWrite(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		w.outage(time.Second)
		older := w.message(alice, "g", "firing")
		w.put(older)
		p.broken.Store(true)
		after(1500 * time.Millisecond)
		p.broken.Store(false)
		after(2 * time.Second)
		p.storeLate(t, w.message(alice, "g", "resolved"), outbox.Accepted, true)
		after(10 * time.Second)
		w.expect(older.ID, outbox.Superseded, 0)
	})
}

// TestFewReadsWhileNothingCanBeWritten: while nothing can be written, the leader does not read the open messages
// again and again. Once it can, it reads them soon.
func TestFewReadsWhileNothingCanBeWritten(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		p.broken.Store(true)
		w.put(w.message(alice, "g", "firing"))
		before := p.opens.Load()
		after(time.Minute)
		if n := p.opens.Load() - before; n > 5 {
			t.Errorf("in a minute, the open messages were read %d times", n)
		}
		p.broken.Store(false)
		before = p.opens.Load()
		after(3 * time.Second)
		if p.opens.Load() == before {
			t.Error("the open messages were not read")
		}
	})
}

// TestNewerWhoseHintCannotBeRead: the leader learns that another replica stored a newer message, but
// cannot read it. Until it can, it does not send older ones.
func TestNewerWhoseHintCannotBeRead(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		w.outage(2 * time.Second)
		older := w.message(alice, "g", "firing")
		w.put(older)
		after(time.Second)
		p.unreadable.Store(true)
		p.storeLate(t, w.message(alice, "g", "resolved"), outbox.Accepted, true)
		after(4 * time.Second)
		fresh := w.message(alice, "h", "fresh")
		w.put(fresh)
		synctest.Wait()
		w.expect(fresh.ID, outbox.Accepted, 1)
		p.unreadable.Store(false)
		after(10 * time.Second)
		w.expect(older.ID, outbox.Superseded, 0)
	})
}

// TestNewerSentDuringAQuestion: while the leader asks the provider about a message, it learns that a newer
// one of its lane was sent. It does not send the older one.
func TestNewerSentDuringAQuestion(t *testing.T) {
	for _, unasked := range []bool{false, true} { // the provider cannot say whether it has the message
		inReplica(t, func(w *world, p *peers) {
			w.outage(time.Minute)
			older, other := w.message(alice, "g", "firing"), w.message(alice, "h", "alone")
			w.put(older, other)
			after(time.Second)
			w.halt()
			w.sim.ClearFaults()
			g := w.script()
			g.status = func(string) (textinghouse.Status, error) {
				time.Sleep(5 * time.Second)
				if unasked {
					return 0, &textinghouse.Error{Code: 201}
				}
				return 0, &textinghouse.Error{Code: textinghouse.CodeUnknownClientID}
			}
			w.start()
			synctest.Wait()
			for asked := 0; asked < len(g.asks[older.ID]) || asked == 0; asked = len(g.asks[older.ID]) {
				after(time.Second)
			}
			p.storeLate(t, w.message(alice, "g", "resolved"), outbox.Accepted, true)
			after(5 * time.Minute)
			w.expect(older.ID, outbox.Superseded, 0)
			if got := w.texts(); !slices.Equal(got, []string{"alone"}) {
				t.Errorf("sent %q", got)
			}
		})
	}
}
