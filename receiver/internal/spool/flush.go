package spool

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// maxBatch is about how many changes one transaction writes at most. After a failure it
	// writes fewer, so that a change that cannot be written does not hold up the others.
	maxBatch = 512
	// maxEntries is how many entries are stored simultaneously. What a replica sent during a long
	// outage must be stored before the leader sends older messages, see directGrace of delivery.
	maxEntries = 128
	// closing is how long the final flush may take.
	closing = 5 * time.Second
)

// run stores waiting entries and changes until the context ends. Then it flushes once more.
func (s *Spool) run(ctx context.Context) {
	defer close(s.done)
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.rewinds(ctx) })
	beside.Go(func() { s.watch(ctx, s.o.Logger) })
	if s.o.Shared {
		beside.Go(func() { s.watchClock(ctx) })
		beside.Go(func() { s.pulse.run(ctx) })
	}
	failing := false
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-s.wake:
		}
		delay := flushDelay
		if s.o.Shared && !s.leads.Load() {
			delay = followsDelay
		}
		loop.Sleep(ctx, delay)
		for ctx.Err() == nil {
			s.rounds.Inc()
			err := s.flushUntil(ctx, time.Now().Add(-rest))
			s.flushPulse.Beat()
			if err == nil {
				s.wakeIfAny()
				if failing {
					s.o.Logger.Info("the store has caught up: all entries and changes are stored")
				}
				failing = false
				break
			}
			if !failing && ctx.Err() == nil {
				s.o.Logger.Error("the store cannot be written; changes are kept in memory until it can", "err", err)
			}
			failing = true
			loop.Sleep(ctx, Retry)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	s.part(s.Flush(last))
}

// part logs what the next start will not know. err is the error of the final flush.
func (s *Spool) part(err error) {
	changes, _ := s.Backlog()
	entries, damage := s.Entries(), s.examined()
	left := []any{"entries", entries, "changes", changes - entries, "open_pages", s.shelf.codes(), "err", errors.Join(damage, err)}
	switch {
	case damage != nil:
		s.o.Logger.Error("stopping without the outbox; unless it is restored, its messages and open pages are forgotten", left...)
	case err != nil && entries > 0:
		s.o.Logger.Error("stopping with messages and pages that are not stored; the next start does not know of them", left...)
	case err != nil:
		s.o.Logger.Error("stopping with changes that are not stored; at the next start, the provider is asked about their messages", left...)
	}
}

// Responds wakes the loop that stores, and reports whether it makes a round before the context ends.
func (s *Spool) Responds(ctx context.Context) bool { return s.flushPulse.Responds(ctx, s.wake) }

// Flush stores what waits: first the entries, in order within a group, then the changes. It leaves
// entries that are being sent, and those that must follow them. An error means that something is left.
// If the store hangs, Flush returns when the context ends.
func (s *Spool) Flush(ctx context.Context) error { return s.flushUntil(ctx, time.Now()) }

// flushUntil stores all entries, and the changes that have been waiting since this time or longer.
func (s *Spool) flushUntil(ctx context.Context, since time.Time) error {
	done := make(chan error, 1)
	go func() { done <- s.flush(ctx, since) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Spool) flush(ctx context.Context, since time.Time) error {
	select {
	case <-s.flushing:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.flushing <- struct{}{} }()
	err := s.storeAllEntries(ctx)
	for s.waitsSince(since) { // changes do not depend on the entries that are left
		if err := s.storeChanges(ctx, since); err != nil {
			return err
		}
	}
	return err
}

// repeat marks the waiting changes as possibly stored: each is written only if it is missing.
func (t *tracked) repeat() {
	for i := range t.changes {
		t.changes[i].Repeat = true
	}
}

// changeBatch holds changes that are being written.
type changeBatch struct {
	all    []outbox.Change
	of     []*tracked
	counts []int // how many changes each message has in all
}

func (b *changeBatch) changes() []outbox.Change {
	if b == nil {
		return nil
	}
	return b.all
}

// batchForCommit returns waiting changes to store with a commit, nil if there are none or they are being
// flushed. A batch must end with endBatch. In a shared store, where another replica may have locked
// a message's row, a commit goes alone.
func (s *Spool) batchForCommit() *changeBatch {
	if s.o.Shared {
		return nil
	}
	select {
	case <-s.flushing:
	default:
		return nil
	}
	now := time.Now()
	var b *changeBatch
	if s.waitsSince(now.Add(-batchDelay)) {
		b = s.collectChanges(changesPerCommit, now.Add(-rest))
	}
	if b == nil {
		s.flushing <- struct{}{}
	}
	return b
}

// endBatch ends a batch of [Spool.batchForCommit].
func (s *Spool) endBatch(b *changeBatch, written bool) {
	if b == nil {
		return
	}
	s.written(b, written)
	s.flushing <- struct{}{}
}

// storeChanges stores a batch of the changes that have been waiting since this time or longer.
func (s *Spool) storeChanges(ctx context.Context, since time.Time) error {
	unread := s.readUnread(ctx)
	if unread != nil && !errors.Is(unread, outbox.ErrDamaged) {
		return unread
	}
	s.batch = max(1, min(s.batch, maxBatch))
	b := s.collectChanges(s.batch, since)
	if b == nil {
		return unread
	}
	_, err := s.opening.add(ctx, outbox.Entry{SeenAt: s.Now(), Notes: b.all})
	s.written(b, err == nil)
	if err == nil {
		s.batch *= 2
		return nil
	}
	if s.batch /= 2; s.batch == 0 { // its one message may be the cause: others come first
		s.putLast(b.of[0])
	}
	return err
}

// readUnread reads the messages whose changes came while the store could not be read,
// and applies these changes. It leaves those that are damaged, and then returns an outbox.ErrDamaged.
func (s *Spool) readUnread(ctx context.Context) (damage error) {
	s.mu.Lock()
	var unread []*tracked
	for _, t := range s.order {
		if t.unread {
			unread = append(unread, t)
		}
	}
	s.mu.Unlock()
	type change struct {
		m outbox.Message
		c outbox.Change
	}
	for _, t := range unread {
		m, err := s.read(ctx, t.m.ID)
		switch {
		case errors.Is(err, outbox.ErrDamaged):
			damage = err
			continue
		case err != nil && !errors.Is(err, outbox.ErrNotFound):
			return err
		}
		var made []change
		s.mu.Lock()
		changes := t.changes
		t.unread, t.changes = false, nil
		if err == nil {
			t.m = m
			for _, c := range changes {
				if c.Apply(&t.m) {
					t.changes = append(t.changes, c)
					made = append(made, change{t.m, c})
				}
			}
		}
		s.settle()
		s.mu.Unlock()
		for _, c := range made {
			s.o.Changed(c.m, c.c)
		}
	}
	return damage
}
