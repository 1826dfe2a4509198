package oncall_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// flaky is a store that can be broken, for writes only or also for reads of pages.
type flaky struct {
	outbox.Store
	readOnly, away atomic.Bool
}

var errBroken = errors.New("disk full")

func (f *flaky) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	if f.readOnly.Load() || f.away.Load() {
		return outbox.Added{}, errBroken
	}
	return f.Store.Add(ctx, e)
}

func (f *flaky) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	if f.away.Load() {
		return nil, errBroken
	}
	return f.Store.Pages(ctx, q)
}

func (f *flaky) Page(ctx context.Context, id string) (outbox.Page, error) {
	if f.away.Load() {
		return outbox.Page{}, errBroken
	}
	return f.Store.Page(ctx, id)
}

// inFlakyWorld runs a test twice, with a store that can be broken in either way.
func inFlakyWorld(t *testing.T, test func(w *world, broken func(bool))) {
	for _, away := range []bool{false, true} {
		withFlaky(t, escalating, func(w *world, store *flaky) {
			test(w, func(is bool) {
				store.readOnly.Store(is)
				store.away.Store(is && away)
			})
		})
	}
}

func withFlaky(t *testing.T, cfg string, test func(w *world, store *flaky)) {
	var store flaky
	inWrappedWorld(t, cfg, func(s outbox.Store) outbox.Store {
		store.Store = s
		return &store
	}, func(w *world) { test(w, &store) })
}

func TestPageWithoutStore(t *testing.T) {
	inFlakyWorld(t, func(w *world, broken func(bool)) {
		a, b := w.phone(alice), w.phone(bob)
		broken(true)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(2 * time.Minute)
		broken(false)
		b.expect(4*time.Minute, "CRITICAL...No answer from alice. OK? Re CODE")
		if a.code != b.code {
			t.Errorf("the codes are %s and %s", a.code, b.code)
		}
		a.say("%s", a.code)
		a.expect(time.Second, "OK, ...")
		w.phone(carol).silent(time.Hour)
	})
}

func TestResolvedWithoutStore(t *testing.T) {
	inFlakyWorld(t, func(w *world, broken func(bool)) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Minute)
		broken(true)
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		after(time.Minute)
		broken(false)
		b.silent(2 * time.Hour)
		if p := w.page(); p.State != "resolved" {
			t.Errorf("the page is %s", p.State)
		}
	})
}

// TestUpdateWithoutStore: a notification that comes while the store is broken is sent, and belongs to the
// same page.
func TestUpdateWithoutStore(t *testing.T) {
	inFlakyWorld(t, func(w *world, broken func(bool)) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		first := a.code
		broken(true)
		w.notify("oncall", "disk", "new alerts added", disk, alert{name: "LoadHigh", severity: "critical", instance: "db-2"})
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Minute)
		broken(false)
		after(10 * time.Second)
		a.say("ok") // the latest text belongs to the page, even if its code differs
		a.expect(time.Second, "OK, "+first+" is yours...")
		if p := w.page(); p.State != "acknowledged" || len(p.Messages) != 3 {
			t.Errorf("the page is %s with %d messages", p.State, len(p.Messages))
		}
		w.phone(bob).silent(time.Hour)
	})
}

// TestReplyWithoutStoreIsConfirmedOnce: a reply that comes while the store is broken is carried out and
// confirmed once.
func TestReplyWithoutStoreIsConfirmedOnce(t *testing.T) {
	inFlakyWorld(t, func(w *world, broken func(bool)) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Second)
		broken(true)
		a.say("ok")
		after(500 * time.Millisecond)
		broken(false)
		a.expect(20*time.Second, "OK, ...")
		a.silent(time.Minute)
	})
}

// TestStepWithoutStoreIsTakenOnce: a step that cannot be stored is taken, once.
func TestStepWithoutStoreIsTakenOnce(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		b, c := w.phone(bob), w.phone(carol)
		w.fire()
		after(time.Minute)
		store.readOnly.Store(true)
		b.expect(4*time.Minute+10*time.Second, "CRITICAL...No answer from alice. OK? Re CODE")
		after(time.Minute)
		store.readOnly.Store(false)
		c.expect(10*time.Minute, "CRITICAL...No answer from bob. OK? Re CODE")
		b.silent(time.Hour)
		if p := w.page(); !strings.Contains(history(p), "escalated, paged bob, escalated, paged carol") || len(p.Messages) != 3 {
			t.Errorf("the page has %d messages; its history is %s", len(p.Messages), history(p))
		}
	})
}

// TestDeadHeartbeatWithoutStore: a dead heartbeat is reported once even if the report cannot be stored.
func TestDeadHeartbeatWithoutStore(t *testing.T) {
	withFlaky(t, watched, func(w *world, store *flaky) {
		a := w.phone(alice)
		w.beat()
		after(time.Minute)
		store.readOnly.Store(true)
		a.expect(5*time.Minute, "DEAD...")
		a.silent(time.Hour)
		store.readOnly.Store(false)
		a.silent(time.Minute)
		w.halt()
		w.start(watched) // which knows that the heartbeat was reported
		a.silent(time.Hour)
		w.beat()
		a.expect(time.Second, "ALIVE...")
	})
}

// TestEndStoredLateKeepsTheNewerPage: an end that is stored late does not end a newer page.
func TestEndStoredLateKeepsTheNewerPage(t *testing.T) {
	inFlakyWorld(t, func(w *world, broken func(bool)) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Minute)
		broken(true)
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		after(time.Minute + 300*time.Millisecond)
		broken(false)
		w.notify("oncall", "disk", "first notification", alert{name: "DiskFull", severity: "critical", instance: "db-9"})
		a.expect(time.Second, "CRITICAL...Re CODE")
		b.expect(6*time.Minute, "CRITICAL...Re CODE")
		if p := w.page(); p.State != "open" {
			t.Errorf("the page is %s: %s", p.State, history(p))
		}
	})
}

// TestPageStoredAfterItsEndStaysOver: a page that is stored after its end is not open again.
func TestPageStoredAfterItsEndStaysOver(t *testing.T) {
	inFlakyWorld(t, func(w *world, broken func(bool)) {
		a, b := w.phone(alice), w.phone(bob)
		broken(true)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(time.Minute + 300*time.Millisecond)
		broken(false)
		w.resolve()
		a.expect(time.Second, "RESOLVED...")
		b.silent(2 * time.Hour)
		if p := w.page(); p.State != "resolved" {
			t.Errorf("the page is %s: %s", p.State, history(p))
		}
	})
}

// TestRepliesWithoutStore: replies act on a page while nothing can be stored.
func TestRepliesWithoutStore(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		after(time.Minute)
		store.readOnly.Store(true)
		w.notify("oncall", "load", "first notification", alert{name: "LoadHigh", severity: "critical", instance: "db-2"})
		a.expect(time.Second, "CRITICAL LoadHigh...Re CODE") // of a page that is not stored
		body := `{"climsgid":"x","from":"` + alice + `","txt":"ok all","date":"2000-01-01 00:01:00"}`
		for range 2 {
			if code, text := w.do("POST", "/textinghouse/"+token+"/mo", body); code != 200 {
				t.Errorf("the response is %d %s", code, text)
			}
		}
		a.expect(time.Second, "OK, ... is yours: CRITICAL LoadHigh db-2")
		a.say("?")
		a.expect(time.Second, "2 pages:...you have it")
		a.say("%s 2h", a.code)
		a.expect(20*time.Second, "Silenced...UNDO "+a.code+" ends it.")
		a.silent(15 * time.Minute)
		b.silent(time.Second)
		store.readOnly.Store(false)
		after(time.Minute)
		a.say("undo %s", a.code)
		a.expect(10*time.Second, "Undone...CRITICAL LoadHigh db-2")
		b.expect(6*time.Minute, "CRITICAL LoadHigh...No answer from alice. OK? Re CODE")
		w.phone(carol).silent(time.Minute)
		if got := history(w.page()); !strings.HasPrefix(got, "opened, paged alice, acknowledged alice, silencing alice, silenced alice, undone alice") {
			t.Errorf("the history is %s", got)
		}
	})
}

// undoReadOnly escalates a page to bob. He acknowledges it and undoes that while the store is read-only.
func (w *world) undoReadOnly(store *flaky) {
	w.t.Helper()
	b := w.phone(bob)
	w.fire()
	b.expect(5*time.Minute+time.Second, "CRITICAL...Re CODE")
	after(30 * time.Second)
	store.readOnly.Store(true)
	b.say("ok")
	b.expect(5*time.Second, "OK, ...")
	after(30 * time.Second)
	b.say("undo")
	b.expect(5*time.Second, "Undone: ...")
}

// TestUndoWithoutStore: after the undo the page stays open when the store can be written again.
func TestUndoWithoutStore(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		w.undoReadOnly(store)
		after(time.Minute)
		store.readOnly.Store(false)
		after(time.Minute)
		if p := w.page(); p.State != "open" {
			t.Errorf("the page is %s: %s", p.State, history(p))
		}
		w.phone(carol).expect(15*time.Minute, "CRITICAL...")
	})
}

// TestUndoWhileStoreStaysReadOnly: after the undo the escalation continues while the store is read-only.
func TestUndoWhileStoreStaysReadOnly(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		w.undoReadOnly(store)
		w.phone(carol).expect(15*time.Minute, "CRITICAL...")
	})
}

// TestRepeatedCallbackKeepsTheAcknowledgement: the acknowledgement survives if the callback is repeated when the store
// works again and before the reply is stored.
func TestRepeatedCallbackKeepsTheAcknowledgement(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL DiskFull...Re CODE")
		after(time.Minute)
		store.readOnly.Store(true)
		body := `{"climsgid":"x","from":"` + alice + `","txt":"ok","date":"2000-01-01 00:01:00"}`
		mo := func() string {
			code, text := w.do("POST", "/textinghouse/"+token+"/mo", body)
			if code != 200 {
				t.Errorf("the response is %d %s", code, text)
			}
			return text
		}
		mo()
		a.expect(time.Second, "OK, ... is yours: CRITICAL DiskFull db-1")
		after(30*time.Second + 500*time.Millisecond)
		store.readOnly.Store(false)
		if got := mo(); !strings.Contains(got, "repeated") {
			t.Errorf("a repeated callback gets %s", got)
		}
		after(time.Minute)
		if p := w.page(); p.State != "acknowledged" {
			t.Errorf("the page is %s: %s", p.State, history(p))
		}
		a.silent(time.Second)
		b.silent(time.Hour)
	})
}

// TestFailedStepDoesNotSpin: a step fails once, and nothing is due at the time of its retry. If the loop of the escalation
// spins then, the bubble's clock stops and the test times out.
func TestFailedStepDoesNotSpin(t *testing.T) {
	withFlaky(t, escalating, func(w *world, store *flaky) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		after(5*time.Minute - 200*time.Millisecond)
		store.readOnly.Store(true) // for half a second
		after(500 * time.Millisecond)
		store.readOnly.Store(false)
		a.say("ok")
		a.expect(5*time.Second, "OK, ...")
		after(time.Hour)
	})
}
