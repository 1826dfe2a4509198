package outbox

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// maxOfPage is the maximum number of a page's own messages that are read; those that superseded them
// come on top.
const maxOfPage = 500

// Finder is what FindPage and MessagesOf read from. A Store is one.
type Finder interface {
	Get(ctx context.Context, id string) (Message, error)
	List(context.Context, Query) ([]Message, error)
	Page(ctx context.Context, id string) (Page, error)
	Pages(context.Context, PageQuery) ([]Page, error)
}

// FindPage returns the page with an ID, or else the current page with a code, or else the newest page
// with that code; it fills in the Events. If there is none, it returns ErrNotFound.
func FindPage(ctx context.Context, store Finder, name string) (Page, error) {
	p, err := store.Page(ctx, name)
	if !errors.Is(err, ErrNotFound) || name == "" {
		return p, err
	}
	for _, current := range []bool{true, false} {
		ps, err := store.Pages(ctx, PageQuery{Code: name, Current: current, Limit: 1})
		if err != nil {
			return Page{}, err
		}
		if len(ps) > 0 {
			return store.Page(ctx, ps[0].ID)
		}
	}
	return Page{}, ErrNotFound
}

// MessagesOf returns the messages about a page, oldest first: its own, and those that superseded them,
// such as digests.
func MessagesOf(ctx context.Context, store Finder, page string) ([]Message, error) {
	ms, err := store.List(ctx, Query{Page: page, Limit: maxOfPage})
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for _, m := range ms {
		known[m.ID] = true
	}
	for i := 0; i < len(ms) && len(ms) < 2*maxOfPage; i++ { // including those that the loop appends
		by := ms[i].SupersededBy
		if ms[i].State != Superseded || by == "" || known[by] {
			continue
		}
		known[by] = true
		switch m, err := store.Get(ctx, by); {
		case err == nil:
			ms = append(ms, m)
		case !errors.Is(err, ErrNotFound): // retention may have deleted it
			return nil, err
		}
	}
	slices.SortFunc(ms, func(a, b Message) int { return strings.Compare(a.ID, b.ID) })
	return ms, nil
}
