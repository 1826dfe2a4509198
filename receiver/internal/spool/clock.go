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
	// exact is the longest round trip of a question for the database's time that is trusted. The IDs
	// of two replicas are in order to half of it.
	exact = 100 * time.Millisecond
	// clockPatience is how long the store may take for each round of reads and writes that
	// compare clocks.
	clockPatience = 5 * time.Second
)

// clocks keeps what this process writes in order with what is stored, whose writers had other
// clocks.
type clocks struct {
	ids    *outbox.IDs // nil: this process makes none
	seen   func(current []outbox.Page, all bool)
	logger *slog.Logger

	mu      sync.Mutex
	follows bool // the database's clock, since it was read
}

// adopt fits the times in a store that was just opened to this process's clock, and new IDs to
// those of the store. If that fails, it logs a warning: the store is used anyway.
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

// follow orders new IDs by the clock of a database that replicas share.
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

// rewind makes the current pages and the marks of a store that have times in the future count as
// written now. In a shared database, its clock decides. seen gets the current pages as they are
// then stored, in batches; all: this is the last batch.
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

// Rewind makes pages and marks with times in the future count as written now: first those in memory,
// then those in the store. It is called when the clock was set.
func (s *Spool) Rewind() {
	if pages := s.shelf.rewind(time.Now()); len(pages) > 0 {
		s.o.Committed(&outbox.Entry{Also: pages}) // they may be due
	}
	s.clockSet.Ring()
}

// rewinds rewinds the store each time the clock was set, until the context ends.
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

// rewindStore rewinds what is in the store. Pages and marks that are held are rewound when they are
// stored.
func (s *Spool) rewindStore(ctx context.Context) error {
	store, err := s.get()
	if err != nil { // opening the store rewinds it
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
			_ = s.clocks.follow(reading, store) // the next reading may succeed
			cancel()
		}
	}
}
