package spool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// patience is how long a commit waits for the store before it counts as failing, and
	// failingPatience is the same for a store that is already failing.
	patience        = 3 * time.Second
	failingPatience = 200 * time.Millisecond
	// sendPatience is how long a commit waits for the provider to accept its messages.
	sendPatience = 30 * time.Second
	// maxConflicts is how often an entry is built at most, and hasty how often it is rebuilt
	// without a pause.
	maxConflicts = 20
	hasty        = 3
	// keyWindow is how long the store recognizes an entry by the key that the spool gave it
	// because it had none.
	keyWindow = 24 * time.Hour
	// changesPerCommit is about how many waiting changes a commit stores with its entry.
	changesPerCommit = 256
)

// Policy says what a commit does if the store fails.
type Policy int

const (
	// Strict returns an error: nothing was accepted.
	Strict Policy = iota
	// FailOpen sends the messages and stores them later, unless another replica may send
	// them too. The commit fails if the provider does not accept them soon.
	FailOpen
	// Later is FailOpen without waiting for the provider. In a shared store it is Strict.
	Later
)

// Build makes an entry from what it reads, nil if there is nothing to store. It is called
// again if what it read has changed before the entry is stored.
type Build func(context.Context) (*outbox.Entry, error)

// Commit stores what build makes, and hands its messages over. After it returns without
// an error they are on disk, or the provider has them; with policy Later, they may still
// wait in memory for both. An entry with the key and state of an earlier one is not stored
// again; if the earlier one could not be stored, Commit continues with that one.
func (s *Spool) Commit(ctx context.Context, p Policy, build Build) (outbox.Added, error) {
	var err error
	for i := range maxConflicts {
		var e *outbox.Entry
		if e, err = build(ctx); err != nil || e == nil {
			return outbox.Added{}, err
		}
		var added outbox.Added
		added, err = s.Try(ctx, p, *e)
		if !errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil {
			return added, err
		}
		if i >= hasty {
			loop.Sleep(ctx, time.Duration(i)*5*time.Millisecond)
		}
	}
	return outbox.Added{}, err
}

// Try commits an entry that cannot be rebuilt. It returns outbox.ErrConflict if the state that
// the entry was built from has changed.
func (s *Spool) Try(ctx context.Context, p Policy, entry outbox.Entry) (outbox.Added, error) {
	e, began := &entry, time.Now()
	if p == FailOpen && s.o.Shared && s.pulse.stoppedSince(began.Add(-staleFor)) {
		return outbox.Added{}, errStopped
	}
	s.name(e)
	s.mu.Lock()
	ids, late := s.repeatsLate(e)
	s.mu.Unlock()
	if late && !s.o.Shared { // otherwise the store decides: another replica may have a newer state
		return outbox.Added{Duplicate: true, IDs: ids}, nil
	}
	en := s.waits(e)
	if en != nil || s.Entries() > 0 { // entries that wait come first
		flush, cancel := context.WithTimeout(ctx, s.patience())
		err := s.Flush(flush)
		cancel()
		if errors.Is(err, errSending) && !s.follows(e) {
			err = nil // the store works, and the entries that are being sent are about something else
		}
		if err != nil {
			s.failures.Inc()
		}
		switch {
		case err != nil && (p == Strict || p == Later && s.o.Shared || s.unsure.Contains(nameOf(e))):
			return outbox.Added{}, err
		case err != nil:
			return s.send(ctx, p, e, began, err)
		case en != nil:
			added := s.outcome(en)
			added.Duplicate = added.Duplicate || p != FailOpen
			return added, nil
		}
	}
	added, err := outbox.Added{}, s.fitEnd(ctx, e)
	if err == nil {
		added, err = s.addInTime(ctx, p, e)
	}
	if err == nil || errors.Is(err, outbox.ErrConflict) {
		return added, err
	}
	s.failures.Inc()
	switch {
	case p == Strict, p == Later && s.o.Shared, ctx.Err() != nil:
		return added, err
	case s.o.Shared && !errors.Is(err, outbox.ErrNotStored): // another replica may send it
		s.unsure.Add(nameOf(e), struct{}{})
		return added, err
	case s.unsure.Contains(nameOf(e)):
		return added, fmt.Errorf("another replica may have it from an earlier commit: %w", err)
	}
	s.o.Logger.Error("the outbox cannot be written; sending first", "err", err)
	return s.send(ctx, p, e, began, err)
}

// errStopped is the reason to refuse an entry that may have come while the process was stopped.
var errStopped = errors.New("this process was stopped, and another replica may have it")

// patience is how long a commit waits for the store.
func (o *opening) patience() time.Duration {
	if o.Trouble() != nil {
		return failingPatience
	}
	return patience
}

// name gives an entry without a key a random one, so that the store recognizes it if it is
// written twice.
func (o *opening) name(e *outbox.Entry) {
	if e.Key == (outbox.Key{}) {
		_, _ = rand.Read(e.Key[:]) // it never fails
		e.SeenAt, e.Window = o.Now(), keyWindow
	}
}

// addInTime adds an entry to the store. If the policy is not Strict and the store not shared, it
// does not wait for a store that hangs; if such a store writes the entry after all, the spool
// finds out when it tries again.
func (s *Spool) addInTime(ctx context.Context, p Policy, e *outbox.Entry) (outbox.Added, error) {
	ctx = context.WithoutCancel(ctx) // what the store has begun it may finish
	if p == Strict || s.o.Shared {
		return s.add(ctx, e)
	}
	limit := s.patience()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	added, err := s.add(ctx, e)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("the store has not responded within %s", limit)
		s.failed(err)
	}
	return added, err
}

// add stores an entry together with waiting changes, and hands its messages over. If the store
// cannot say whether it stored the entry, add finds out by adding it again.
func (s *Spool) add(ctx context.Context, e *outbox.Entry) (outbox.Added, error) {
	batch := s.batchForCommit()
	if batch == nil && s.anyWaits(e.Notes) { // older changes come first
		flush, cancel := context.WithTimeout(ctx, s.patience())
		_ = s.Flush(flush) // if it fails, adding will fail too
		cancel()
	}
	with := *e
	with.Notes = append(batch.changes(), e.Notes...)
	added, err := s.opening.add(ctx, with)
	written := err == nil && !added.Duplicate
	if err != nil && !errors.Is(err, outbox.ErrConflict) && (batch != nil || !errors.Is(err, outbox.ErrNotStored)) && ctx.Err() == nil {
		added, err = s.opening.add(ctx, *e) // alone, in case a change of the batch caused the failure
		if err == nil && added.Duplicate && slices.Equal(added.IDs, e.IDs()) {
			added.Duplicate = false
		}
	}
	s.endBatch(batch, written)
	if err == nil && !added.Duplicate {
		s.stored(e)
	}
	return added, err
}

// stored records that an entry is in the store as it was built, and hands its messages over.
func (s *Spool) stored(e *outbox.Entry) {
	s.mu.Lock()
	for _, m := range e.Messages {
		s.track(m)
	}
	s.note(e.Notes)
	s.late.Remove(e.Key)
	s.mu.Unlock()
	s.shelf.stored(e)
	s.o.Handover(false, e.Messages...)
	s.o.Committed(e)
}

// entry is an outbox entry that is not stored.
type entry struct {
	outbox.Entry
	since time.Time
	// sending counts the commits that are sending the entry's messages, see busy.
	sending int
	// storing: the store may have the entry already.
	storing bool
	// original holds the IDs of the messages that the entry turned out to repeat when it was stored; nil:
	// it repeats none.
	original []string
}

// outcome returns what a commit of an entry that was sent first has added.
func (l *ledger) outcome(en *entry) outbox.Added {
	l.mu.Lock()
	defer l.mu.Unlock()
	if en.original != nil {
		return outbox.Added{IDs: en.original, Duplicate: true}
	}
	return outbox.Added{IDs: en.IDs()}
}

// send hands an entry's messages over before they are stored and, unless the policy is Later,
// waits until the provider has them. began is when the entry came, why the store's error.
func (s *Spool) send(ctx context.Context, p Policy, e *outbox.Entry, began time.Time, why error) (outbox.Added, error) {
	if s.o.Shared && s.pulse.stoppedSince(began) {
		return outbox.Added{}, fmt.Errorf("%w: %w", errStopped, why)
	}
	en, known, unsent, err := s.keep(e)
	switch {
	case err != nil:
		return outbox.Added{}, err
	case en == nil:
		return outbox.Added{Duplicate: true, IDs: s.original(e)}, nil
	case !known:
		s.o.Committed(&en.Entry)
	}
	if p == Later { // never in a shared store: entry.sending does not matter
		s.o.Handover(true, unsent...)
		return outbox.Added{IDs: en.IDs(), Duplicate: known}, nil
	}
	decided := s.expect(en)
	s.o.Handover(true, unsent...)
	err = s.awaitAccepted(ctx, en, decided)
	s.mu.Lock()
	en.sending--
	unstored := slices.Contains(s.entries, en)
	if err != nil && unstored && s.o.Shared { // under the lock: storeEntry hands them over afterwards
		s.o.Withdraw(en.IDs())
	}
	s.mu.Unlock()
	if err != nil && unstored {
		return outbox.Added{}, errors.Join(why, fmt.Errorf("send first: %w", err))
	}
	return s.outcome(en), nil
}

// keep adds an entry that could not be stored. If the ledger already has one with the same key and
// state, keep returns that one and known; en is nil if the entry is stored by now. unsent are the
// messages to send. It returns outbox.ErrConflict if the entry does not fit the others that are kept.
func (s *Spool) keep(e *outbox.Entry) (en *entry, known bool, unsent []outbox.Message, err error) {
	s.mu.Lock()
	en = s.repeated(e)
	known = en != nil
	_, late := s.repeatsLate(e)
	if en == nil && (late || slices.ContainsFunc(e.IDs(), func(id string) bool { return s.tracked(id) != nil })) {
		s.mu.Unlock()
		return nil, false, nil, nil
	}
	if en == nil {
		if err := s.shelf.hold(e); err != nil {
			s.mu.Unlock()
			return nil, false, nil, err
		}
		en = &entry{Entry: *e, since: time.Now()}
		en.Notes = nil // they are kept as changes of their messages
		s.keys[e.Key] = en
		s.entries = append(s.entries, en)
		for _, m := range e.Messages {
			t := &tracked{m: m, entry: en}
			s.pending[m.ID] = t
			s.order = append(s.order, t)
		}
		for _, c := range e.Notes {
			t := s.tracked(c.ID)
			if t == nil {
				t = &tracked{m: outbox.Message{ID: c.ID}, unread: true}
			}
			if t.unread || c.Apply(&t.m) {
				s.put(t, c)
			}
		}
	}
	en.sending++
	unsent = s.toSend(en)
	s.mu.Unlock()
	s.wake.Ring()
	return en, known, unsent, nil
}

// toSend returns the messages of an unstored entry that the provider is not known to have.
func (l *ledger) toSend(en *entry) (unsent []outbox.Message) {
	for _, id := range en.IDs() {
		if t := l.pending[id]; t != nil && (t.m.State == outbox.Queued || t.m.State == outbox.Sending) {
			unsent = append(unsent, t.m)
		}
	}
	return unsent
}

// isSent reports whether the provider has received a message in this state, or no longer
// needs to.
func isSent(s outbox.State) bool {
	switch s {
	case outbox.Queued, outbox.Sending, outbox.Failed, outbox.Expired:
		return false
	}
	return true
}
