package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/smspager/smspager/receiver/outbox"
)

// endsUnread reports whether a page is new but not current: it ends the page of its group, which
// could not be read.
func endsUnread(p *outbox.Page) bool { return p.Version == 0 && !p.State.Current() }

// fit merges pages of an entry with the stored ones: all pages if the entry is known not to fit
// (again), otherwise those that end a page which could not be read.
func (r *records) fit(ctx context.Context, e *outbox.Entry, again bool) error {
	pages := e.AllPages()
	e.Page, e.OtherPages = nil, nil
	for _, p := range pages {
		if r.merge != nil && (again || endsUnread(p)) {
			var err error
			if p, err = r.merged(ctx, p); err != nil {
				return err
			}
		}
		if p != nil {
			if ahead := *p; ahead.Rewind(r.store.Now()) { // the clock was set back since
				p = &ahead
			}
			e.OtherPages = append(e.OtherPages, p)
		}
	}
	return nil
}

// fitEnd is fit for an entry that was just built. It fails if the store cannot be read: then the
// entry is fitted when it is stored.
func (r *records) fitEnd(ctx context.Context, e *outbox.Entry) error {
	if e.Page == nil || !endsUnread(e.Page) {
		return nil
	}
	fitting := *e
	if err := r.fit(ctx, &fitting, false); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrNotStored, err)
	}
	e.Page, e.OtherPages = nil, nil
	if len(fitting.OtherPages) == 1 {
		e.Page = fitting.OtherPages[0]
	}
	e.OfPage()
	return nil
}

// merged merges a page with the stored page that has its ID or, without one, its group.
func (r *records) merged(ctx context.Context, p *outbox.Page) (*outbox.Page, error) {
	store, err := r.store.get()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	var base *outbox.Page
	codeTaken := false
	switch stored, err := store.Page(ctx, p.ID); {
	case err == nil:
		base = &stored
	case !errors.Is(err, outbox.ErrNotFound):
		return nil, err
	default:
		group, err := store.Pages(ctx, outbox.PageQuery{Current: true, Receiver: p.Receiver, GroupKey: p.GroupKey, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(group) > 0 {
			base = &group[0]
		}
		if base != nil || p.Code == "" {
			break
		}
		coded, err := store.Pages(ctx, outbox.PageQuery{Current: true, Code: p.Code, Limit: 1})
		if err != nil {
			return nil, err
		}
		codeTaken = len(coded) > 0
	}
	return r.merge(ctx, base, *p, codeTaken)
}
