package spool

import (
	"context"
	"errors"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

// records reads pages and marks: what the shelf holds overrides what is stored.
type records struct {
	store *opening
	shelf *shelf
	merge func(ctx context.Context, base *outbox.Page, made outbox.Page, codeTaken bool) (*outbox.Page, error) // nil: pages are stored as they are
}

// Page returns a page with its events, or ErrNotFound.
func (r *records) Page(ctx context.Context, id string) (outbox.Page, error) {
	p, err := r.readPage(ctx, id)
	switch {
	case err == nil:
		p, _ = r.shelf.page(id, &p)
		return p, nil
	case !errors.Is(err, outbox.ErrNotFound) || r.shelf.holds() > 0:
		if known, ok := r.shelf.page(id, nil); ok {
			return known, nil
		}
	}
	return p, err
}

func (r *records) readPage(ctx context.Context, id string) (outbox.Page, error) {
	store, err := r.store.get()
	if err != nil {
		return outbox.Page{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return store.Page(ctx, id)
}

// Pages returns pages without their events, see outbox.Store.
func (r *records) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	more := q
	more.Limit += r.shelf.holds() // held pages may drop out of the result
	ps, err := r.readPages(ctx, more)
	all, known := r.shelf.list(q, ps, err == nil)
	if known {
		return all, nil
	}
	return nil, err
}

func (r *records) readPages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	store, err := r.store.get()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return store.Pages(ctx, q)
}

// learn reads the current pages into the shelf, unless opening the store already did.
func (r *records) learn(ctx context.Context) {
	if r.shelf.shared {
		return
	}
	select {
	case <-ctx.Done():
	case <-r.store.opened:
	}
	for ctx.Err() == nil && !r.shelf.knowsAll() && r.learnPages(ctx) != nil {
		loop.Sleep(ctx, Retry)
	}
}

// relearn reads the stored states of an entry's pages into the shelf.
func (r *records) relearn(ctx context.Context, e *outbox.Entry) {
	for _, p := range e.AllPages() {
		if stored, err := r.readPage(ctx, p.ID); err == nil {
			r.shelf.readPages([]outbox.Page{stored}, false)
		}
	}
}

// learnPages reads the current pages into the shelf, for when the store cannot be read.
func (r *records) learnPages(ctx context.Context) error {
	const batch = 100
	before := ""
	for {
		ps, err := r.readPages(ctx, outbox.PageQuery{Current: true, Before: before, Limit: batch})
		if err != nil {
			return err
		}
		r.shelf.readPages(ps, len(ps) < batch)
		if len(ps) < batch {
			return nil
		}
		before = ps[len(ps)-1].ID
	}
}

// Marks returns the marks of a kind, in the order of their names.
func (r *records) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	var ms []outbox.Mark
	store, err := r.store.get()
	if err == nil {
		reading, cancel := context.WithTimeout(ctx, readPatience)
		defer cancel()
		ms, err = store.Marks(reading, kind)
	}
	all, known := r.shelf.listMarks(kind, ms, err == nil)
	if known {
		return all, nil
	}
	return nil, err
}
