package spool

import (
	"context"

	"github.com/smspager/smspager/receiver/outbox"
)

// View is the spool as an outbox.Store, for rooms that decide themselves what is done
// if the store fails.
type View struct{ *Spool }

var _ outbox.Store = View{}

// Add commits an entry, strictly. One that was sent first is stored as it is now, and
// its messages are brought up to date.
func (v View) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	added, err := v.commit(ctx, Strict, &e)
	v.refresh(&e)
	return added, err
}

// SendNow sends an entry's messages before they are stored. They are brought up to date.
func (v View) SendNow(ctx context.Context, e *outbox.Entry) error {
	name(e)
	_, err := v.send(ctx, FailOpen, e, v.Trouble())
	v.refresh(e)
	return err
}

func (v View) refresh(e *outbox.Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range e.Messages {
		if t := v.tracked(e.Messages[i].ID); t != nil {
			e.Messages[i] = t.m
		}
	}
}

// Handover does nothing: the spool hands over what it stores.
func (v View) Handover(...outbox.Message) {}
