package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

// reopenGap is how often a store that could not be opened is tried again.
const reopenGap = time.Second / 2

const (
	// checkGap is how often the store is checked.
	checkGap = 2 * time.Second
	// firstExamine is how long after opening the store is first examined: waiting messages are
	// sent before that.
	firstExamine = 10 * time.Second
	// examineGap is the shortest time between two examinations. These take at most one part in
	// examineShare of all time.
	examineGap   = 10 * time.Minute
	examineShare = 100
)

// opening holds a store that may not be open yet.
type opening struct {
	cancel context.CancelFunc
	ended  chan struct{}
	opened chan struct{} // closed when store is set
	leads  atomic.Bool   // this process leads the replicas that share the store
	clocks *clocks
	// clockSet rings when stored times may be in the future.
	clockSet loop.Bell
	// writeFailed rings when the store could not be written.
	writeFailed loop.Bell

	guard   sync.RWMutex
	store   outbox.Store
	err     error // why it is not open
	failure error // error of the last write, nil if it succeeded
	damage  error // the store was deleted, replaced or damaged
}

func (o *opening) open(open func(context.Context) (outbox.Store, error), logger *slog.Logger) error {
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel, o.ended, o.opened = cancel, make(chan struct{}), make(chan struct{})
	if o.store, o.err = open(ctx); o.err == nil {
		o.adopt(ctx, o.store)
		close(o.opened)
		close(o.ended)
		return nil
	}
	if errors.Is(o.err, outbox.ErrInUse) || errors.Is(o.err, outbox.ErrUnusable) {
		cancel()
		return o.err
	}
	logger.Error("the outbox cannot be opened; until it can, pages are sent first and stored later", "err", o.err)
	go func() {
		defer close(o.ended)
		for loop.Sleep(ctx, reopenGap); ctx.Err() == nil; loop.Sleep(ctx, reopenGap) {
			store, err := open(ctx)
			if err == nil {
				o.adopt(ctx, store)
			}
			o.guard.Lock()
			o.store, o.err = store, err
			o.guard.Unlock()
			if err == nil {
				close(o.opened)
				logger.Info("the outbox is open")
				return
			}
		}
	}()
	return nil
}

// adopt prepares for a store that was just opened. If that fails, the store is used anyway, and rewinds
// tries again.
func (o *opening) adopt(ctx context.Context, store outbox.Store) {
	err := o.clocks.adopt(ctx, store, func(ctx context.Context, e outbox.Entry) error {
		_, err := store.Add(ctx, e)
		return err
	})
	if err != nil {
		o.clocks.logger.Warn("cannot compare the clock with the times in the outbox; trying again", "err", err)
		o.clockSet.Ring()
	}
}

// close stops trying to open the store, and closes it if it is open.
func (o *opening) close() error {
	o.cancel()
	<-o.ended
	store, err := o.get()
	if err != nil {
		return nil // it was never open
	}
	return store.Close()
}

func (o *opening) get() (outbox.Store, error) {
	o.guard.RLock()
	defer o.guard.RUnlock()
	if o.err != nil {
		return nil, fmt.Errorf("the outbox is not open: %w: %w", outbox.ErrNotStored, o.err)
	}
	return o.store, nil
}

// Trouble returns why the store cannot be written, nil while it can.
func (o *opening) Trouble() error {
	o.guard.RLock()
	defer o.guard.RUnlock()
	return cmp.Or(o.err, o.damage, o.failure)
}

// watch checks every checkGap whether the store is whole, and examines it about every
// examineGap, until the context ends.
func (o *opening) watch(ctx context.Context, logger *slog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-o.opened:
	}
	store, ok := o.store.(outbox.Checked)
	if !ok {
		return
	}
	var examining sync.WaitGroup
	defer examining.Wait()
	examining.Go(func() {
		loop.Sleep(ctx, firstExamine)
		for ctx.Err() == nil {
			began := time.Now()
			_ = store.Examine(ctx) // Check reports it
			loop.Sleep(ctx, max(examineGap, examineShare*time.Since(began)))
		}
	})
	for ctx.Err() == nil {
		err := store.Check()
		o.guard.Lock()
		before := o.damage
		o.damage = err
		o.guard.Unlock()
		switch {
		case err != nil && (before == nil || before.Error() != err.Error()):
			logger.Error("the outbox was deleted, replaced or damaged; until this is fixed, pages are sent first and kept in memory", "err", err)
		case err == nil && before != nil:
			logger.Info("the outbox is whole again")
		}
		loop.Sleep(ctx, checkGap)
	}
}

// examined returns why the store is not whole, nil if it is whole, not open, or has no checks.
func (o *opening) examined() error {
	if store, err := o.get(); err == nil {
		if checked, ok := store.(outbox.Checked); ok {
			return checked.Check()
		}
	}
	return nil
}

// add adds an entry to the store, and remembers for Trouble whether that failed.
func (o *opening) add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	store, err := o.get()
	if err != nil {
		return outbox.Added{}, err
	}
	added, err := store.Add(ctx, e)
	if !errors.Is(err, outbox.ErrConflict) && (err == nil || ctx.Err() == nil) {
		o.failed(err)
	}
	return added, err
}

// failed remembers the outcome of the last write; nil: it succeeded.
func (o *opening) failed(err error) {
	o.guard.Lock()
	o.failure = err
	o.guard.Unlock()
	if err != nil {
		o.writeFailed.Ring()
	}
}

// WriteFailed returns a bell that rings when the store could not be written.
func (o *opening) WriteFailed() loop.Bell { return o.writeFailed }

// Lead waits until the store, which must be an [outbox.Shared], is open, and then calls its Lead.
func (o *opening) Lead(ctx context.Context) (outbox.Lease, func(), error) {
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-o.opened:
	}
	s, ok := o.store.(outbox.Shared)
	if !ok {
		return nil, nil, errors.New("replicas cannot share this store")
	}
	lease, release, err := s.Lead(ctx)
	if err == nil {
		o.leads.Store(true)
		context.AfterFunc(lease, func() { o.leads.Store(false) })
	}
	return lease, release, err
}

// Listen calls the Listen of an [outbox.Shared]. For a store that is not shared, it waits until
// the context ends.
func (o *opening) Listen(ctx context.Context, ready func(), hinted func(outbox.Hint)) error {
	if s, ok := o.store.(outbox.Shared); ok {
		return s.Listen(ctx, ready, hinted)
	}
	<-ctx.Done()
	return ctx.Err()
}

// CountPages calls the store's [outbox.Store].CountPages.
func (o *opening) CountPages(ctx context.Context) (map[outbox.PageState]int, error) {
	store, err := o.get()
	if err != nil {
		return nil, err
	}
	return store.CountPages(ctx)
}

// Prune calls the store's [outbox.Store].Prune.
func (o *opening) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	store, err := o.get()
	if err != nil {
		return 0, err
	}
	return store.Prune(ctx, before, limit)
}
