package spool

import (
	"slices"
	"time"

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

// handOver is how long a replica keeps the messages that it is sending without the store to itself. It
// then leaves those in doubt to the leader, who may take longer to find out about them, but sends
// nothing older of their groups meanwhile. It is less than delivery's directGrace, which the leader gives
// replicas to store what they have sent.
const handOver = 2 * time.Second

// storable returns up to maxEntries entries that can be stored now, in any order: no earlier entry has
// a subject in common with them. It leaves out those that are busy, and reports whether it met one.
func (l *ledger) storable() (entries []*entry, sending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	earlier := make(subjects)
	for _, en := range l.entries {
		busy := l.busy(en)
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

// busy reports whether an entry must not be stored yet, because this process is sending its messages, and
// the leader would send them, too. The leader asks the provider about a message in doubt first, but not
// about one that is queued.
func (l *ledger) busy(en *entry) bool {
	return l.shared && en.sending > 0 && (time.Since(en.since) < handOver ||
		slices.ContainsFunc(en.Messages, func(m outbox.Message) bool { return l.pending[m.ID].m.State == outbox.Queued }))
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
