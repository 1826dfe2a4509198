package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

// ledger holds the entries and changes that are not stored yet, and recent messages. It knows no store.
type ledger struct {
	shared bool      // other replicas may change what is stored
	wake   loop.Bell // rings when there is something to store

	mu      sync.Mutex                        // guards all fields below; helpers that do not lock it expect it to be held
	entries []*entry                          // not stored, in the order of their commits
	keys    map[outbox.Key]*entry             // the latest entry of each key
	pending map[string]*tracked               // by ID: messages whose entry or changes are not stored
	order   []*tracked                        // pending, in the order of the first change of each
	recent  *lru.Cache[string, *tracked]      // other messages; unused in a shared store
	late    *lru.Cache[outbox.Key, lateEntry] // by key: entries that were kept here and are now stored
	unsure  *lru.Cache[entryName, struct{}]   // entries whose commit to a shared store has an unknown outcome
	settled map[string][]chan<- struct{}      // by message ID: get a value when the message is attempted or stored
}

func newLedger(shared bool) *ledger {
	l := &ledger{
		shared: shared, wake: loop.NewBell(),
		keys: make(map[outbox.Key]*entry), pending: make(map[string]*tracked), settled: make(map[string][]chan<- struct{}),
	}
	l.recent, _ = lru.New[string, *tracked](recentMessages) // fails only for a size below 1
	l.late, _ = lru.New[outbox.Key, lateEntry](lateEntries)
	l.unsure, _ = lru.New[entryName, struct{}](lateEntries)
	return l
}

// tracked holds a message in its current state.
type tracked struct {
	m       outbox.Message
	changes []outbox.Change // not stored, in order
	since   time.Time       // when the first of the changes came
	entry   *entry          // the entry that brought the message, if that is not stored
	unread  bool            // the store could not be read: the changes are not applied to m yet
}

// tracked returns the message with this ID, or nil if the ledger does not hold it.
func (l *ledger) tracked(id string) *tracked {
	if t := l.pending[id]; t != nil {
		return t
	}
	t, _ := l.recent.Get(id)
	return t
}

// track adds a message whose state is already stored.
func (l *ledger) track(m outbox.Message) *tracked {
	t := &tracked{m: m}
	l.remember(t)
	return t
}

// remember keeps a message whose state is stored, unless the store is shared: another
// replica may change the message there.
func (l *ledger) remember(t *tracked) {
	if !l.shared {
		l.recent.Add(t.m.ID, t)
	}
}

// apply makes a change and queues it for storing. It reports false if the message's state does
// not allow the change.
func (l *ledger) apply(t *tracked, c outbox.Change) bool {
	if !c.Apply(&t.m) {
		return false
	}
	l.put(t, c)
	if t.m.State == outbox.Accepted || t.m.State.Final() || c.Event == outbox.EventRetry {
		l.decided(c.ID)
	}
	return true
}

// put queues a change for storing.
func (l *ledger) put(t *tracked, c outbox.Change) {
	if len(t.changes) == 0 {
		t.since = time.Now()
		t.changes = make([]outbox.Change, 0, 3) // usually an attempt, its acceptance and the final status
	}
	t.changes = append(t.changes, c)
	if l.pending[t.m.ID] == nil {
		l.pending[t.m.ID] = t
		l.order = append(l.order, t)
		l.recent.Remove(t.m.ID)
	}
	l.wake.Ring()
}

// putLast moves a message's changes behind all others.
func (l *ledger) putLast(t *tracked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.order, t); i >= 0 {
		l.order = append(slices.Delete(l.order, i, i+1), t)
	}
}

// decided wakes the commits that wait for a message to be attempted or stored.
func (l *ledger) decided(id string) {
	for _, waiting := range l.settled[id] {
		waiting <- struct{}{} // it has room
	}
	delete(l.settled, id)
}

// note applies the changes that were stored with an entry.
func (l *ledger) note(changes []outbox.Change) {
	for _, c := range changes {
		if t := l.tracked(c.ID); t != nil && !t.unread {
			c.Apply(&t.m)
		}
	}
}

// direct reports whether this process must send a message because its entry is not stored, and since
// when the entry has been kept. Once a shared store may have the entry, the leader sends the message.
func (l *ledger) direct(id string) (since time.Time, direct bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.pending[id]
	if t == nil || t.entry == nil || l.shared && t.entry.storing {
		return time.Time{}, false
	}
	return t.entry.since, true
}

// entryName identifies an entry.
type entryName struct{ key, state outbox.Key }

func nameOf(e *outbox.Entry) entryName { return entryName{e.Key, e.State} }

// lateEntry identifies an entry that was kept here and is now stored.
type lateEntry struct {
	state  outbox.Key
	seenAt time.Time
	ids    []string
}

// waits returns the unstored entry that e repeats, nil if there is none.
func (l *ledger) waits(e *outbox.Entry) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.repeated(e)
}

func (l *ledger) repeated(e *outbox.Entry) *entry {
	if en := l.keys[e.Key]; en != nil && en.State == e.State {
		return en
	}
	return nil
}

// repeatsLate reports whether e repeats an entry that was kept here and is now stored, and returns
// the IDs of that entry's messages.
func (l *ledger) repeatsLate(e *outbox.Entry) (ids []string, ok bool) {
	late, ok := l.late.Get(e.Key)
	if l.keys[e.Key] != nil { // a newer entry waits
		return nil, false
	}
	return late.ids, ok && late.state == e.State && e.SeenAt.Sub(late.seenAt).Abs() < e.Window
}

// original returns the IDs of an entry's messages or, if it repeats an entry that was kept here, of that
// entry's messages.
func (l *ledger) original(e *outbox.Entry) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ids, late := l.repeatsLate(e); late {
		return ids
	}
	return e.IDs()
}

// anyWaits reports whether the message of any of these changes has older changes that are not stored.
func (l *ledger) anyWaits(changes []outbox.Change) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(changes, func(c outbox.Change) bool { return l.pending[c.ID] != nil })
}

// expect returns a channel that gets one value for each message of an entry: for an unsent message
// when its next attempt is decided, for any other immediately. It is called before the messages
// are handed over.
func (l *ledger) expect(en *entry) (decided chan struct{}) {
	ids := en.IDs()
	decided = make(chan struct{}, len(ids))
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if t := l.tracked(id); t != nil && t.entry != nil && !isSent(t.m.State) && t.m.State != outbox.Failed {
			l.settled[id] = append(l.settled[id], decided)
		} else {
			decided <- struct{}{}
		}
	}
	return decided
}

// awaitAccepted waits until each message of an entry was attempted or stored. It fails if a
// message is not stored, and the provider has neither that message nor a newer one of its lane.
// In a shared store it waits for a message in doubt: a repeated notification may reach another
// replica, which does not know this message.
func (l *ledger) awaitAccepted(ctx context.Context, en *entry, decided chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	for {
		for range en.Messages {
			select {
			case <-decided:
			case <-ctx.Done():
				return fmt.Errorf("wait for the provider: %w", ctx.Err())
			}
		}
		doubt, err := l.unsent(en)
		if !doubt || !l.shared {
			return err
		}
		decided = l.expect(en)
	}
}

// unsent returns an error about the messages of an entry that are neither sent nor stored, nil
// without any. doubt: the provider may have one of them.
func (l *ledger) unsent(en *entry) (doubt bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, id := range en.IDs() {
		if t := l.tracked(id); t != nil && t.entry != nil && !isSent(t.m.State) {
			errs = append(errs, fmt.Errorf("message %s is %s: %s", id, t.m.State, t.m.LastDetail()))
			doubt = doubt || t.m.State == outbox.Sending
		}
	}
	return doubt, errors.Join(errs...)
}

// look returns a message as the ledger holds it, whether its entry is not stored, and its changes
// that are not stored. known is false if the ledger does not hold the message.
func (l *ledger) look(id string) (m outbox.Message, entry bool, changes []outbox.Change, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tracked(id)
	if t == nil || t.unread {
		return outbox.Message{}, false, nil, false
	}
	m = t.m
	m.Events = slices.Clone(m.Events)
	return m, t.entry != nil, slices.Clone(t.changes), true
}

// waiting returns the changes that are not stored, by message.
func (l *ledger) waiting() map[string][]outbox.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string][]outbox.Change, len(l.order))
	for _, t := range l.order {
		all[t.m.ID] = slices.Clone(t.changes)
	}
	return all
}

// overlay applies changes that were collected before the message was read from the store. It skips
// those that were stored in the meantime.
func overlay(m *outbox.Message, changes []outbox.Change) {
	for _, c := range changes {
		c.Repeat = true
		c.Apply(m)
	}
}

// waitsSince reports whether the oldest change has been waiting since this time or longer.
func (l *ledger) waitsSince(since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.order, func(t *tracked) bool { return t.entry == nil && !t.since.After(since) })
}

// wakeIfAny rings the bell if anything waits to be stored.
func (l *ledger) wakeIfAny() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) > 0 {
		l.wake.Ring()
	}
}

// collectChanges collects changes of stored messages that have been waiting since this time or longer. It
// takes the oldest first, and stops once it has at least most. It returns nil if there are none.
func (l *ledger) collectChanges(most int, since time.Time) *changeBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, n := &changeBatch{}, 0
	for _, t := range l.order {
		if t.entry != nil || t.unread || t.since.After(since) {
			continue
		}
		if n >= most {
			break
		}
		b.of = append(b.of, t)
		n += len(t.changes)
	}
	if len(b.of) == 0 {
		return nil
	}
	// Replicas that lock rows in the same order do not wait for each other in circles.
	slices.SortFunc(b.of, func(a, b *tracked) int { return strings.Compare(a.m.ID, b.m.ID) })
	b.all, b.counts = make([]outbox.Change, 0, n), make([]int, len(b.of))
	for i, t := range b.of {
		b.all = append(b.all, t.changes...)
		b.counts[i] = len(t.changes)
	}
	return b
}

func (l *ledger) written(b *changeBatch, written bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, t := range b.of {
		if written {
			t.changes = slices.Delete(t.changes, 0, b.counts[i])
			t.since = time.Now()
		} else {
			t.repeat()
		}
	}
	if !written {
		return
	}
	l.settle()
	// Changes that came meanwhile wait from now on, behind the others.
	slices.SortStableFunc(l.order, func(a, b *tracked) int { return a.since.Compare(b.since) })
}

// settle removes from pending the messages that have nothing left to store.
func (l *ledger) settle() {
	l.order = slices.DeleteFunc(l.order, func(t *tracked) bool {
		if t.entry != nil || len(t.changes) > 0 {
			return false
		}
		delete(l.pending, t.m.ID)
		t.changes = nil
		l.remember(t)
		return true
	})
}

// Backlog returns how many entries and changes wait to be stored, and since when the oldest
// of them has been waiting.
func (l *ledger) Backlog() (n int, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := func(at time.Time) {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	for _, en := range l.entries {
		first(en.since)
	}
	n = len(l.entries)
	for _, t := range l.order {
		if n += len(t.changes); len(t.changes) > 0 {
			first(t.since)
		}
	}
	return n, since
}

// Entries returns how many entries are not stored.
func (l *ledger) Entries() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}
