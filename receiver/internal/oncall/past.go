package oncall

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/smspager/smspager/receiver/outbox"
)

// past are pages that were sent past a store which failed: their newest state is not
// in it yet, and decides what is done until it is.
type past struct {
	mu    sync.Mutex
	pages map[string]ahead
}

// ahead is a page, and how often it is still to be recorded.
type ahead struct {
	outbox.Page
	records int
}

// unrecorded is the Version of a page whose newest state is not in the store.
// Storing it always is a conflict: it is recorded in its turn, by Merge.
const unrecorded = -1

// Past takes in a page that was sent past the store, and that is recorded later. What
// else was sent of it meanwhile is merged.
func (o *OnCall) Past(made outbox.Page) {
	o.past.mu.Lock()
	known := o.past.pages[made.ID]
	if known.records > 0 {
		base, err := load(known.Page)
		other, otherErr := load(made)
		if err == nil && otherErr == nil {
			base.merge(other, &made)
			base.schedule(o.settings.Load().receivers[made.Receiver])
			made = *base.stored()
		}
	}
	made.Version, made.Events = unrecorded, nil
	o.past.pages[made.ID] = ahead{made, known.records + 1}
	o.past.mu.Unlock()
	o.wake.Ring()
}

// Recorded takes in that a page which was sent past the store is recorded.
func (o *OnCall) Recorded(made outbox.Page) {
	o.past.mu.Lock()
	if known := o.past.pages[made.ID]; known.records > 1 {
		known.records--
		o.past.pages[made.ID] = known
	} else {
		delete(o.past.pages, made.ID)
	}
	o.past.mu.Unlock()
	o.lookAgain(made.ID)
}

func (p *past) get(id string) (outbox.Page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page, ok := p.pages[id]
	return page.Page, ok
}

// of is the newest page of a receiver's group.
func (p *past) of(receiver, group string) (newest outbox.Page, ok bool) {
	for _, page := range p.all() {
		if page.Receiver == receiver && page.GroupKey == group && page.ID > newest.ID {
			newest, ok = page, true
		}
	}
	return newest, ok
}

func (p *past) all() []outbox.Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]outbox.Page, 0, len(p.pages))
	for _, page := range p.pages {
		all = append(all, page.Page)
	}
	return all
}

// newest is a page as it is past the store, or else in it.
func (o *OnCall) newest(ctx context.Context, id string) (outbox.Page, error) {
	if p, ok := o.past.get(id); ok {
		return p, nil
	}
	return o.store.Page(ctx, id)
}

// stored is newest, read.
func (o *OnCall) stored(ctx context.Context, id string) (*page, error) {
	p, err := o.newest(ctx, id)
	if err != nil {
		return nil, err
	}
	return load(p)
}

// Merge makes a page that was made past the store, or from an older state of it, fit
// what is stored by now: what was done since stands, and what was done to the page
// made is added. It returns nil where there is nothing to store. Messages of the
// page made are of the page that is returned.
func (o *OnCall) Merge(ctx context.Context, made outbox.Page) (*outbox.Page, error) {
	other, err := load(made)
	if err != nil {
		return nil, err
	}
	stored, err := o.store.Page(ctx, made.ID)
	var base *page
	switch {
	case err == nil:
		base, err = load(stored)
	case errors.Is(err, outbox.ErrNotFound):
		base, err = o.currentStored(ctx, made.Receiver, made.GroupKey)
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
			made.Code, err = o.drawCode(ctx, made.OpenedAt)
		}
		return &made, err
	case base.State.Current() && !made.State.Current() && base.HeardAt.After(made.UpdatedAt):
		return nil, nil // it has fired again since
	}
	base.merge(other, &made)
	base.schedule(o.settings.Load().receivers[made.Receiver])
	return base.stored(), nil
}

// merge adds what was done to another state of the page.
func (p *page) merge(other *page, made *outbox.Page) {
	p.Events = made.Events
	p.UpdatedAt = latest(p.UpdatedAt, made.UpdatedAt)
	if !p.State.Current() {
		return
	}
	if !made.State.Current() {
		p.State = made.State
		return
	}
	if other.HeardAt.After(p.HeardAt) {
		p.Notification, p.Firing, p.HeardAt, p.Severity, p.Headline = other.Notification, other.Firing, other.HeardAt, made.Severity, made.Headline
	}
	if p.State == outbox.PageOpen && made.State != outbox.PageOpen && !other.AcknowledgedAt.Before(p.From) { // answered since
		p.State, p.AcknowledgedAt, p.AcknowledgedBy = made.State, made.AcknowledgedAt, made.AcknowledgedBy
		p.Number, p.Covered, p.QuietTill = other.Number, other.Covered, other.QuietTill
	}
	reopened := slices.ContainsFunc(made.Events, func(e outbox.PageEvent) bool {
		return (e.Type == outbox.PageEventReopened || e.Type == outbox.PageEventUndone) && e.At.After(p.AcknowledgedAt)
	})
	if made.State == outbox.PageOpen && p.State != outbox.PageOpen && reopened {
		p.restart(other.From)
		p.takeSteps(other)
	}
	for _, person := range other.People {
		if !slices.Contains(p.People, person) {
			p.People = append(p.People, person)
		}
	}
	if other.Steps > p.Steps {
		p.takeSteps(other)
	}
	p.RepeatAt = latest(p.RepeatAt, other.RepeatAt)
}

// takeSteps brings the escalation to where it is in another state of the page.
func (p *page) takeSteps(other *page) {
	p.Steps, p.StepAt, p.From, p.AtOnce, p.Judged = other.Steps, other.StepAt, other.From, other.AtOnce, other.Judged
}
