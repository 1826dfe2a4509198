package delivery_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestUnreadableHistory: after a restart, a message whose history cannot be read is sent, and so is the
// message behind it.
func TestUnreadableHistory(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		damaged, behind := w.message(alice, "g", "disk full"), w.message(alice, "g2", "cpu hot")
		w.stored(damaged, behind)
		db, err := sql.Open("sqlite", filepath.Join(w.dir, "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE pending SET events = '[{' WHERE id = ?", damaged.ID); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		w.start()
		after(5 * time.Second)
		w.expect(damaged.ID, outbox.Accepted, 1)
		w.expect(behind.ID, outbox.Accepted, 1)
	})
}

// damaged is a store in which one message cannot be read.
type damaged struct {
	outbox.Store
	id    string
	opens atomic.Bool // Open and List read everything; if not, Open reads all but that message, and List fails
}

func (d *damaged) Get(ctx context.Context, id string) (outbox.Message, error) {
	if id == d.id {
		return outbox.Message{}, outbox.ErrDamaged
	}
	return d.Store.Get(ctx, id)
}

func (d *damaged) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	if d.opens.Load() {
		return d.Store.List(ctx, q)
	}
	return nil, outbox.ErrDamaged
}

func (d *damaged) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	if d.opens.Load() {
		return d.Store.Open(ctx)
	}
	return func(yield func(outbox.Message, error) bool) {
		for m, err := range d.Store.Open(ctx) {
			if m.ID != d.id && !yield(m, err) {
				return
			}
		}
		yield(outbox.Message{}, outbox.ErrDamaged)
	}
}

// TestDamagedStore: a message that cannot be read holds back no others: neither those that were waiting
// at the start, nor newer ones of its lane.
func TestDamagedStore(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		d := &damaged{}
		w.wraps = func(s outbox.Store) outbox.Store { d.Store = s; return d }
		unreadable, behind := w.message(alice, "g", "disk full"), w.message(alice, "g2", "cpu hot")
		d.id = unreadable.ID
		w.stored(unreadable, behind)
		w.start()
		after(5 * time.Second)
		w.expect(behind.ID, outbox.Accepted, 1)
		if w.sim.TimesAccepted(unreadable.ID) > 0 {
			t.Error("the unreadable message was sent")
		}
		newer := w.message(alice, "g", "disk fixed")
		w.put(newer)
		after(5 * time.Second)
		w.expect(newer.ID, outbox.Accepted, 1)
	})
}

// TestDamagedWhileWaiting: a waiting message whose text is not in memory and cannot be read leaves its
// lane to the next one.
func TestDamagedWhileWaiting(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		var ms []outbox.Message
		for range 600 {
			ms = append(ms, w.message("999", w.ids.New(time.Now()), "disk full"))
		}
		unreadable := w.message(alice, "g", "disk full")
		w.stored(append(ms, unreadable)...)
		d := &damaged{id: unreadable.ID}
		d.opens.Store(true)
		w.wraps = func(s outbox.Store) outbox.Store { d.Store = s; return d }
		w.outage(time.Minute)
		w.start()
		newer := w.message(alice, "g", "disk fixed")
		w.put(newer)
		after(5 * time.Minute)
		if m := w.get(newer.ID); m.State != outbox.Delivered {
			t.Errorf("the newer message is %+v", m)
		}
	})
}

// TestDamagedMiss: a message of another replica that can never be read holds up older ones for moments.
func TestDamagedMiss(t *testing.T) {
	inReplica(t, func(w *world, p *peers) {
		w.halt()
		older, unreadable := w.message(alice, "g", "disk full"), w.message(alice, "g2", "cpu hot")
		d := &damaged{id: unreadable.ID}
		d.opens.Store(true)
		w.wraps = func(s outbox.Store) outbox.Store { d.Store, p.Store = s, d; return p }
		w.start()
		w.outage(5 * time.Second)
		w.put(older)
		d.opens.Store(false)
		p.hints <- outbox.Hint{ID: unreadable.ID}
		after(15 * time.Second)
		w.expect(older.ID, outbox.Accepted, 1)
	})
}

// TestDamagedInADigest: a held message that cannot be read leaves the others to the digest.
func TestDamagedInADigest(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.alter = func(s *delivery.Settings) {
			s.Limits = map[string][]delivery.Limit{"oncall": {{Messages: 1, Per: 10 * time.Minute}}}
		}
		w.halt()
		w.start()
		var held outbox.Message
		for i := range 4 {
			held = w.message(alice, fmt.Sprint("g", i), fmt.Sprint("alert ", i))
			held.ExpiresAt = time.Now().Add(3 * time.Minute)
			w.put(held)
		}
		after(time.Minute)
		w.halt()
		d := &damaged{id: held.ID}
		d.opens.Store(true)
		w.wraps = func(s outbox.Store) outbox.Store { d.Store = s; return d }
		w.start()
		after(5 * time.Minute)
		if got := w.texts(); len(got) != 2 || !strings.HasPrefix(got[1], "2 more in 2 groups") {
			t.Errorf("sent %q", got)
		}
	})
}

// TestDamagedAcceptedMessages: what keeps the store from listing the accepted messages does not let an
// older message follow a newer one of its lane.
func TestDamagedAcceptedMessages(t *testing.T) {
	inWorld(t, textinghousetest.Options{}, func(w *world) {
		w.halt()
		older, newer := w.message(alice, "g", "firing"), w.message(alice, "g", "resolved")
		newer.State, newer.AcceptedAt, newer.APIID = outbox.Accepted, time.Now(), "5d72"
		w.stored(older, newer)
		w.wraps = func(s outbox.Store) outbox.Store { return &damaged{Store: s, id: "none"} }
		w.start()
		after(10 * time.Second)
		w.expect(older.ID, outbox.Superseded, 0)
	})
}
