package spool

import (
	"context"
	"errors"

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
	return fromStore(ctx, r.store, outbox.Store.Page, id)
}

// Pages returns pages without their events, see outbox.Store.
func (r *records) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	more := q
	more.Limit += r.shelf.holds() // held pages may drop out of the result
	ps, err := fromStore(ctx, r.store, outbox.Store.Pages, more)
	all, known := r.shelf.list(q, ps, err == nil)
	if known {
		return all, nil
	}
	return nil, err
}

// relearn reads the stored states of an entry's pages into the shelf.
func (r *records) relearn(ctx context.Context, e *outbox.Entry) {
	for _, p := range e.AllPages() {
		if stored, err := r.readPage(ctx, p.ID); err == nil {
			r.shelf.readPages([]outbox.Page{stored}, false)
		}
	}
}

// Marks returns the marks of a kind, in the order of their names.
func (r *records) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	ms, err := fromStore(ctx, r.store, outbox.Store.Marks, kind)
	all, known := r.shelf.listMarks(kind, ms, err == nil)
	if known {
		return all, nil
	}
	return nil, err
}
