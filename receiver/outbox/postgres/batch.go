package postgres

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// item is an entry that waits for its commit, and then holds the result.
type item struct {
	entry outbox.Entry
	added outbox.Added
	err   error // why the entry was left out of the transaction
}

// row is a row of a table, first as the database has it, then as the entries of a batch change it.
type row[T any] struct {
	value   T
	stored  bool // the database has the row
	changed bool
}

// markKey is the key of the table marks.
type markKey struct{ kind, name string }

func (k markKey) compare(other markKey) int {
	return cmp.Or(strings.Compare(k.kind, other.kind), strings.Compare(k.name, other.name))
}

// batch holds the rows that the entries of a transaction refer to. It decides on each entry in memory,
// between the round trip that reads and locks the rows and the one that writes them.
type batch struct {
	xid       string    // the transaction's ID
	server    time.Time // when the server started
	term      int64     // the lease's, read if an entry carries a term
	sightings map[outbox.Key]*row[outbox.Sighting]
	messages  map[string]*row[outbox.Message]
	pages     map[string]*row[outbox.Page] // Events: those to add; Version 0: there is no such page
	marks     map[markKey]*row[outbox.Mark]

	turned      []string         // IDs of changed pages, in the order of their first changes
	superseding []outbox.Message // new messages that supersede older ones
	hints       map[string][]string
}

func newBatch() *batch {
	return &batch{
		sightings: make(map[outbox.Key]*row[outbox.Sighting]),
		messages:  make(map[string]*row[outbox.Message]),
		pages:     make(map[string]*row[outbox.Page]),
		marks:     make(map[markKey]*row[outbox.Mark]),
		hints:     make(map[string][]string),
	}
}

// at returns the row with a key, a new row if there is none.
func at[K comparable, T any](rows map[K]*row[T], key K) *row[T] {
	r := rows[key]
	if r == nil {
		r = new(row[T])
		rows[key] = r
	}
	return r
}

// decide applies an entry to the rows: all of it or, if it returns an error, nothing.
func (b *batch) decide(e *outbox.Entry) (outbox.Added, error) {
	if e.Key != (outbox.Key{}) {
		latest := at(b.sightings, e.Key)
		if (latest.stored || latest.changed) && latest.value.Repeats(e) {
			if latest.value.Join(e) {
				latest.changed = true
			}
			return latest.value.Duplicate(e), nil
		}
	}
	if err := b.check(e); err != nil {
		return outbox.Added{}, err
	}
	if e.Key != (outbox.Key{}) {
		latest := at(b.sightings, e.Key)
		latest.value, latest.changed = latest.value.Next(e), true
	}
	for _, p := range e.AllPages() {
		b.turn(p)
	}
	for _, m := range e.Marks {
		b.mark(m)
	}
	for i := range e.Messages {
		b.insert(e.Messages[i])
	}
	for _, c := range e.Notes {
		b.apply(c)
	}
	return outbox.Added{IDs: e.IDs()}, nil
}

// check returns ErrConflict if the state that an entry was made from has changed.
func (b *batch) check(e *outbox.Entry) error {
	if e.Term > 0 && e.Term < b.term {
		return fmt.Errorf("another replica has become leader: %w", outbox.ErrConflict)
	}
	pages := make(map[string]int) // the versions that the entry itself has set so far
	for _, p := range e.AllPages() {
		version, again := pages[p.ID]
		if !again {
			version = at(b.pages, p.ID).value.Version
		}
		if version != p.Version {
			return outbox.ErrConflict
		}
		pages[p.ID] = version + 1
	}
	marks := make(map[markKey]int)
	for _, m := range e.Marks {
		key := keyOf(m)
		version, again := marks[key]
		if !again {
			version = at(b.marks, key).value.Version
		}
		if version != m.Version || version == 0 && m.Doc == nil {
			return outbox.ErrConflict
		}
		marks[key] = after(m)
	}
	ids := make(map[string]bool)
	for i := range e.Messages {
		id := e.Messages[i].ID
		if b.messages[id] != nil || ids[id] {
			return outbox.ErrConflict
		}
		ids[id] = true
	}
	return nil
}

func keyOf(m outbox.Mark) markKey { return markKey{m.Kind, storable(m.Name)} }

// after returns the version that writing a mark sets; 0: it is deleted.
func after(m outbox.Mark) int {
	if m.Doc == nil {
		return 0
	}
	return m.Version + 1
}

// turn updates or inserts a page.
func (b *batch) turn(p *outbox.Page) {
	r := at(b.pages, p.ID)
	if !r.changed {
		b.turned = append(b.turned, p.ID)
	}
	events := append(r.value.Events, p.Events...)
	r.value, r.changed = *p, true
	r.value.Version, r.value.Events = p.Version+1, events
}

// mark updates, inserts or deletes a mark.
func (b *batch) mark(m outbox.Mark) {
	r := at(b.marks, keyOf(m))
	r.value, r.changed = m, true
	r.value.Version = after(m)
}

func (b *batch) insert(m outbox.Message) {
	events := make([]outbox.Event, len(m.Events)) // the caller keeps using its own
	for i, e := range m.Events {
		e.Detail = storable(e.Detail)
		events[i] = e
	}
	m.Events = events
	b.messages[m.ID] = &row[outbox.Message]{value: m, changed: true}
	b.hints[hintAdded] = append(b.hints[hintAdded], m.ID)
	if m.WasAccepted() {
		b.superseding = append(b.superseding, m)
	}
}

// apply makes a change, unless the message does not exist, its state does not allow the change, or the
// change is a decision of an older term.
func (b *batch) apply(c outbox.Change) {
	r := b.messages[c.ID]
	if r == nil || c.Term > 0 && c.Term < b.term {
		return
	}
	c.APIID, c.Detail = storable(c.APIID), storable(c.Detail)
	if !c.Apply(&r.value) {
		return
	}
	r.changed = true
	switch {
	case !c.To.Final() || c.To == "":
	case c.To.Undelivered():
		b.hints[hintUndelivered] = append(b.hints[hintUndelivered], c.ID)
	default:
		b.hints[hintEnded] = append(b.hints[hintEnded], c.ID)
	}
}
