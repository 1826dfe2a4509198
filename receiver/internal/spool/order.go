package spool

import (
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// subjects are what entries are about: their keys, pages and marks. Entries that have one in common
// are stored in their order.
type subjects map[any]bool

// pageGroup is the group of a page.
type pageGroup struct{ receiver, key string }

func subjectsOf(e *outbox.Entry) []any {
	all := []any{e.Key}
	for _, p := range e.AllPages() {
		all = append(all, p.ID, pageGroup{p.Receiver, p.GroupKey})
	}
	for _, m := range e.Marks {
		all = append(all, markName{m.Kind, m.Name})
	}
	return all
}

// add adds the subjects of an entry, and reports whether one was there.
func (s subjects) add(e *outbox.Entry) (had bool) {
	all := subjectsOf(e)
	had = slices.ContainsFunc(all, func(one any) bool { return s[one] })
	for _, one := range all {
		s[one] = true
	}
	return had
}

// storable returns entries that can be stored now, in whatever order. In a shared store, one that is
// being sent cannot, nor what must come after it. sending: there is such an entry.
func (l *ledger) storable() (entries []*entry, sending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	earlier := make(subjects)
	for _, en := range l.entries {
		busy := l.shared && en.sending > 0
		sending = sending || busy
		if !earlier.add(&en.Entry) && !busy {
			entries = append(entries, en)
		}
		if len(entries) == maxEntries {
			break
		}
	}
	return entries, sending
}

// follows reports whether an entry must be stored after one that is kept.
func (l *ledger) follows(e *outbox.Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := make(subjects)
	for _, en := range l.entries {
		kept.add(&en.Entry)
	}
	return kept.add(e)
}
