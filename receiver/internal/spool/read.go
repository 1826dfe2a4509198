package spool

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// readPatience is how long a read from the store may take.
	readPatience = 2 * time.Second
	// flushPatience is how long List and Segments wait for a flush before they read.
	flushPatience = time.Second
)

// fromStore calls a method of the store that reads what is asked for.
func fromStore[Q, A any](ctx context.Context, o *opening, read func(outbox.Store, context.Context, Q) (A, error), q Q) (found A, err error) {
	store, err := o.get()
	if err != nil {
		return found, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return read(store, ctx, q)
}

// read reads a message from the store.
func (s *Spool) read(ctx context.Context, id string) (outbox.Message, error) {
	return fromStore(ctx, s.opening, outbox.Store.Get, id)
}

// Get returns a message with its events, or ErrNotFound.
func (s *Spool) Get(ctx context.Context, id string) (outbox.Message, error) {
	here, entry, changes, known := s.look(id)
	if entry || known && !s.o.Shared {
		return here, nil
	}
	m, err := s.read(ctx, id)
	if err != nil && known {
		return here, nil
	}
	if err == nil {
		overlay(&m, changes)
	}
	return m, err
}

// FindAPIID returns the ID of the message whose ID at the provider is apiID,
// in upper or lower case, or ErrNotFound.
func (s *Spool) FindAPIID(ctx context.Context, apiID string) (id string, err error) {
	s.mu.Lock()
	for _, t := range s.order {
		if apiID != "" && strings.EqualFold(t.m.APIID, apiID) {
			id = t.m.ID
		}
	}
	s.mu.Unlock()
	if id != "" {
		return id, nil
	}
	return fromStore(ctx, s.opening, outbox.Store.FindAPIID, apiID)
}

// Open yields every stored message that is not in a final state, oldest first.
func (s *Spool) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		store, err := s.get()
		if err != nil {
			yield(outbox.Message{}, err)
			return
		}
		waiting := s.waiting()
		for m, err := range store.Open(ctx) {
			if overlay(&m, waiting[m.ID]); err == nil && m.State.Final() {
				continue
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// List returns messages with their events, newest first.
func (s *Spool) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	flush, cancel := context.WithTimeout(ctx, flushPatience)
	defer cancel()
	clean := s.Flush(flush) == nil
	ms, err := s.listStored(ctx, q)
	if clean && err == nil {
		return ms, nil
	}
	seen := make(map[string]bool)
	for i := range ms {
		seen[ms[i].ID] = true
	}
	s.mu.Lock()
	here := s.order
	if err != nil {
		here = slices.Concat(here, s.recent.Values())
	}
	if err != nil && len(here) == 0 {
		s.mu.Unlock()
		return nil, err
	}
	for _, t := range here {
		if !seen[t.m.ID] && !t.unread {
			seen[t.m.ID] = true
			m := t.m
			m.Events = slices.Clone(m.Events)
			ms = append(ms, m)
		}
	}
	s.mu.Unlock()
	ms = slices.DeleteFunc(ms, func(m outbox.Message) bool { return !matches(m, q) })
	slices.SortFunc(ms, func(a, b outbox.Message) int { return cmp.Compare(b.ID, a.ID) })
	return ms[:min(len(ms), q.Limit)], nil
}

// listStored reads messages from the store, and applies the changes that wait. Those that a query does not select
// after that make room for more.
func (s *Spool) listStored(ctx context.Context, q outbox.Query) (ms []outbox.Message, err error) {
	waiting := s.waiting()
	store, err := s.get()
	if err != nil {
		return nil, err
	}
	for more := q; ; {
		page, err := store.List(ctx, more)
		for _, m := range page {
			more.Before = m.ID
			changes := waiting[m.ID]
			overlay(&m, changes)
			if len(changes) == 0 || matches(m, q) {
				ms = append(ms, m)
			}
		}
		if err != nil || len(page) < q.Limit || len(ms) >= q.Limit {
			return ms, err
		}
	}
}

// matches reports whether a query selects a message.
func matches(m outbox.Message, q outbox.Query) bool {
	return (q.State == "" || m.State == q.State) && (q.To == "" || m.To == q.To) && (q.Receiver == "" || m.Receiver == q.Receiver) &&
		(q.ExceptReceiver == "" || m.Receiver != q.ExceptReceiver) && (q.Page == "" || m.PageID == q.Page) && (q.Before == "" || m.ID < q.Before)
}

// Segments flushes, and calls the store's [outbox.Store].Segments.
func (s *Spool) Segments(ctx context.Context, since time.Time) (int, error) {
	flush, cancel := context.WithTimeout(ctx, flushPatience)
	defer cancel()
	_ = s.Flush(flush) // the sender counts what this misses
	store, err := s.get()
	if err != nil {
		return 0, err
	}
	return store.Segments(ctx, since)
}
