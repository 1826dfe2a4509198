package oncall_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// faulty is a store with single faults, that counts what is asked of it.
type faulty struct {
	outbox.Store
	contactsFail atomic.Int64           // so many reads of contacts do
	unwritable   atomic.Pointer[string] // a page that cannot be stored
	unreadable   atomic.Bool            // what is kept of pages is
	writes       atomic.Int64
	reads        atomic.Int64 // of single pages
}

func (f *faulty) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	if kind == "contact" && f.contactsFail.Add(-1) >= 0 {
		return nil, errBroken
	}
	return f.Store.Marks(ctx, kind)
}

func (f *faulty) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	f.writes.Add(1)
	if id := f.unwritable.Load(); id != nil && e.Page != nil && e.Page.ID == *id {
		return outbox.Added{}, errBroken
	}
	return f.Store.Add(ctx, e)
}

func (f *faulty) Page(ctx context.Context, id string) (outbox.Page, error) {
	f.reads.Add(1)
	p, err := f.Store.Page(ctx, id)
	if f.unreadable.Load() {
		p.Doc = []byte(`{"people": 1}`)
	}
	return p, err
}

func inFaultyWorld(t *testing.T, cfg string, test func(w *world, f *faulty)) {
	inWorld(t, cfg, func(w *world) {
		w.halt()
		f := &faulty{}
		w.wraps = func(s outbox.Store) outbox.Store {
			f.Store = s
			return f
		}
		w.start(cfg)
		test(w, f)
	})
}

// TestContactsThatCannotBeReadOnce: what was stored is known a moment later.
func TestContactsThatCannotBeReadOnce(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		f.contactsFail.Store(1)
		a.say("stop")
		a.expect(20*time.Second, "You get no more...") // as the callback comes again
		a.say("start")
		a.expect(time.Second, "You get texts again...")
	})
}

// TestAnUnreadablePage is tried no more than now and then.
func TestAnUnreadablePage(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		w.fire()
		after(time.Second)
		f.unreadable.Store(true)
		before := f.reads.Load()
		after(10 * time.Minute)
		if n := f.reads.Load() - before; n == 0 || n > 10 {
			t.Errorf("it was read %d times in 10 minutes", n)
		}
	})
}

// TestOnePageDoesNotKeepAnother: neither one that cannot be stored, nor many.
func TestOnePageDoesNotKeepAnother(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		b := w.phone(bob)
		w.fire()
		id := w.page().ID
		after(time.Second)
		w.notify("oncall", "other", "first notification", alert{name: "LoadHigh", severity: "critical", instance: "db-2"})
		after(time.Second)
		f.unwritable.Store(&id)
		texts := b.expect(5*time.Minute+5*time.Second, "STILL...") + b.expect(5*time.Second, "STILL...")
		b.silent(time.Hour) // the one that cannot be stored is told once, too
		for _, want := range []string{"DiskFull", "LoadHigh"} {
			if !strings.Contains(texts, want) {
				t.Errorf("bob is not told of %s: %s", want, texts)
			}
		}
	})
}

// TestReloadsWriteNothing: nothing of a page changes by them.
func TestReloadsWriteNothing(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		time.Sleep(123456 * time.Nanosecond) // no round time
		for i := range 3 {
			w.notify("oncall", fmt.Sprint(i), "first notification", disk)
		}
		after(10*time.Second - time.Millisecond)
		before := f.writes.Load()
		if err := w.r.Apply(w.config(escalating)); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if n := f.writes.Load() - before; n != 0 {
			t.Errorf("a reload leads to %d writes", n)
		}
	})
}
