package delivery_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// flaky is a store whose writes a test can make fail.
type flaky struct {
	outbox.Store
	broken atomic.Bool
}

var errBroken = errors.New("disk full")

func (f *flaky) Add(ctx context.Context, n outbox.Entry) (outbox.Added, error) {
	if f.broken.Load() {
		return outbox.Added{}, errBroken
	}
	return f.Store.Add(ctx, n)
}

// inBrokenWorld runs a test with a flaky store.
func inBrokenWorld(t *testing.T, test func(w *world, store *flaky)) {
	t.Helper()
	inWorld(t, textinghousetest.Options{StatusDelay: 24 * time.Hour}, func(w *world) {
		w.halt()
		store := &flaky{}
		w.wraps = func(s outbox.Store) outbox.Store { store.Store = s; return store }
		w.start()
		test(w, store)
	})
}

func TestSendNowIsRecordedLater(t *testing.T) {
	inBrokenWorld(t, func(w *world, store *flaky) {
		store.broken.Store(true)
		n := outbox.Entry{Key: outbox.Key{1}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{w.message(alice, "g", "disk full"), w.message("+33612345679", "g", "disk full")}}
		if err := w.sendNow(&n); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		store.broken.Store(false)
		after(2 * time.Second)
		for _, m := range n.Messages {
			w.expect(m.ID, outbox.Accepted, 1)
			if got := w.get(m.ID); got.APIID == "" || got.Attempts != 1 || got.AcceptedAt.IsZero() {
				t.Errorf("the message is recorded as %+v", got)
			}
		}
		if a, err := w.store.Add(context.Background(), n); err != nil || !a.Duplicate {
			t.Errorf("the notification is not known: %+v, %v", a, err)
		}
	})
}

func TestSendNowDoesNotSendTwice(t *testing.T) {
	inBrokenWorld(t, func(w *world, store *flaky) {
		store.broken.Store(true)
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Command: "sendsms", Times: 1})
		n := outbox.Entry{Key: outbox.Key{1}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{w.message(alice, "g", "disk full"), w.message("+33612345679", "g", "disk full")}}
		if err := w.sendNow(&n); err == nil {
			t.Fatal("sendNow gives no error although a message is in doubt")
		}
		after(time.Second)
		if err := w.sendNow(&n); err != nil {
			t.Fatal(err)
		}
		for _, m := range n.Messages {
			if accepted := w.sim.TimesAccepted(m.ID); accepted != 1 {
				t.Errorf("the message was accepted %d times, want 1", accepted)
			}
		}
	})
}

// TestStoreFailsWhileSending: a stored message is sent even while its changes cannot be
// stored, and these are stored later.
func TestStoreFailsWhileSending(t *testing.T) {
	inBrokenWorld(t, func(w *world, store *flaky) {
		m := w.message(alice, "g", "disk full")
		if _, err := store.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
			t.Fatal(err)
		}
		store.broken.Store(true)
		w.d.Handover(false, m)
		synctest.Wait()
		w.expect(m.ID, outbox.Accepted, 1)
		if stored, err := w.store.Get(context.Background(), m.ID); err != nil || stored.State != outbox.Queued {
			t.Errorf("the message is stored as %s, %v", stored.State, err)
		}
		store.broken.Store(false)
		after(2 * time.Second)
		w.expect(m.ID, outbox.Accepted, 1)
	})
}

// TestStoppingStoresOutcomes: when the process stops, it tries once more to store an
// outcome that the store refused.
func TestStoppingStoresOutcomes(t *testing.T) {
	inBrokenWorld(t, func(w *world, store *flaky) {
		m := w.message(alice, "g", "disk full")
		w.put(m)
		synctest.Wait()
		store.broken.Store(true)
		second := w.message(alice, "h", "another")
		if _, err := w.store.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{second}}); err != nil {
			t.Fatal(err)
		}
		w.d.Handover(false, second)
		synctest.Wait()
		store.broken.Store(false)
		w.halt()
		w.start()
		after(time.Second)
		w.expect(second.ID, outbox.Accepted, 1)
	})
}

// TestSendNowSupersedesOlderMessages: a message that was sent without being stored supersedes the
// older messages of its lane that wait in the store.
func TestSendNowSupersedesOlderMessages(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBrokenWorld(t, func(w *world, store *flaky) {
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503, Command: "sendsms", Times: 1})
			older := w.message(alice, "g", "firing")
			w.put(older)
			synctest.Wait()
			store.broken.Store(true)
			n := outbox.Entry{Key: outbox.Key{1}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{w.message(alice, "g", "resolved")}}
			if err := w.sendNow(&n); err != nil {
				t.Fatal(err)
			}
			store.broken.Store(false)
			if restart {
				w.halt() // stores what is left
				w.start()
			}
			after(time.Minute)
			if got, want := w.texts(), []string{"resolved"}; !slices.Equal(got, want) {
				t.Errorf("restart %t: sent %q, want %q", restart, got, want)
			}
			w.expect(n.Messages[0].ID, outbox.Accepted, 1)
			if got := w.get(older.ID).State; got != outbox.Superseded {
				t.Errorf("restart %t: the older message is %s", restart, got)
			}
		})
	}
}

// TestDeliveredMessageSupersedesOlderOne: when a process starts and finds an older message to send,
// the newer message has already been delivered.
func TestDeliveredMessageSupersedesOlderOne(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		older, doubted := w.message(alice, "g", "firing"), w.message(alice, "h", "firing")
		w.halt()
		store, err := sqlite.Open(context.Background(), filepath.Join(w.dir, "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		w.store = store
		add := func(ms ...outbox.Message) {
			t.Helper()
			if _, err := store.Add(context.Background(), outbox.Entry{Messages: ms}); err != nil {
				t.Fatal(err)
			}
		}
		apply := func(c outbox.Change) {
			t.Helper()
			if _, err := store.Add(context.Background(), outbox.Entry{Notes: []outbox.Change{c}}); err != nil {
				t.Fatal(err)
			}
		}
		add(older, doubted)
		apply(outbox.Attempted(doubted.ID, time.Now(), ""))
		for _, group := range []string{"g", "h"} {
			sent := w.message(alice, group, "resolved")
			sent.State, sent.AcceptedAt = outbox.Accepted, time.Now()
			add(sent)
			apply(outbox.Ended(sent.ID, "", time.Now(), outbox.StatusOf(textinghouse.StatusReceived), true, ""))
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		w.start()
		after(time.Minute)
		w.expect(older.ID, outbox.Superseded, 0)
		w.expect(doubted.ID, outbox.Superseded, 0)
	})
}

// TestOlderCommitAfterNewerWithoutStore: while nothing can be stored, an older message is committed after a newer
// one of its lane, and is superseded.
func TestOlderCommitAfterNewerWithoutStore(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		store := &flaky{}
		w.wraps = func(s outbox.Store) outbox.Store { store.Store = s; return store }
		w.halt()
		w.start()
		store.broken.Store(true)
		entry := func(n byte, text string) *outbox.Entry {
			return &outbox.Entry{Key: outbox.Key{n}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{w.message(alice, "g", text)}}
		}
		older := entry(1, "FIRING")
		after(time.Second)
		newer := entry(2, "RESOLVED")
		// The older one waits for its turn behind a slow request for the newer one.
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 3 * time.Second, Times: 1})
		done := make(chan error, 2)
		go func() { done <- w.sendNow(newer) }()
		after(time.Second)
		go func() { done <- w.sendNow(older) }()
		<-done
		<-done
		if got := w.texts(); !slices.Equal(got, []string{"RESOLVED"}) {
			t.Errorf("sent %q", got)
		}
		store.broken.Store(false)
		after(time.Minute)
	})
}
