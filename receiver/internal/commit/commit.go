// Package commit stores what a room has decided and hands the messages over to the sender. It has
// the only loop that decides again after a conflict.
package commit

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// Retry is how long a store that failed is left alone.
	Retry = time.Second
	// sharedGap is how often what other processes stored is read; aloneGap if there are none.
	sharedGap = 2 * time.Second
	aloneGap  = 10 * time.Minute
)

// Gap returns how often a room reads what may have changed in the store without its doing.
func Gap(shared bool) time.Duration {
	if shared {
		return sharedGap
	}
	return aloneGap
}

// Store takes entries and reads marks. An outbox.Store is one.
type Store interface {
	Add(context.Context, outbox.Entry) (outbox.Added, error)
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// Sender sends what is stored.
type Sender interface {
	Handover(...outbox.Message)
}

// Outbox is a store whose messages are sent. It is safe for concurrent use.
type Outbox struct {
	Store
	Sender Sender
}

// Build decides on an entry from what is stored at the time of the call; nil stores nothing.
type Build = func(context.Context) (*outbox.Entry, error)

// Commit stores the entry that build returns and hands its messages over. If what it was built from
// was changed in between, build is called again, at most 20 times; then the error is
// outbox.ErrConflict.
func (o *Outbox) Commit(ctx context.Context, build Build) (added outbox.Added, err error) {
	const most, hasty = 20, 3
	for i := range most {
		if added, err = o.once(ctx, build); !errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil {
			return added, err
		}
		if i >= hasty {
			loop.Sleep(ctx, time.Duration(i)*5*time.Millisecond)
		}
	}
	return added, err
}

func (o *Outbox) once(ctx context.Context, build Build) (outbox.Added, error) {
	e, err := build(ctx)
	if err != nil || e == nil {
		return outbox.Added{}, err
	}
	return o.Try(ctx, *e)
}

// Try stores an entry and hands its messages over. If what it was built from was changed in between,
// the error is outbox.ErrConflict.
func (o *Outbox) Try(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	added, err := o.Add(ctx, e)
	if err == nil && !added.Duplicate {
		o.Sender.Handover(e.Messages...)
	}
	return added, err
}

// NewKey returns a key that no other entry has: storing its entry again is recognised as a repeat.
func NewKey() (key outbox.Key) {
	_, _ = rand.Read(key[:]) // it never fails
	return key
}
