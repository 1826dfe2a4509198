package spool_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// TestClockWasAhead: times stored by a clock that was ahead count as now, and new IDs are
// greater than those made by it. The times also count as now if the clock is set back while the
// process runs.
func TestClockWasAhead(t *testing.T) {
	for _, restarts := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
			if err != nil {
				t.Fatal(err)
			}
			now, then := time.Now(), time.Now().Add(3*time.Hour)
			old := message(outbox.NewIDs(), "g")
			old.ID = outbox.NewIDs().New(then)
			write := func() {
				t.Helper()
				_, err := store.Add(t.Context(), outbox.Entry{
					Messages: []outbox.Message{old},
					Page: &outbox.Page{
						ID: outbox.NewIDs().New(then.Add(time.Second)), Receiver: "oncall", GroupKey: "g", Code: "17", State: outbox.PageOpen,
						OpenedAt: then, UpdatedAt: then, DueAt: then.Add(5 * time.Minute), Doc: []byte(`{}`),
					},
					Marks: []outbox.Mark{{Kind: "heartbeat", Name: "prod", At: then, Doc: []byte(`{"last_at":"` + then.UTC().Format(time.RFC3339Nano) + `"}`)}},
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if restarts {
				write()
			}
			ids := outbox.NewIDs()
			s, err := spool.New(spool.Options{IDs: ids, Open: func(context.Context) (outbox.Store, error) { return store, nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if !restarts {
				write()
				s.Rewind()
				synctest.Wait()
			}
			ps, err := s.Pages(t.Context(), outbox.PageQuery{Current: true, Limit: 10})
			if err != nil || len(ps) != 1 || !ps[0].DueAt.Equal(now.Add(5*time.Minute).Truncate(time.Millisecond)) {
				t.Errorf("the pages are %+v, %v", ps, err)
			}
			ms, err := s.Marks(t.Context(), "heartbeat")
			if want := `{"last_at":"` + now.UTC().Format(time.RFC3339Nano) + `"}`; err != nil || len(ms) != 1 || string(ms[0].Doc) != want {
				t.Errorf("the marks are %+v, %v, want %s", ms, err, want)
			}
			if id := ids.New(time.Now()); restarts && (id <= old.ID || id <= ps[0].ID) {
				t.Errorf("%s comes after %s and %s", id, old.ID, ps[0].ID)
			}
		})
	}
}

// TestClockSetBackWhileRunning: pages and marks count as written now, in memory and in the store, and
// Committed reports the pages, which may be due.
func TestClockSetBackWhileRunning(t *testing.T) {
	for name, test := range map[string]struct{ held, away bool }{
		"stored":                               {},
		"stored, and the store cannot be read": {away: true},
		"not stored":                           {held: true},
		"not stored, and the store cannot be read": {held: true, away: true},
	} {
		var committed atomic.Int32
		in(t, spool.Options{Committed: func(*outbox.Entry) { committed.Add(1) }}, func(f *fake, s *spool.Spool) {
			ctx, then := context.Background(), time.Now().Add(3*time.Hour)
			p := opened("p", "g", "1234")
			p.OpenedAt, p.UpdatedAt, p.DueAt = then, then, then.Add(5*time.Minute)
			beat := outbox.Mark{Kind: "heartbeat", Name: "prod", At: then, Doc: []byte(`{"last_at":"` + then.UTC().Format(time.RFC3339Nano) + `"}`)}
			if _, err := s.Marks(ctx, "heartbeat"); err != nil { // so that the shelf knows them
				t.Fatal(err)
			}
			if test.held {
				f.fail(errFault, nil)
			}
			if _, err := commit(s, spool.Later, outbox.Entry{Page: p, Marks: []outbox.Mark{beat}}); err != nil {
				t.Fatal(err)
			}
			if test.away {
				f.fail(errFault, errFault)
			}
			check := func(when string, ps []outbox.Page, err error, ms []outbox.Mark, err2 error) {
				t.Helper()
				late := time.Now().Add(6 * time.Minute)
				if err != nil || len(ps) != 1 || ps[0].DueAt.After(late) || ps[0].UpdatedAt.After(late) {
					t.Errorf("%s, %s, the pages are %+v, %v", name, when, ps, err)
				}
				if err2 != nil || len(ms) != 1 || ms[0].At.After(late) {
					t.Errorf("%s, %s, the marks are %+v, %v", name, when, ms, err2)
				}
			}
			q := outbox.PageQuery{Current: true, Limit: 10}
			synctest.Wait()
			committed.Store(0)
			s.Rewind()
			synctest.Wait()
			if committed.Load() == 0 {
				t.Errorf("%s: Committed is not called", name)
			}
			ps, err := s.Pages(ctx, q)
			ms, err2 := s.Marks(ctx, "heartbeat")
			check("in memory", ps, err, ms, err2)
			f.fail(nil, nil)
			time.Sleep(5 * time.Second)
			ps, err = f.Store.Pages(ctx, q)
			ms, err2 = f.Store.Marks(ctx, "heartbeat")
			check("in the store", ps, err, ms, err2)
		})
	}
}

// TestStartReadsPagesOnce: one reading of the current pages serves to compare clocks and to know the
// pages when they cannot be read.
func TestStartReadsPagesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 250 {
			name := fmt.Sprint(1000 + i)
			if _, err := raw.Add(t.Context(), outbox.Entry{Page: opened(name, name, name)}); err != nil {
				t.Fatal(err)
			}
		}
		f := &fake{Store: raw}
		s, err := spool.New(spool.Options{Open: func(context.Context) (outbox.Store, error) { return f, nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(time.Minute)
		f.mu.Lock()
		reads := f.pageReads
		f.mu.Unlock()
		if reads != 3 { // batches
			t.Errorf("a start reads pages %d times", reads)
		}
		f.fail(errFault, errFault)
		if ps, err := s.Pages(t.Context(), outbox.PageQuery{Current: true, Limit: 500}); err != nil || len(ps) != 250 {
			t.Errorf("%d pages are known, %v", len(ps), err)
		}
	})
}

// TestFailedRewindIsRepeated: if the store cannot be read or written when it is opened, its times in the
// future count as now later, and the spool gets to know its pages.
func TestFailedRewindIsRepeated(t *testing.T) {
	for name, fails := range map[string][2]error{"neither read nor written": {errFault, errFault}, "not read": {nil, errFault}, "not written": {errFault, nil}} {
		synctest.Test(t, func(t *testing.T) {
			raw, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
			if err != nil {
				t.Fatal(err)
			}
			then := time.Now().Add(3 * time.Hour)
			p := opened(outbox.NewIDs().New(then), "g", "1234")
			p.UpdatedAt, p.DueAt = then, then
			if _, err := raw.Add(t.Context(), outbox.Entry{Page: p}); err != nil {
				t.Fatal(err)
			}
			f := &fake{Store: raw}
			f.fail(fails[0], fails[1])
			ids := outbox.NewIDs()
			s, err := spool.New(spool.Options{IDs: ids, Open: func(context.Context) (outbox.Store, error) { return f, nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			time.Sleep(3 * time.Second)
			if fails[1] == nil { // the pages are known although none can be written
				f.fail(errFault, errFault)
				if ps, err := s.Pages(t.Context(), outbox.PageQuery{Current: true, Limit: 5}); err != nil || len(ps) != 1 {
					t.Errorf("%s: the pages are %+v, %v", name, ps, err)
				}
			}
			f.fail(nil, nil)
			time.Sleep(3 * time.Second)
			if ps, err := raw.Pages(t.Context(), outbox.PageQuery{Limit: 5}); err != nil || ps[0].DueAt.After(time.Now()) {
				t.Errorf("%s: the pages are stored as %+v, %v", name, ps, err)
			}
			if id := ids.New(time.Now()); id < p.ID {
				t.Errorf("%s: %s is not greater than %s", name, id, p.ID)
			}
			f.fail(errFault, errFault)
			if ps, err := s.Pages(t.Context(), outbox.PageQuery{Current: true, Limit: 5}); err != nil || len(ps) != 1 || ps[0].Version != 2 {
				t.Errorf("%s: the known pages are %+v, %v", name, ps, err)
			}
		})
	}
}

// timed is a shared store whose clock takes a while to read.
type timed struct {
	outbox.Store
	takes, ahead atomic.Int64 // ns
}

func (s *timed) Now(context.Context) (time.Time, error) {
	time.Sleep(time.Duration(s.takes.Load())) // the request's way to the database, which then reads its clock
	return time.Now().Add(time.Duration(s.ahead.Load())), nil
}

func (*timed) Lead(context.Context) (outbox.Lease, func(), error)      { return nil, nil, errFault }
func (*timed) Listen(context.Context, func(), func(outbox.Hint)) error { return errFault }

// TestSlowClockReadings: a process follows a shared database's clock, but a slow reading
// does not replace a better one, as nobody knows at what moment of the request the clock was read.
// Otherwise one replica's IDs would be ahead, and newer messages of another would count as older.
func TestSlowClockReadings(t *testing.T) {
	store := &timed{}
	store.ahead.Store(int64(-time.Hour))
	synctest.Test(t, func(t *testing.T) {
		raw, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		store.Store = raw
		s, err := spool.New(spool.Options{Shared: true, Open: func(context.Context) (outbox.Store, error) { return store, nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, step := range []struct{ takes, ahead, want time.Duration }{
			{0, -time.Hour, -time.Hour}, {4 * time.Second, -time.Hour, -time.Hour}, {50 * time.Millisecond, time.Hour, time.Hour + 25*time.Millisecond},
		} {
			store.takes.Store(int64(step.takes))
			store.ahead.Store(int64(step.ahead))
			time.Sleep(2 * time.Minute)
			if ahead := time.Until(s.Now()); (ahead - step.want).Abs() > 30*time.Millisecond {
				t.Errorf("a database that is ahead by %s, and says so after %s: the time is ahead by %s", step.ahead, step.takes, ahead)
			}
		}
	})
}
