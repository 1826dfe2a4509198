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
	// clockPatience is how long the store may take for each round of reads and writes that
	// compare clocks.
	clockPatience = 5 * time.Second
	// badClock is how far this process's clock may differ from a shared database's before that is
	// reported.
	badClock = 5 * time.Second
)

// clocks keeps what this process writes in order with what is stored, whose writers had other
// clocks. All times in a shared store are by the database's clock: this process's own may be hours
// away from other replicas' clocks, and may be set at any moment.
type clocks struct {
	ids    *outbox.IDs                           // nil: this process makes none
	seen   func(current []outbox.Page, all bool) // gets all current pages, in batches; all marks the last one
	logger *slog.Logger
	read   atomic.Pointer[shown] // the reading that counts; nil: this process's clock counts
}

// shown holds the times that a database's clock and this process's clock showed at one moment.
type shown struct{ theirs, ours time.Time }

// now returns the time that is stored and that decisions use. With a shared store, it follows the
// database's clock: between two readings, it runs with this process's monotonic clock, which is never
// set.
func (c *clocks) now() time.Time {
	if r := c.read.Load(); r != nil {
		return r.theirs.Add(time.Since(r.ours))
	}
	return time.Now()
}

// Now returns the time by the clock that all stored times come from.
func (o *opening) Now() time.Time { return o.clocks.now() }

// ClockAhead returns how far this process's clock is ahead of a shared database's.
func (o *opening) ClockAhead() time.Duration {
	return time.Now().Round(0).Sub(o.Now().Round(0))
}

// BadClock reports whether this process's clock differs so much from a shared database's that somebody
// must set it.
func (o *opening) BadClock() bool { return o.ClockAhead().Abs() > badClock }

// adopt makes new IDs greater than those in a store, reads a shared database's clock, and makes stored
// times in the future count as now. add adds an entry to the store.
func (c *clocks) adopt(ctx context.Context, store outbox.Store, add func(context.Context, outbox.Entry) error) error {
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	if err := errors.Join(c.order(ctx, store), c.follow(ctx, store)); err != nil {
		return err
	}
	return c.rewind(ctx, store, add)
}

// order makes new IDs greater than all in the store.
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

// follow reads the clock of a database that replicas share. A reading is exact to half the time it
// took, so it replaces the previous one only if it proves that one wrong: otherwise a slow reading
// could make the times of two replicas differ by half of what it took.
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

// rewind makes a store's current pages and marks with times in the future count as written now. seen gets
// the current pages as they are stored then. What is damaged keeps it from nothing else.
func (c *clocks) rewind(ctx context.Context, store outbox.Store, add func(context.Context, outbox.Entry) error) error {
	now, rewound := c.now(), 0
	var failed error
	write := func(e outbox.Entry) error {
		err := add(ctx, e)
		switch {
		case err == nil:
			rewound++
		case !errors.Is(err, outbox.ErrConflict): // otherwise it was written meanwhile
			failed = err
		}
		return err
	}
	q := outbox.PageQuery{Current: true, Limit: 100}
	for all := false; !all; {
		ps, err := store.Pages(ctx, q)
		if errors.Is(err, outbox.ErrDamaged) {
			failed = err
			break
		}
		if err != nil {
			return err
		}
		var stored []outbox.Page
		for _, p := range ps {
			q.Before = p.ID
			before := p
			if !p.Rewind(now) {
				stored = append(stored, p)
				continue
			}
			switch err := write(outbox.Entry{Page: &p}); {
			case err == nil:
				stored = append(stored, asStored(p))
			case !errors.Is(err, outbox.ErrConflict):
				stored = append(stored, before)
			}
		}
		all = len(ps) < q.Limit
		c.seen(stored, all)
	}
	ms, err := store.MarksAfter(ctx, now)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.Rewind(now) {
			write(outbox.Entry{Marks: []outbox.Mark{m}})
		}
	}
	if rewound > 0 {
		c.logger.Warn("the outbox has times in the future, because a clock was set back; they count as now", "pages_and_marks", rewound)
	}
	return failed
}

// Rewind makes pages and marks with times in the future count as written now: first those in memory,
// then those in the store. It is called when the clock was set.
func (s *Spool) Rewind() {
	if pages := s.shelf.rewind(s.Now()); len(pages) > 0 {
		s.o.Committed(&outbox.Entry{OtherPages: pages}) // they may be due
	}
	s.clockSet.Ring()
}

// rewinds rewinds the store each time the clock was set, and after opening the store could not do it,
// until the context ends.
func (s *Spool) rewinds(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.opened:
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.clockSet:
			switch err := s.rewindStore(ctx); {
			case errors.Is(err, outbox.ErrDamaged):
				s.o.Logger.Error("not all times in the outbox could be compared with the clock", "err", err)
			case err != nil:
				loop.Sleep(ctx, Retry)
				s.clockSet.Ring()
			}
		}
	}
}

// rewindStore rewinds what is in the store. Pages and marks that are held are rewound when they are
// stored.
func (s *Spool) rewindStore(ctx context.Context) error {
	return s.clocks.adopt(ctx, s.opening.store, func(ctx context.Context, e outbox.Entry) error {
		if s.shelf.keeps(&e) {
			return outbox.ErrConflict
		}
		_, err := s.opening.add(ctx, e)
		if err == nil {
			s.stored(&e)
		}
		return err
	})
}

// watchClock follows a shared database's clock until the context ends. It logs when this process's
// clock begins to differ from it by more than badClock, and when the two agree again.
func (s *Spool) watchClock(ctx context.Context) {
	bad := false
	for ; ctx.Err() == nil; loop.Sleep(ctx, clockGap) {
		if store, err := s.get(); err == nil {
			reading, cancel := context.WithTimeout(ctx, clockPatience)
			_ = s.clocks.follow(reading, store) // the next reading may succeed
			cancel()
		}
		was := bad
		switch bad = s.BadClock(); {
		case bad && !was:
			s.o.Logger.Error("this machine's clock differs from the database's, which is used; synchronize it (NTP)", "ahead", s.ClockAhead().Round(time.Millisecond))
		case was && !bad:
			s.o.Logger.Info("this machine's clock agrees with the database's again")
		}
	}
}
