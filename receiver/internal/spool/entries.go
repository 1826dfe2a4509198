package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/smspager/smspager/receiver/outbox"
)

// errSending is the error of a flush that left entries because they are being sent, or must follow one
// that is.
var errSending = fmt.Errorf("%w: an earlier entry's message is still being sent", outbox.ErrNotStored)

// storeAllEntries stores the entries that can be stored, in order within a group.
func (s *Spool) storeAllEntries(ctx context.Context) error {
	for {
		entries, sending := s.storable()
		switch {
		case len(entries) > 0:
			if err := s.storeEntries(ctx, entries); err != nil {
				return err
			}
		case sending:
			return errSending
		default:
			return nil
		}
	}
}

// storeEntries stores entries simultaneously, so that the store can commit many together.
func (s *Spool) storeEntries(ctx context.Context, entries []*entry) error {
	var storing errgroup.Group
	for _, en := range entries {
		storing.Go(func() error { return s.storeEntry(ctx, en) })
	}
	return storing.Wait()
}

// storeEntry stores an entry whose messages were sent first, in their current states.
func (s *Spool) storeEntry(ctx context.Context, en *entry) error {
	added, err := outbox.Added{}, outbox.ErrConflict
	var e outbox.Entry
	var counts map[string]int
	unknown := s.mayBeStored(en)
	for tries := 0; tries < maxConflicts && errors.Is(err, outbox.ErrConflict); tries++ {
		if e, counts, err = s.current(ctx, en, tries > 0); err != nil {
			break
		}
		added, err = s.opening.add(ctx, e)
		if errors.Is(err, outbox.ErrConflict) && s.hasMessages(ctx, en) {
			added, err = outbox.Added{IDs: en.IDs(), Duplicate: true}, nil
		}
		unknown = unknown || err != nil && !errors.Is(err, outbox.ErrConflict) && !errors.Is(err, outbox.ErrNotStored)
	}
	if err != nil {
		s.notStored(en, unknown)
		if errors.Is(err, outbox.ErrConflict) {
			s.o.Logger.Error("an entry that was sent first conflicts with the store; trying again", "messages", en.IDs())
		}
		return err
	}
	s.mu.Lock()
	own := !added.Duplicate || slices.Equal(added.IDs, en.IDs())
	var unsent []outbox.Message
	for id, n := range counts {
		t := s.pending[id]
		t.entry = nil
		switch {
		case !own: // the notification is stored already, by another replica or an earlier run
			t.changes = nil
		case added.Duplicate: // stored as it was built; changes that are stored already are recognized
			t.repeat()
		default:
			t.changes = slices.Delete(t.changes, 0, n)
		}
		s.decided(id)
	}
	if own {
		unsent = s.toSend(en)
	}
	s.entries = slices.DeleteFunc(s.entries, func(other *entry) bool { return other == en })
	if s.keys[en.Key] == en {
		delete(s.keys, en.Key)
	}
	if !own {
		en.original = added.IDs
	}
	s.late.Add(en.Key, lateEntry{en.State, en.SeenAt, added.IDs})
	s.settle()
	s.mu.Unlock()
	if !own || s.o.Shared && !s.leads.Load() {
		s.o.Withdraw(en.IDs())
	}
	if own && !added.Duplicate {
		s.shelf.stored(&e)
	} else {
		s.relearn(ctx, &en.Entry)
	}
	s.shelf.release(&en.Entry)
	s.o.Handover(false, unsent...)
	s.o.Committed(&en.Entry)
	return nil
}

// current returns an entry with its messages in their current states, and how many changes of
// each message these states include. again: the entry did not fit what is stored.
func (s *Spool) current(ctx context.Context, en *entry, again bool) (e outbox.Entry, counts map[string]int, err error) {
	e = en.Entry
	e.Messages = nil
	pages := en.AllPages()
	if err := s.fit(ctx, &e, again); err != nil {
		return e, nil, err
	}
	if again && len(e.Marks) > 0 {
		s.o.Logger.Error("held marks conflict with stored ones; keeping the stored ones", "entry", en.IDs(), "marks", len(e.Marks))
		e.Marks = nil
	}
	e.Marks = slices.Clone(e.Marks)
	for i := range e.Marks {
		e.Marks[i].Rewind(s.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy(en) { // meanwhile
		return e, nil, errSending
	}
	en.storing = true
	counts = make(map[string]int)
	for _, m := range en.Messages {
		t := s.pending[m.ID]
		counts[m.ID] = len(t.changes)
		m = t.m
		if len(pages) == 1 { // merging may have replaced or dropped the page
			m.PageID = ""
			if stored := e.AllPages(); len(stored) == 1 {
				m.PageID = stored[0].ID
			}
		}
		e.Messages = append(e.Messages, m)
	}
	return e, counts, nil
}

// hasMessages reports whether the store has the messages of an entry: it was stored although the store could
// not say so, and a newer state of its key came after it.
func (s *Spool) hasMessages(ctx context.Context, en *entry) bool {
	if len(en.Messages) == 0 {
		return false
	}
	_, err := s.read(ctx, en.Messages[0].ID)
	return err == nil
}

// mayBeStored reports whether the outcome of an earlier attempt to store an entry is unknown.
func (l *ledger) mayBeStored(en *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return en.storing
}

// notStored ends an attempt to store an entry, which failed or has an unknown outcome. If it failed, this
// process goes on sending the entry's messages: an attempt that ended meanwhile has left them.
func (s *Spool) notStored(en *entry, unknown bool) {
	s.mu.Lock()
	en.storing = unknown
	var unsent []outbox.Message
	if s.o.Shared && !unknown && en.sending > 0 {
		unsent = s.toSend(en)
	}
	s.mu.Unlock()
	if len(unsent) > 0 {
		s.o.Handover(true, unsent...)
	}
}
