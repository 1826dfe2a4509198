package spool

import (
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// subjects is a set of what entries are about: keys, pages, their groups, and marks. Entries with a
// subject in common are stored in the order of their commits.
type subjects map[any]bool

// pageGroup identifies the group of a page.
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

// add adds an entry's subjects, and reports whether the set had one of them.
func (s subjects) add(e *outbox.Entry) (had bool) {
	all := subjectsOf(e)
	had = slices.ContainsFunc(all, func(one any) bool { return s[one] })
	for _, one := range all {
		s[one] = true
	}
	return had
}

// storable returns up to maxEntries entries that can be stored now, in any order: no earlier entry has
// a subject in common with them. In a shared store, it leaves out entries with a message that is about
// to be sent, and reports whether it met one (sending): the leader would send that message, too. A
// message that was tried may be stored, because the leader asks the provider about it first.
func (l *ledger) storable() (entries []*entry, sending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	earlier := make(subjects)
	for _, en := range l.entries {
		busy := l.shared && en.sending > 0 && l.anyQueued(en)
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

// anyQueued reports whether a message of an entry is about to be sent.
func (l *ledger) anyQueued(en *entry) bool {
	return slices.ContainsFunc(en.Messages, func(m outbox.Message) bool { return l.pending[m.ID].m.State == outbox.Queued })
}

// follows reports whether an entry must be stored after an unstored one, because they have a subject
// in common.
func (l *ledger) follows(e *outbox.Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := make(subjects)
	for _, en := range l.entries {
		kept.add(&en.Entry)
	}
	return kept.add(e)
}
