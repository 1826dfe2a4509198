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

// faulty is a store with single faults, which counts its writes and reads.
type faulty struct {
	outbox.Store
	contactsFail atomic.Int64                    // how many further reads of contacts fail
	pagesFail    atomic.Int64                    // how many further reads of lists of pages fail
	ofCode       func(code string) []outbox.Page // the pages with a code; nil: those in the store
	unwritable   atomic.Pointer[string]          // the id of a page that cannot be stored
	unreadable   atomic.Bool                     // the docs of pages are unreadable
	writes       atomic.Int64
	reads        atomic.Int64 // reads of single pages
	current      atomic.Int64 // reads of lists of current pages of a group, or with alerts
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

func (f *faulty) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	if q.Current && q.GroupKey+strings.Join(q.Alerts, "") != "" {
		f.current.Add(1)
	}
	if f.pagesFail.Add(-1) >= 0 {
		return nil, errBroken
	}
	if f.ofCode != nil && q.Code != "" {
		return f.ofCode(q.Code), nil
	}
	return f.Store.Pages(ctx, q)
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
	var f faulty
	inWrappedWorld(t, cfg, func(s outbox.Store) outbox.Store {
		f.Store = s
		return &f
	}, func(w *world) { test(w, &f) })
}

// TestReplyAfterUnreadableContacts: a reply is carried out on its next callback if contacts cannot be
// read once.
func TestReplyAfterUnreadableContacts(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		f.contactsFail.Store(1)
		a.say("stop")
		a.expect(20*time.Second, "You get no more...") // when the callback comes again
		a.say("start")
		a.expect(time.Second, "You get texts again...")
	})
}

// TestReviewAfterUnreadablePages: pages are still reviewed if they cannot be read a few times.
func TestReviewAfterUnreadablePages(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		a, b := w.phone(alice), w.phone(bob)
		w.fire()
		a.expect(time.Second, "CRITICAL...")
		f.pagesFail.Store(3)
		a.say("stop")
		b.expectBoth(10*time.Second, "alice has stopped...", "CRITICAL...Not reached: alice. OK? Re CODE")
	})
}

// TestUnreadablePageIsRetriedRarely: an unreadable page is retried only now and then.
func TestUnreadablePageIsRetriedRarely(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		w.fire()
		after(time.Second)
		f.unreadable.Store(true)
		before := f.reads.Load()
		after(10 * time.Minute)
		if n := f.reads.Load() - before; n == 0 || n > 10 {
			t.Errorf("the page was read %d times in 10 minutes", n)
		}
	})
}

// TestUnwritablePageDelaysNoOther: a page that cannot be stored does not delay another.
func TestUnwritablePageDelaysNoOther(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		b := w.phone(bob)
		w.fire()
		id := w.page().ID
		after(time.Second)
		w.notify("oncall", "other", "first notification", alert{name: "LoadHigh", severity: "critical", instance: "db-2"})
		after(time.Second)
		f.unwritable.Store(&id)
		texts := b.expect(5*time.Minute+5*time.Second, "CRITICAL...") + b.expect(5*time.Second, "CRITICAL...")
		b.silent(time.Hour) // the page that cannot be stored is sent only once too
		for _, want := range []string{"DiskFull", "LoadHigh"} {
			if !strings.Contains(texts, want) {
				t.Errorf("bob gets no text about %s: %s", want, texts)
			}
		}
	})
}

// TestReloadsWriteNothing: a reload changes no page.
func TestReloadsWriteNothing(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		time.Sleep(123456 * time.Nanosecond) // not a whole millisecond
		for i := range 3 {
			w.notify("oncall", fmt.Sprint(i), "first notification", alert{name: "DiskFull", severity: "critical", instance: fmt.Sprint("db-", i)})
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

// TestCodesAreNotReusedSoon: a code is not used again while its page is current, nor within 30 days of its opening.
func TestCodesAreNotReusedSoon(t *testing.T) {
	inFaultyWorld(t, escalating, func(w *world, f *faulty) {
		var drawn []string
		f.ofCode = func(code string) []outbox.Page {
			drawn = append(drawn, code)
			ago := []time.Duration{50 * 24 * time.Hour, 29 * 24 * time.Hour, 31 * 24 * time.Hour}[len(drawn)-1]
			state := outbox.PageResolved
			if len(drawn) == 1 {
				state = outbox.PageAcknowledged
			}
			return []outbox.Page{{ID: "x", Code: code, State: state, OpenedAt: time.Now().Add(-ago)}}
		}
		w.fire()
		if p := w.page(); len(drawn) != 3 || p.Code != drawn[2] {
			t.Errorf("the code is %s, want the last of %q", drawn, p.Code)
		}
	})
}

// badPage is a store in which the doc of one page is unreadable.
type badPage struct {
	outbox.Store
	id atomic.Pointer[string]
}

func (f *badPage) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	ps, err := f.Store.Pages(ctx, q)
	if id := f.id.Load(); id != nil {
		for i := range ps {
			if ps[i].ID == *id {
				ps[i].Doc = []byte(`{"people": 1}`)
			}
		}
	}
	return ps, err
}

func TestUnreadablePageBlocksNoReply(t *testing.T) {
	inWorld(t, escalating, func(w *world) {
		w.halt()
		f := &badPage{}
		w.wraps = func(s outbox.Store) outbox.Store { f.Store = s; return f }
		w.start(escalating)
		a := w.phone(alice)
		w.fire()
		a.expect(time.Second, "CRITICAL...Re CODE")
		id := w.page().ID
		after(time.Second)
		w.notify("oncall", "other", "first notification", other)
		a.expect(time.Second, "CRITICAL...Re CODE")
		f.id.Store(&id)
		a.say("%s", a.code)
		a.expect(time.Minute, "OK, ...")
	})
}

// TestDuplicatesReadNoPages: a duplicate costs no read of pages if only a notification can have ended its alerts.
func TestDuplicatesReadNoPages(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg      string
		resolved bool
	}{
		"no Alertmanager is asked": {strings.Replace(escalating, "alertmanager: {urls: [http://alertmanager]}", "", 1), false},
		"all alerts are resolved":  {escalating, true},
	} {
		inFaultyWorld(t, tc.cfg, func(w *world, f *faulty) {
			body := func(status string) string {
				return fmt.Sprintf(`{"version": "4", "status": %q, "receiver": "oncall", "groupKey": "g", "alerts": [{"status": %q, "labels": {"alertname": "A"}, "startsAt": "1999-12-31T23:00:00Z"}]}`, status, status)
			}
			status := "firing"
			w.do("POST", "/alertmanager", body(status))
			if tc.resolved {
				status = "resolved"
				w.do("POST", "/alertmanager", body(status))
			}
			before := f.current.Load()
			if _, text := w.do("POST", "/alertmanager", body(status)); !strings.Contains(text, "duplicate") || f.current.Load() != before {
				t.Errorf("%s: a duplicate reads pages %d times: %s", name, f.current.Load()-before, text)
			}
		})
	}
}
