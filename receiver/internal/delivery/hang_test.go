package delivery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// hanging is a store whose sums and lists hang, except those that the leader needs to begin.
type hanging struct {
	outbox.Store
	hangs atomic.Bool
}

func (h *hanging) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	if h.hangs.Load() && q.State != outbox.Accepted {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Store.List(ctx, q)
}

func (h *hanging) Segments(ctx context.Context, since time.Time) (int, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return h.Store.Segments(ctx, since)
}

// TestStoreHangs: a store that does not respond to what delivery reads delays no message by more than one attempt: neither
// at the start, after a reload, nor while messages of an earlier run are asked about.
func TestStoreHangs(t *testing.T) {
	for name, hang := range map[string]func(w *world, h *hanging){
		"at the start": func(w *world, h *hanging) {
			w.alter = limited
			h.hangs.Store(true)
			w.start()
		},
		"after a reload": func(w *world, h *hanging) {
			w.start()
			after(time.Minute)
			h.hangs.Store(true)
			w.alter = limited
			w.d.Configure(w.settings())
		},
		"with messages of an earlier run": func(w *world, h *hanging) {
			var ms []outbox.Message
			for i := range 40 {
				ms = append(ms, w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i)))
			}
			w.stored(ms...)
			w.alter = func(s *delivery.Settings) { s.Concurrency = 4 }
			h.hangs.Store(true)
			w.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, textinghousetest.Options{}, func(w *world) {
				w.halt()
				h := &hanging{}
				w.wraps = func(s outbox.Store) outbox.Store { h.Store = s; return h }
				hang(w, h)
				m := w.message("+33612345679", "g", "disk full")
				w.put(m)
				after(10 * time.Second)
				w.expect(m.ID, outbox.Accepted, 1)
				h.hangs.Store(false)
			})
		})
	}
}

// TestWithdrawnBeforeItIsQueued: a message of a notification that was refused is not sent, even if it had not reached the
// queue when it was withdrawn: Alertmanager repeats the notification to another replica.
func TestWithdrawnBeforeItIsQueued(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		w.halt()
		h := &hanging{}
		w.wraps = func(s outbox.Store) outbox.Store { p.Store = s; h.Store = p; return &hangingPeers{p, h} }
		w.start()
		after(time.Minute)
		h.hangs.Store(true) // so that the sender is busy
		w.alter = limited
		w.d.Configure(w.settings())
		synctest.Wait()
		p.broken.Store(true)
		posted, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		m := w.message(alice, "g", "disk full")
		e := outbox.Entry{Key: outbox.Key{1}, SeenAt: w.spool.Now(), Window: time.Hour, Messages: []outbox.Message{m}}
		if _, err := w.spool.Try(posted, spool.FailOpen, e); err == nil {
			t.Error("the notification was accepted")
		}
		after(20 * time.Second)
		if n := w.sim.TimesAccepted(m.ID); n != 0 {
			t.Errorf("the message was accepted %d times", n)
		}
		h.hangs.Store(false)
		p.broken.Store(false)
		after(time.Minute)
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

// hangingPeers is a shared store whose lists and sums may hang.
type hangingPeers struct {
	*peers
	lists *hanging
}

func (h *hangingPeers) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	return h.lists.List(ctx, q)
}

func (h *hangingPeers) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	if h.broken.Load() {
		return outbox.Added{}, outbox.ErrNotStored
	}
	return h.Store.Add(ctx, e)
}
