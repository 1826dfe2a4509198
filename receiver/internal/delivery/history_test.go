package delivery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// reading counts the messages that a store lists.
type reading struct {
	outbox.Store
	listed atomic.Int64
}

func (r *reading) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	ms, err := r.Store.List(ctx, q)
	r.listed.Add(int64(len(ms)))
	return ms, err
}

// TestStartAfterManyMessages: what was sent before a restart counts towards the limits, but reading it
// does not hold up the first message, however much it was.
func TestStartAfterManyMessages(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		w.alter = limited
		var sent []outbox.Message
		for i := range 6000 {
			m := w.message(alice, fmt.Sprint("g", i), "disk full")
			m.State, m.AttemptedAt, m.AcceptedAt = outbox.Delivered, m.CreatedAt, m.CreatedAt
			sent = append(sent, m)
		}
		w.stored(sent...)
		after(time.Minute)
		r := &reading{}
		w.wraps = func(s outbox.Store) outbox.Store { r.Store = s; return r }
		w.start()
		warning, critical := w.message(alice, "warning", "disk fills"), w.message(alice, "critical", "disk full")
		critical.Severity, critical.Urgent = "critical", true
		w.put(warning, critical)
		after(time.Second)
		w.expect(critical.ID, outbox.Accepted, 1)
		w.expect(warning.ID, outbox.Queued, 0)
		if n := r.listed.Load(); n > 2500 {
			t.Errorf("the start read %d messages", n)
		}
	})
}
