package oncall

import (
	"context"
	"errors"
	"sync"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// past holds pages whose latest state could not be stored. Until it is, that state overrides the
// stored one.
type past struct {
	mu    sync.Mutex
	pages map[string]ahead
}

// ahead is a page and how many of its entries are still to be stored.
type ahead struct {
	outbox.Page
	records int
}

// unrecorded is the Version of a page whose latest state is not stored. An entry with it would always
// be a conflict: it is stored when its turn comes, by way of Merge.
const unrecorded = -1

// Past takes in a page that was sent without being stored. If there already is such a state, both are merged.
func (o *OnCall) Past(made outbox.Page) {
	known := &o.pages.past
	known.mu.Lock()
	before := known.pages[made.ID]
	if before.records > 0 {
		base, err := page.Load(before.Page)
		other, otherErr := page.Load(made)
		if err == nil && otherErr == nil {
			other.Events = made.Events
			base.Merge(other)
			base.Schedule(o.pages.plan(made.Receiver))
			made = *base.Stored()
		}
	}
	made.Version, made.Events = unrecorded, nil
	known.pages[made.ID] = ahead{made, before.records + 1}
	known.mu.Unlock()
	o.wake.Ring()
}

// Recorded takes in that an entry of a page that was sent before is stored now.
func (o *OnCall) Recorded(made outbox.Page) {
	known := &o.pages.past
	known.mu.Lock()
	if before := known.pages[made.ID]; before.records > 1 {
		before.records--
		known.pages[made.ID] = before
	} else {
		delete(known.pages, made.ID)
	}
	known.mu.Unlock()
	o.escalation.reviewSoon(made.ID)
}

// Merge makes a page that was sent without being stored, or built from an older state, fit the stored
// state: what was done in between is kept, and what was done to the page is added. It returns nil if
// there is nothing to store. Messages of the page belong to the page that is returned.
func (o *OnCall) Merge(ctx context.Context, made outbox.Page) (*outbox.Page, error) {
	other, err := page.Load(made)
	if err != nil {
		return nil, err
	}
	other.Events = made.Events
	stored, err := o.store.Page(ctx, made.ID)
	var base *page.Page
	switch {
	case err == nil:
		base, err = page.Load(stored)
	case errors.Is(err, outbox.ErrNotFound):
		base, err = o.pages.currentStored(ctx, made.Receiver, made.GroupKey)
	}
	switch {
	case err != nil:
		return nil, err
	case base == nil && !made.State.Current():
		return nil, nil
	case base == nil:
		made.Version = 0
		taken, err := o.store.Pages(ctx, outbox.PageQuery{Code: made.Code, Current: true, Limit: 1})
		if err == nil && len(taken) > 0 {
			made.Code, err = o.pages.drawCode(ctx, made.OpenedAt)
		}
		return &made, err
	case base.State.Current() && !made.State.Current() && base.NotifiedAt.After(made.UpdatedAt):
		return nil, nil // it has fired again since
	}
	base.Merge(other)
	base.Schedule(o.pages.plan(made.Receiver))
	return base.Stored(), nil
}

func (p *past) get(id string) (outbox.Page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, ok := p.pages[id]
	return held.Page, ok
}

// of returns the newest page of a receiver's group.
func (p *past) of(receiver, group string) (newest outbox.Page, ok bool) {
	for _, held := range p.all() {
		if held.Receiver == receiver && held.GroupKey == group && held.ID > newest.ID {
			newest, ok = held, true
		}
	}
	return newest, ok
}

func (p *past) all() []outbox.Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]outbox.Page, 0, len(p.pages))
	for _, held := range p.pages {
		all = append(all, held.Page)
	}
	return all
}
