// Package spool is the only way to the store. It commits what must be on disk, writes
// the rest behind, and holds what is not stored yet; its reads see everything.
//
//   - [Spool.Commit] stores an entry and hands its messages over to be sent. If the store
//     fails and the policy allows it, the messages are sent first and stored later.
//   - [Spool.Record] takes in what became of a message. It is stored within a second, with
//     the next commit or by itself, in order.
//
// A slow store, a busy store and a failing store are the same case at different lengths:
// what cannot be stored waits in memory, in order, until it can. Nothing is dropped; how
// much waits, and for how long, is measured.
//
// What a crash loses: changes of the last second, and while the store fails everything
// since. Messages that were committed are in the store, at worst in an older state; law 2
// has the provider asked about each before it is sent again.
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
	// Retry is how long a store that failed is left alone.
	Retry = time.Second
	// sharedGap is how often what other processes stored is read; aloneGap if there are none.
	sharedGap = 2 * time.Second
	aloneGap  = 10 * time.Minute
	// rideDelay is how long the oldest change waits before a commit takes it along, with others,
	// and flushDelay how long it waits for such a commit. A replica that does not lead lets what
	// the leader knows of a message come first.
	rideDelay    = 300 * time.Millisecond
	flushDelay   = 400 * time.Millisecond
	followsDelay = 900 * time.Millisecond
	// rest is how long a change waits at least: the next one of its message, which mostly comes
	// soon, is written with it.
	rest = 100 * time.Millisecond
	// recentMessages is how many messages are remembered that have nothing to be stored.
	recentMessages = 4096
	// lateEntries is how many entries are remembered that were sent first and are stored, and
	// how many that may be stored.
	lateEntries = 1024
)

// Gap returns how often a room reads what may have changed in the store without its doing.
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
	IDs    *outbox.IDs // are kept above those in the store; nil: none are
	// Registerer gets the metrics of the backlog; nil: nothing is measured.
	Registerer prometheus.Registerer
	// Handover gives messages to whoever sends them; direct ones are not in the store.
	// It must not block.
	Handover func(direct bool, ms ...outbox.Message)
	// Withdraw takes back direct messages that are not to be sent by this process.
	Withdraw func(ids []string)
	// Changed is called for every change that Record made, with the message as it is
	// then. It must not block.
	Changed func(outbox.Message, outbox.Change)
	// Committed is called for every entry that was stored or, if the policy allows it,
	// is kept to be stored. It must not block.
	Committed func(*outbox.Entry)
	// Merge makes a page fit that was built while the store could not be read. base is the
	// page that is stored, nil if there is none; taken says that another page has the code.
	// It returns nil if there is nothing to store. Nil: the page is stored as it is.
	Merge func(ctx context.Context, base *outbox.Page, made outbox.Page, taken bool) (*outbox.Page, error)
}

// Spool is a store that does not say no. It is safe for concurrent use.
type Spool struct {
	*opening
	*ledger
	*records
	o        Options
	pulse    *pulse
	flushing chan struct{} // holds one while nobody flushes
	batch    int           // how many changes the next transaction has; of who flushes
	stop     context.CancelFunc
	done     chan struct{}
	clockSet loop.Bell
	failures prometheus.Counter
	rounds   prometheus.Counter
	turned   loop.Pulse
}

// New opens the store, and goes on trying if that fails; an error that is ErrInUse or
// ErrUnusable is returned. The caller must Close it.
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
		o: o, opening: &opening{clocks: &clocks{ids: o.IDs, seen: shelf.readPages, logger: o.Logger}}, ledger: newLedger(o.Shared), pulse: newPulse(), flushing: make(chan struct{}, 1), batch: maxBatch,
		done: make(chan struct{}), clockSet: loop.NewBell(),
	}
	s.records = &records{store: s.opening, shelf: shelf, merge: o.Merge}
	s.flushing <- struct{}{}
	if err := s.open(o.Open, o.Logger); err != nil {
		return nil, err
	}
	s.measure()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.run(ctx)
	return s, nil
}

// Record makes a change to a message, which is known if the caller has it. The change
// is stored later, and read immediately. It reports false if the message's state does
// not allow the change. A message that cannot be read now gets it later; an error is
// ErrNotFound.
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

// Direct reports whether a message is not in the store, and this process is to send it all the
// same. After it was stopped, another replica may have sent it.
func (s *Spool) Direct(id string) bool {
	since, direct := s.direct(id)
	return direct && !(s.o.Shared && s.pulse.stoppedSince(since))
}

// Close stores what is left, as far as it can, and closes the store.
func (s *Spool) Close() error {
	s.stop()
	<-s.done
	return s.opening.close()
}
