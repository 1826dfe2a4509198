package spool

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// clockGap is how often a shared database's clock is read.
	clockGap = time.Minute
	// exact is how long the database may take to tell its time, of which nobody knows when in between
	// it was right. The ids of two replicas are in order to half of it.
	exact = 100 * time.Millisecond
	// clockPatience is how long the store may take over all that depends on clocks.
	clockPatience = 5 * time.Second
)

// clocks keeps what this process writes in order with what the store has, whose writers had
// other clocks.
type clocks struct {
	ids    *outbox.IDs // nil: none
	seen   func(current []outbox.Page, all bool)
	logger *slog.Logger

	mu      sync.Mutex
	follows bool // the database's clock, since it was read
}

// adopt makes a store that was just opened fit this process's clock, and new ids those of
// the store. It is not an error if that fails: the store is used all the same.
func (c *clocks) adopt(ctx context.Context, store outbox.Store) {
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	add := func(e outbox.Entry) error {
		_, err := store.Add(ctx, e)
		return err
	}
	if err := errors.Join(c.order(ctx, store), c.follow(ctx, store), rewind(ctx, store, add, c.seen, c.logger)); err != nil {
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

// follow has new ids be ordered by the clock of a database that replicas share.
func (c *clocks) follow(ctx context.Context, store outbox.Store) error {
	shared, ok := store.(outbox.Shared)
	if !ok || c.ids == nil {
		return nil
	}
	began := time.Now()
	theirs, err := shared.Now(ctx)
	took := time.Since(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && (took <= exact || !c.follows) {
		c.ids.Order(theirs, began.Add(took/2))
		c.follows = true
	}
	return err
}

// rewind makes pages that are not over, and marks, count as written now if a store has times for
// them that lie in the future. The clock of a shared database decides for it. seen gets the pages
// that are not over as they are stored then; all: they are all.
func rewind(ctx context.Context, store outbox.Store, add func(outbox.Entry) error, seen func(ps []outbox.Page, all bool), logger *slog.Logger) error {
	now := time.Now()
	if shared, ok := store.(outbox.Shared); ok {
		var err error
		if now, err = shared.Now(ctx); err != nil {
			return err
		}
	}
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
	if pages := s.shelf.rewind(time.Now()); len(pages) > 0 {
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
	return rewind(ctx, store, func(e outbox.Entry) error {
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

// watchClock follows a shared database's clock until the context ends.
func (s *Spool) watchClock(ctx context.Context) {
	loop.Sleep(ctx, clockGap)
	for ; ctx.Err() == nil; loop.Sleep(ctx, clockGap) {
		if store, err := s.get(); err == nil {
			reading, cancel := context.WithTimeout(ctx, clockPatience)
			_ = s.clocks.follow(reading, store) // the next one may
			cancel()
		}
	}
}
