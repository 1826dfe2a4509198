// Package spool is the only way to the store. It commits what must be on disk, writes
// the rest later, and holds what is not stored yet; its reads include that.
//
//   - [Spool.Commit] stores an entry and hands its messages over to be sent. If the store
//     fails and the policy allows it, the messages are sent first and stored later.
//   - [Spool.Record] records a change of a message. The change is stored within a second,
//     with the next commit or by itself, in order.
//
// A slow store, a busy store and a failing store are the same case at different lengths:
// what cannot be stored waits in memory, in order, until it can. Nothing is dropped; how
// much waits, and for how long, is measured.
//
// A crash loses the changes of the last second and, if the store fails, everything since it
// began to fail. Messages that were committed are in the store, at worst in an older state; by
// law 2, the provider is asked about each before it is sent again.
package spool

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// Retry is the pause before a store that failed is tried again.
	Retry = time.Second
	// sharedGap is how often changes by other replicas are read; aloneGap is the same for a
	// store that is not shared.
	sharedGap = 2 * time.Second
	aloneGap  = 10 * time.Minute
	// batchDelay is how long the oldest change waits before a commit takes the waiting changes
	// along, and flushDelay how long it waits for such a commit. A replica that does not lead
	// waits for followsDelay, so that the leader's changes of a message are stored first.
	batchDelay   = 300 * time.Millisecond
	flushDelay   = 400 * time.Millisecond
	followsDelay = 900 * time.Millisecond
	// rest is the shortest time that a change waits: the next change of its message, which usually
	// comes soon, is then written with it.
	rest = 100 * time.Millisecond
	// recentMessages is how many messages with nothing left to store are remembered.
	recentMessages = 4096
	// lateEntries is how many entries are remembered that were sent first and are stored, and
	// how many whose commit has an unknown outcome.
	lateEntries = 1024
)

// Gap returns how often a package that caches what is stored reads it again.
func Gap(shared bool) time.Duration {
	if shared {
		return sharedGap
	}
	return aloneGap
}

// Options are what New needs. Open is required.
type Options struct {
	// Open opens the store. A failure that may pass is tried again; ErrInUse and
	// ErrUnusable are not.
	Open   func(context.Context) (outbox.Store, error)
	Shared bool // the store is an outbox.Shared that other replicas may use
	Logger *slog.Logger
	IDs    *outbox.IDs // keeps IDs above those in the store; nil: the caller makes none
	// Registerer gets the metrics of the backlog; nil: nothing is measured.
	Registerer prometheus.Registerer
	// Handover passes messages to the sender; direct ones are not in the store.
	// It must not block.
	Handover func(direct bool, ms ...outbox.Message)
	// Withdraw takes back direct messages that this process must not send.
	Withdraw func(ids []string)
	// Changed is called for every change that Record made, with the message after the
	// change. It must not block.
	Changed func(outbox.Message, outbox.Change)
	// Committed is called for every entry that was stored or, if the policy allows it,
	// is kept for storing later. It must not block.
	Committed func(*outbox.Entry)
	// Merge reconciles made, a page that was built while the store could not be read, with base,
	// the stored page, nil if there is none. codeTaken: another page has the code. It returns nil if
	// there is nothing to store. If Merge is nil, pages are stored as they were built.
	Merge func(ctx context.Context, base *outbox.Page, made outbox.Page, codeTaken bool) (*outbox.Page, error)
}

// Spool commits to a store, and holds what is not stored yet. It is safe for concurrent use.
type Spool struct {
	*opening
	*ledger
	*records
	o          Options
	pulse      *pulse
	flushing   chan struct{} // holds one value while nobody flushes
	batch      int           // how many changes the next transaction writes; owned by whoever flushes
	stop       context.CancelFunc
	done       chan struct{}
	failures   prometheus.Counter
	rounds     prometheus.Counter
	flushPulse loop.Pulse
}

// New opens the store. If that fails, it keeps trying in the background, unless the error is
// ErrInUse or ErrUnusable, which it returns. The caller must Close the spool.
func New(o Options) (*Spool, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(outbox.Message, outbox.Change) {}
	}
	if o.Handover == nil {
		o.Handover = func(bool, ...outbox.Message) {}
	}
	if o.Committed == nil {
		o.Committed = func(*outbox.Entry) {}
	}
	if o.Withdraw == nil {
		o.Withdraw = func([]string) {}
	}
	shelf := newShelf(o.Shared)
	s := &Spool{
		o: o, opening: &opening{clocks: &clocks{ids: o.IDs, seen: shelf.readCurrent, logger: o.Logger}, clockSet: loop.NewBell(), writeFailed: loop.NewBell()}, ledger: newLedger(o.Shared), flushing: make(chan struct{}, 1), batch: maxBatch,
		done: make(chan struct{}),
	}
	s.records = &records{store: s.opening, shelf: shelf, merge: o.Merge}
	s.flushing <- struct{}{}
	if err := s.open(o.Open, o.Logger); err != nil {
		return nil, err
	}
	s.pulse = newPulse() // opening the store may have taken any time
	s.measure()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.run(ctx)
	return s, nil
}

// Record makes a change to a message; known is the message if the caller has it, otherwise
// nil. Reads see the change immediately; it is stored later. Record reports false if the
// message's state does not allow the change. If the message cannot be read now, the change
// is made once it can; the only error is ErrNotFound.
func (s *Spool) Record(ctx context.Context, c outbox.Change, known *outbox.Message) (made bool, err error) {
	s.mu.Lock()
	t := s.tracked(c.ID)
	if t == nil && known != nil {
		t = s.track(*known)
	}
	if t == nil {
		s.mu.Unlock()
		m, err := s.read(ctx, c.ID)
		if errors.Is(err, outbox.ErrNotFound) {
			return false, err
		}
		s.mu.Lock()
		switch t = s.tracked(c.ID); {
		case t != nil: // meanwhile
		case err != nil:
			t = &tracked{m: outbox.Message{ID: c.ID}, unread: true}
		default:
			t = s.track(m)
		}
	}
	if t.unread {
		s.put(t, c)
		s.mu.Unlock()
		return true, nil
	}
	made = s.apply(t, c)
	m := t.m
	s.mu.Unlock()
	if made {
		s.o.Changed(m, c)
	}
	return made, nil
}

// Direct reports whether this process must send a message although it is not in the store. If the
// process was stopped since, it must not: another replica may have sent the message.
func (s *Spool) Direct(id string) bool {
	since, direct := s.direct(id)
	return direct && !(s.o.Shared && s.pulse.stoppedSince(since))
}

// Close stores what is left, if it can, and closes the store.
func (s *Spool) Close() error {
	s.stop()
	<-s.done
	return s.opening.close()
}
