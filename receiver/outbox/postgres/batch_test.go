package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/outboxtest"
	"github.com/smspager/smspager/receiver/outbox/postgres"
)

// webhook returns an entry with everything in it, for the nth notification of a group.
func webhook(group, n int, earlier outbox.Entry) outbox.Entry {
	p := outboxtest.NewPage(group, fmt.Sprint("g", group), fmt.Sprint(1000+group))
	e := outbox.Entry{
		Key: outbox.Key{1, byte(group)}, State: outbox.Key{byte(n)}, Source: "eu", SeenAt: time.Now(), Window: time.Minute,
		Messages: []outbox.Message{outboxtest.NewMessage(100*group+n, "999")},
		Marks:    []outbox.Mark{{Kind: "wait", Name: fmt.Sprint(group), Version: n, At: time.Now(), Doc: []byte(`{}`)}},
	}
	if n > 0 {
		p.ID, p.Version = earlier.Page.ID, n
		e.Notes = []outbox.Change{outbox.Attempted(earlier.Messages[0].ID, time.Now(), ""), outbox.Refused(earlier.Messages[0].ID, time.Now(), "")}
	}
	e.Page = &p
	return e
}

// TestRoundTrips: whatever a transaction contains, it takes two round trips.
func TestRoundTrips(t *testing.T) {
	p := newProxy(t, database(t))
	s := open(t, p.url)
	var latest []outbox.Entry
	for group := range 65 {
		latest = append(latest, webhook(group, 0, outbox.Entry{}))
	}
	for n := range 3 {
		for group := range latest {
			latest[group] = webhook(group, n, latest[group])
		}
		for name, add := range map[string]func() error{
			"one webhook": func() error {
				_, err := s.Add(context.Background(), latest[64])
				return err
			},
			"64 of them": func() error {
				_, err := s.AddTogether(latest[:64]...)
				return err
			},
		} {
			before := p.ready.Load()
			if err := add(); err != nil {
				t.Fatal(err)
			}
			// The connection has prepared every statement only after it has changed rows twice.
			if trips := p.ready.Load() - before; trips != 2 && n == 2 {
				t.Errorf("%s: %d round trips", name, trips)
			}
		}
	}
	for _, e := range latest {
		got, err := s.Page(context.Background(), e.Page.ID)
		if err != nil || got.Version != 3 || len(got.Events) != 3 {
			t.Errorf("a page is %+v, %v", got, err)
		}
	}
}

// TestProtocols: all of pgx's modes of sending statements store the same.
func TestProtocols(t *testing.T) {
	url := database(t)
	for group, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		s := open(t, url+"?default_query_exec_mode="+mode)
		var e outbox.Entry
		var ids []string
		for n := range 3 {
			e = webhook(group, n, e)
			e.Page.AcknowledgedBy, e.Messages[0].Text = `O'Brien, "{\`, "é\n$1'"
			ids = append(ids, e.Messages[0].ID)
			if _, err := s.Add(context.Background(), e); err != nil {
				t.Fatalf("%s: %v", mode, err)
			}
		}
		if added, err := s.Add(context.Background(), e); err != nil || !added.Duplicate || added.IDs[0] != ids[2] {
			t.Errorf("%s: a repeat gives %+v, %v", mode, added, err)
		}
		p, err := s.Page(context.Background(), e.Page.ID)
		if err != nil || p.Version != 3 || len(p.Events) != 3 || p.AcknowledgedBy != e.Page.AcknowledgedBy {
			t.Errorf("%s: the page is %+v, %v", mode, p, err)
		}
		m, err := s.Get(context.Background(), ids[1])
		if err != nil || m.State != outbox.Failed || m.Attempts != 1 || len(m.Events) != 3 || m.Text != e.Messages[0].Text {
			t.Errorf("%s: the message is %+v, %v", mode, m, err)
		}
		if n, err := s.Prune(context.Background(), time.Now(), 10); n != 2 || err != nil {
			t.Errorf("%s: Prune gives %d, %v", mode, n, err)
		}
	}
}

// TestTogether: an entry of a transaction sees the changes by the entries before it, and only the
// entries that cannot be stored are left out.
func TestTogether(t *testing.T) {
	s := open(t, database(t))
	ctx := context.Background()
	first := webhook(1, 0, outbox.Entry{})
	twin := first
	twin.Source = "us"
	second := webhook(1, 1, first)
	stale := webhook(1, 1, first)
	stale.Key, stale.Marks, stale.Notes = outbox.Key{9}, nil, nil
	same := outbox.Entry{Messages: first.Messages}
	old := first.Marks[0]
	old.Version, old.Doc = 2, nil
	gone := outbox.Entry{Marks: []outbox.Mark{old}}
	again := webhook(1, 0, outbox.Entry{}).Marks[0]
	added, err := s.AddTogether(first, twin, second, stale, same, gone, outbox.Entry{Marks: []outbox.Mark{again}})
	if got := strings.Count(fmt.Sprint(err), outbox.ErrConflict.Error()); !errors.Is(err, outbox.ErrNotStored) || got != 2 {
		t.Errorf("AddTogether gives %v", err)
	}
	if !added[1].Duplicate || added[1].IDs[0] != first.Messages[0].ID || added[2].Duplicate {
		t.Errorf("AddTogether returns %+v", added)
	}
	m, err := s.Get(ctx, first.Messages[0].ID)
	if err != nil || m.State != outbox.Failed || m.Attempts != 1 || len(m.Events) != 3 {
		t.Errorf("the first message is %+v, %v", m, err)
	}
	if _, err := s.Get(ctx, stale.Messages[0].ID); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("the stale entry's message: %v", err)
	}
	p, err := s.Page(ctx, first.Page.ID)
	if err != nil || p.Version != 2 || len(p.Events) != 2 {
		t.Errorf("the page is %+v, %v", p, err)
	}
	if marks, err := s.Marks(ctx, "wait"); err != nil || len(marks) != 1 || marks[0].Version != 1 {
		t.Errorf("the marks are %+v, %v", marks, err)
	}
}

// TestProcessesConflict: of several processes that change a page and a mark concurrently, exactly one succeeds.
func TestProcessesConflict(t *testing.T) {
	url := database(t)
	stores := []*postgres.Store{open(t, url), open(t, url), open(t, url)}
	first := webhook(1, 0, outbox.Entry{})
	if _, err := stores[0].Add(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*outbox.Entry){
		"a page": func(e *outbox.Entry) { e.Marks = nil },
		"a mark": func(e *outbox.Entry) { e.Page = nil },
		"a new mark": func(e *outbox.Entry) {
			e.Page, e.Marks[0].Name, e.Marks[0].Version = nil, "new", 0
		},
	} {
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 15 {
			wg.Go(func() {
				e := webhook(1, 1, first)
				e.Key, e.Notes = outbox.Key{}, nil
				change(&e)
				switch _, err := stores[i%len(stores)].Add(context.Background(), e); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, outbox.ErrConflict):
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Errorf("%s is changed %d times", name, made.Load())
		}
	}
}

// TestPagesMove: a page may take the group or the code that another page in the same entry gives up,
// in the order of the entry.
func TestPagesMove(t *testing.T) {
	s := open(t, database(t))
	one, two, three := outboxtest.NewPage(1, "g1", "1"), outboxtest.NewPage(2, "g2", "2"), outboxtest.NewPage(3, "g2", "1")
	if _, err := s.AddTogether(outbox.Entry{Page: &one}, outbox.Entry{Page: &two}); err != nil {
		t.Fatal(err)
	}
	one.Version, two.Version = 1, 1
	one.State, two.GroupKey = outbox.PageResolved, "g1"
	if _, err := s.AddTogether(outbox.Entry{Page: &three, OtherPages: []*outbox.Page{&one, &two}}); err != nil {
		t.Error(err)
	}
}

// TestConnectionEnds: if its connection ends before the writes are sent, a transaction is begun
// again; later, the server is asked whether it was committed, if the server can be reached.
func TestConnectionEnds(t *testing.T) {
	p := newProxy(t, database(t))
	s := open(t, p.url)
	ctx := context.Background()
	for trip, unknown := range map[int64]bool{1: false, 2: false, -2: true} {
		if _, err := s.Add(ctx, outbox.Entry{Key: outbox.Key{1, byte(trip)}, SeenAt: time.Now(), Messages: []outbox.Message{outboxtest.NewMessage(1, "999")}}); err != nil {
			t.Fatal(err)
		}
		var n atomic.Int64
		cut := func() bool {
			if trip < 0 { // this trip and all later ones
				return n.Add(1) < -trip
			}
			return n.Add(1) != trip
		}
		p.respond.Store(&cut)
		m := outboxtest.NewMessage(2, "999")
		added, err := s.Add(ctx, outbox.Entry{Key: outbox.Key{2, byte(trip)}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{m}})
		if unknown != (err != nil) || errors.Is(err, outbox.ErrNotStored) || added.Duplicate {
			t.Errorf("trip %d: Add gives %+v, %v", trip, added, err)
		}
		p.respond.Store(nil)
		if got, err := s.Get(ctx, m.ID); err != nil || len(got.Events) != 1 {
			t.Errorf("trip %d: the message is %+v, %v", trip, got, err)
		}
	}
}

// TestStoredBetweenRoundTrips: if another process stores the same notification between the two round trips, the
// entry is a duplicate.
func TestStoredBetweenRoundTrips(t *testing.T) {
	url := database(t)
	p := newProxy(t, url)
	one, other := open(t, p.url), open(t, url)
	entry := func(key byte) outbox.Entry {
		return outbox.Entry{Key: outbox.Key{key}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{outboxtest.NewMessage(1, "999")}}
	}
	if _, err := one.Add(context.Background(), entry(2)); err != nil { // the connection prepares the statements
		t.Fatal(err)
	}
	first := entry(1)
	var once sync.Once
	meanwhile := func() bool {
		once.Do(func() {
			if _, err := other.Add(context.Background(), first); err != nil {
				t.Error(err)
			}
		})
		return true
	}
	p.respond.Store(&meanwhile)
	fresh := outbox.Entry{Messages: []outbox.Message{outboxtest.NewMessage(2, "999")}}
	added, err := one.AddTogether(fresh, entry(1))
	if err != nil || added[0].Duplicate || !added[1].Duplicate || added[1].IDs[0] != first.Messages[0].ID {
		t.Errorf("AddTogether gives %+v, %v", added, err)
	}
}
