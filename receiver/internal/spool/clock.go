package spool

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// clockGap is how often a shared database's clock is read.
	clockGap = 5 * time.Second
	// clockPatience is how long the store may take over all that depends on clocks.
	clockPatience = 5 * time.Second
	// badClock is how far this process's clock may be from that of a shared database before it is
	// reported.
	badClock = 5 * time.Second
)

// clocks keeps what this process writes in order with what the store has, whose writers had
// other clocks. The times in a shared store are all by one clock, the database's: this process's
// own may be hours away from other replicas', and may be set at any moment.
type clocks struct {
	ids    *outbox.IDs // nil: none
	seen   func(current []outbox.Page, all bool)
	logger *slog.Logger
	read   atomic.Pointer[shown] // nil: this process's clock counts
}

// shown is what a database's clock showed, and this process's, at one moment.
type shown struct{ theirs, ours time.Time }

// now is the time by which everything is stored and decided. If it is the database's, it goes on as
// this process's monotonic clock does, which is never set, until the database's is read again.
func (c *clocks) now() time.Time {
	if r := c.read.Load(); r != nil {
		return r.theirs.Add(time.Since(r.ours))
	}
	return time.Now()
}

// Now returns the time, by the clock of all stored times.
func (o *opening) Now() time.Time { return o.clocks.now() }

// ClockAhead returns how far this process's clock is ahead of a shared database's.
func (o *opening) ClockAhead() time.Duration {
	return time.Now().Round(0).Sub(o.Now().Round(0))
}

// BadClock reports whether this process's clock is so far from a shared database's that somebody must
// set it.
func (o *opening) BadClock() bool { return o.ClockAhead().Abs() > badClock }

// adopt makes a store that was just opened fit this process's clock, and new ids those of
// the store. It is not an error if that fails: the store is used all the same.
func (c *clocks) adopt(ctx context.Context, store outbox.Store) {
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	add := func(e outbox.Entry) error {
		_, err := store.Add(ctx, e)
		return err
	}
	err := errors.Join(c.order(ctx, store), c.follow(ctx, store))
	if err == nil {
		err = rewind(ctx, store, c.now(), add, c.seen, c.logger)
	}
	if err != nil {
		c.logger.Warn("cannot compare the clock with the times in the outbox", "err", err)
	}
}

// order has new ids be greater than all in the store.
func (c *clocks) order(ctx context.Context, store outbox.Store) error {
	if c.ids == nil {
		return nil
	}
	ms, err := store.List(ctx, outbox.Query{Limit: 1})
	for _, m := range ms {
		c.ids.Above(m.ID)
	}
	ps, err2 := store.Pages(ctx, outbox.PageQuery{Limit: 1})
	for _, p := range ps {
		c.ids.Above(p.ID)
	}
	return errors.Join(err, err2)
}

// follow reads the clock of a database that replicas share. Nobody knows when it was right while it
// was being read, so a reading counts only if it proves that the one before is wrong: otherwise the
// clocks of two replicas would differ by as much as a slow reading took.
func (c *clocks) follow(ctx context.Context, store outbox.Store) error {
	shared, ok := store.(outbox.Shared)
	if !ok {
		return nil
	}
	began := time.Now()
	theirs, err := shared.Now(ctx)
	if err != nil {
		return err
	}
	half := time.Since(began) / 2
	r := &shown{theirs: theirs.Round(0), ours: began.Add(half)}
	if before := c.read.Load(); before == nil || r.theirs.Sub(before.theirs.Add(r.ours.Sub(before.ours))).Abs() > half {
		c.read.Store(r)
	}
	return nil
}

// rewind makes pages that are not over, and marks, count as written now if a store has times for
// them that lie in the future. seen gets the pages that are not over as they are stored then; all:
// they are all.
func rewind(ctx context.Context, store outbox.Store, now time.Time, add func(outbox.Entry) error, seen func(ps []outbox.Page, all bool), logger *slog.Logger) error {
	rewound := 0
	write := func(e outbox.Entry) error {
		err := add(e)
		switch {
		case err == nil:
			rewound++
		case errors.Is(err, outbox.ErrConflict): // written meanwhile
			err = nil
		}
		return err
	}
	q := outbox.PageQuery{Current: true, Limit: 100}
	for all := false; !all; {
		ps, err := store.Pages(ctx, q)
		if err != nil {
			return err
		}
		for i := range ps {
			q.Before = ps[i].ID
			if ps[i].Rewind(now) {
				if err := write(outbox.Entry{Page: &ps[i]}); err != nil {
					return err
				}
				ps[i] = asStored(ps[i])
			}
		}
		all = len(ps) < q.Limit
		seen(ps, all)
	}
	ms, err := store.MarksAfter(ctx, now)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.Rewind(now) {
			if err := write(outbox.Entry{Marks: []outbox.Mark{m}}); err != nil {
				return err
			}
		}
	}
	if rewound > 0 {
		logger.Warn("the outbox has times in the future, because a clock was set back; they count as now", "pages_and_marks", rewound)
	}
	return nil
}

// Rewind makes what lies ahead of the clock count as written now: first what is in memory, then what is
// in the store. It is called when the clock was set.
func (s *Spool) Rewind() {
	if pages := s.shelf.rewind(s.Now()); len(pages) > 0 {
		s.o.Committed(&outbox.Entry{Also: pages}) // they may be due
	}
	s.clockSet.Ring()
}

// rewinds rewinds the store when the clock was set, until the context ends.
func (s *Spool) rewinds(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.clockSet:
			for s.rewindStore(ctx) != nil && ctx.Err() == nil {
				loop.Sleep(ctx, Retry)
			}
		}
	}
}

// rewindStore rewinds what is in the store. What is kept to be stored is rewound when it is.
func (s *Spool) rewindStore(ctx context.Context) error {
	store, err := s.get()
	if err != nil { // it is rewound when it is open
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	if err := s.clocks.follow(ctx, store); err != nil {
		return err
	}
	return rewind(ctx, store, s.Now(), func(e outbox.Entry) error {
		if s.shelf.keeps(&e) {
			return outbox.ErrConflict
		}
		_, err := s.opening.add(ctx, e)
		if err == nil {
			s.stored(&e)
		}
		return err
	}, func([]outbox.Page, bool) {}, s.o.Logger)
}

// watchClock follows a shared database's clock until the context ends, and reports if this process's is
// far from it.
func (s *Spool) watchClock(ctx context.Context) {
	bad := false
	for ; ctx.Err() == nil; loop.Sleep(ctx, clockGap) {
		if store, err := s.get(); err == nil {
			reading, cancel := context.WithTimeout(ctx, clockPatience)
			_ = s.clocks.follow(reading, store) // the next one may
			cancel()
		}
		was := bad
		switch bad = s.BadClock(); {
		case bad && !was:
			s.o.Logger.Error("this machine's clock is not the database's, which counts; set it by NTP", "ahead", s.ClockAhead().Round(time.Millisecond))
		case was && !bad:
			s.o.Logger.Info("this machine's clock is the database's again")
		}
	}
}
