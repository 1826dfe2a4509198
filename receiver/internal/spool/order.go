package spool

import (
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// next is the first entry that can be stored, nil if there is none. In a shared store, one that is
// being sent is not stored, nor what must come after it. sending: there is such an entry.
func (l *ledger) next() (next *entry, sending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var held []*entry
	for _, en := range l.entries {
		follows := slices.ContainsFunc(held, func(other *entry) bool { return en.follows(&other.Entry) })
		if !follows && !(l.shared && en.sending > 0) {
			return en, len(held) > 0
		}
		held = append(held, en)
	}
	return nil, len(held) > 0
}

// followsAny reports whether an entry must be stored after one that is kept.
func (l *ledger) followsAny(e *outbox.Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	en := entry{Entry: *e}
	return slices.ContainsFunc(l.entries, func(other *entry) bool { return en.follows(&other.Entry) })
}

// follows reports whether an entry, which is newer than another, must be stored after it: both are
// about one group, page or mark.
func (en *entry) follows(older *outbox.Entry) bool {
	return en.Key == older.Key ||
		slices.ContainsFunc(en.AllPages(), func(p *outbox.Page) bool {
			return slices.ContainsFunc(older.AllPages(), func(o *outbox.Page) bool { return o.ID == p.ID || o.Receiver == p.Receiver && o.GroupKey == p.GroupKey })
		}) ||
		slices.ContainsFunc(en.Marks, func(m outbox.Mark) bool {
			return slices.ContainsFunc(older.Marks, func(o outbox.Mark) bool { return o.Kind == m.Kind && o.Name == m.Name })
		})
}
