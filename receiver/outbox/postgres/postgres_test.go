package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/outboxtest"
	"github.com/smspager/smspager/receiver/outbox/postgres"
)

// server is shared by all tests; each has a database of its own.
var server *postgrestest.Server

func TestMain(m *testing.M) {
	var err error
	server, err = postgrestest.Start()
	if err != nil && (!errors.Is(err, postgrestest.ErrMissing) || realpart.Required()) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if server != nil {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func database(t testing.TB) string {
	t.Helper()
	if server == nil {
		t.Skip(postgrestest.ErrMissing)
	}
	url, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	outboxtest.Run(t, func(t *testing.T) outbox.Store { return open(t, database(t)) })
}

func TestUnreadableHistory(t *testing.T) {
	outboxtest.RunUnreadableHistory(t, func(t *testing.T) (outbox.Store, func(id, history string) outbox.Store) {
		url := database(t)
		return open(t, url), func(id, history string) outbox.Store {
			if err := server.Exec(url, "UPDATE messages SET events = '"+history+"' WHERE id = '"+id+"'"); err != nil {
				t.Fatal(err)
			}
			return open(t, url)
		}
	})
}

// TestDamagedRow: the part of a long text is damaged that the server keeps in a file of its own (TOAST).
func TestDamagedRow(t *testing.T) {
	outboxtest.RunDamaged(t, func(t *testing.T) (outbox.Store, func(id string) outbox.Store) {
		url := database(t)
		return open(t, url), func(id string) outbox.Store {
			for _, statement := range []string{
				"ALTER TABLE messages ALTER COLUMN text SET STORAGE EXTERNAL",
				"UPDATE messages SET text = repeat('disk full', 1000) WHERE id = '" + id + "'",
				"CHECKPOINT",
			} {
				if err := server.Exec(url, statement); err != nil {
					t.Fatal(err)
				}
			}
			const path = `SELECT current_setting('data_directory') || '/' || pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'messages'`
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			var file string
			err = errors.Join(conn.QueryRow(t.Context(), path).Scan(&file), conn.Close(t.Context()), server.Kill())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(strings.Repeat("x", 4*8192)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := server.Run(); err != nil {
				t.Fatal(err)
			}
			return open(t, url)
		}
	})
}

// TestReplicas repeats the suite's tests of concurrency with several processes.
func TestReplicas(t *testing.T) {
	url := database(t)
	stores := make([]*postgres.Store, 3)
	var opening sync.WaitGroup
	for i := range stores {
		opening.Go(func() { stores[i] = open(t, url) }) // they migrate at the same time
	}
	opening.Wait()
	ctx := context.Background()
	const keys = 40
	var mu sync.Mutex
	stored := make(map[byte]int)
	var adding sync.WaitGroup
	for _, s := range stores {
		for key := range byte(keys) {
			adding.Go(func() {
				added, err := s.Add(ctx, outbox.Entry{
					Key: outbox.Key{key + 1}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{outboxtest.NewMessage(int(key), "999")},
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if !added.Duplicate {
					stored[key]++
				}
			})
		}
	}
	adding.Wait()
	for key := range byte(keys) {
		if stored[key] != 1 {
			t.Errorf("notification %d was stored %d times", key, stored[key])
		}
	}
	open := 0
	for m, err := range stores[2].Open(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		open++
		// All of them change the message simultaneously, and no attempt or event is lost.
		var applying sync.WaitGroup
		for _, s := range stores {
			applying.Go(func() {
				if _, err := s.Add(ctx, outbox.Entry{Notes: []outbox.Change{outbox.Attempted(m.ID, time.Now(), "")}}); err != nil {
					t.Error(err)
				}
			})
		}
		applying.Wait()
		if got, err := stores[0].Get(ctx, m.ID); err != nil || got.Attempts != 3 || len(got.Events) != 4 {
			t.Fatalf("after three attempts: %+v, %v", got, err)
		}
	}
	if open != keys {
		t.Errorf("%d messages are open", open)
	}
}

func TestLead(t *testing.T) {
	url := database(t)
	first, second := open(t, url), open(t, url)
	ctx := t.Context()
	lease, release, err := first.Lead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	leads := make(chan func(), 1)
	go func() {
		if _, release, err := second.Lead(ctx); err == nil {
			leads <- release
		}
	}()
	select {
	case <-leads:
		t.Fatal("two replicas lead")
	case <-time.After(1500 * time.Millisecond): // real time: the server's clock cannot be faked
	}
	release()
	if lease.Err() == nil {
		t.Error("the lease outlives its release")
	}
	select {
	case releaseSecond := <-leads:
		defer releaseSecond()
	case <-time.After(time.Minute):
		t.Fatal("no replica leads after the leader has ended")
	}
}

// TestLeadEnds: leading ends when another replica takes the lease, but not when sessions end.
func TestLeadEnds(t *testing.T) {
	for name, end := range map[string]func(url string) error{
		"another leads": func(url string) error {
			return server.Exec(url, `UPDATE lease SET holder = 'another', term = term + 1`)
		},
		"sessions ended": func(string) error { return server.EndSessions() },
	} {
		url := database(t)
		s := open(t, url)
		lease, release, err := s.Lead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		time.Sleep(1500 * time.Millisecond) // until after a heartbeat: otherwise its session has been idle, and is tried first
		if err := end(url); err != nil {
			t.Fatal(err)
		}
		patience := 4 * time.Second // real time: the server's clock cannot be faked
		if name == "another leads" {
			patience = time.Minute
		}
		select {
		case <-lease.Done():
			if name != "another leads" {
				t.Errorf("%s: the lease ends: %v", name, context.Cause(lease))
			}
		case <-time.After(patience):
			if name == "another leads" || !lease.Valid() {
				t.Errorf("%s: the lease has not ended, valid: %t", name, lease.Valid())
			}
		}
	}
}

// TestTerms: decisions of an older term's leader are ignored, but facts are stored. A replica that
// leads again before another did continues its term.
func TestTerms(t *testing.T) {
	url := database(t)
	ctx := t.Context()
	terms := func(s *postgres.Store) int64 {
		lease, release, err := s.Lead(ctx)
		if err != nil {
			t.Fatal(err)
		}
		release()
		return lease.Term()
	}
	one, two := open(t, url), open(t, url)
	first, again, second := terms(one), terms(one), terms(two)
	if first <= 0 || again != first || second <= first {
		t.Fatalf("the terms are %d, %d and %d", first, again, second)
	}
	m := outboxtest.NewMessage(1, "999")
	add := func(e outbox.Entry, want error) outbox.State {
		t.Helper()
		if _, err := one.Add(ctx, e); !errors.Is(err, want) {
			t.Errorf("Add gives %v, want %v", err, want)
		}
		got, err := two.Get(ctx, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	add(outbox.Entry{Messages: []outbox.Message{m}}, nil)
	late := outbox.TooOld(m.ID, time.Now(), "")
	late.Term = first
	if got := add(outbox.Entry{Notes: []outbox.Change{late, outbox.Attempted(m.ID, time.Now(), "")}}, nil); got != outbox.Sending {
		t.Errorf("after an old decision and a fact the message is %s", got)
	}
	other := outboxtest.NewMessage(2, "999")
	add(outbox.Entry{Term: first, Messages: []outbox.Message{other}}, outbox.ErrConflict)
	if _, err := two.Get(ctx, other.ID); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("an entry of an old term: %v", err)
	}
	late.Term = second
	if got := add(outbox.Entry{Term: second, Notes: []outbox.Change{late}}, nil); got != outbox.Expired {
		t.Errorf("after a decision of this term the message is %s", got)
	}
}

func TestListen(t *testing.T) {
	url := database(t)
	one, other := open(t, url), open(t, url)
	ready := make(chan struct{})
	hints := make(chan outbox.Hint, 10)
	go one.Listen(t.Context(), func() { close(ready) }, func(h outbox.Hint) { hints <- h })
	<-ready
	ctx := context.Background()
	m := outboxtest.NewMessage(1, "999")
	if _, err := other.Add(ctx, outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Add(ctx, outbox.Entry{Notes: []outbox.Change{outbox.Refused(m.ID, time.Now(), "")}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []outbox.Hint{{ID: m.ID}, {ID: m.ID, Ended: true, Undelivered: true}} {
		select {
		case got := <-hints:
			if got != want {
				t.Errorf("the hint is %+v, want %+v", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("the hint %+v never comes", want)
		}
	}
}

func TestSurvivesTheServersCrash(t *testing.T) {
	s := open(t, database(t))
	ctx := context.Background()
	before, during, after := outboxtest.NewMessage(1, "999"), outboxtest.NewMessage(2, "999"), outboxtest.NewMessage(3, "999")
	add := func(m outbox.Message) error {
		_, err := s.Add(ctx, outbox.Entry{Messages: []outbox.Message{m}})
		return err
	}
	if err := add(before); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := add(during); err == nil {
		t.Error("a message is stored while there is no database")
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	if err := add(after); err != nil {
		t.Errorf("the store does not recover: %v", err)
	}
	for id, want := range map[string]error{before.ID: nil, during.ID: outbox.ErrNotFound, after.ID: nil} {
		if _, err := s.Get(ctx, id); !errors.Is(err, want) {
			t.Errorf("Get(%s) gives %v, want %v", id, err, want)
		}
	}
}

// TestSessionsEnd: if the server has only ended its sessions, nothing fails.
func TestSessionsEnd(t *testing.T) {
	s := open(t, database(t))
	ctx := context.Background()
	for i := range 5 {
		// Open every connection of the pool.
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _, _ = s.List(ctx, outbox.Query{Limit: 1}) })
		}
		wg.Wait()
		if err := server.EndSessions(); err != nil {
			t.Fatal(err)
		}
		m := outboxtest.NewMessage(i, "999")
		if _, err := s.Add(ctx, outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
			t.Errorf("round %d: %v", i, err)
		}
		if _, err := s.Get(ctx, m.ID); err != nil {
			t.Errorf("round %d: %v", i, err)
		}
	}
}

func TestBadURL(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://acme:hunter2@127.0.0.1:1/x":   "connect",
		"postgres://acme:hunter2@host:port:1/x":   "write it as postgres://",
		"host=127.0.0.1 port=1 password=hunter2 ": "connect",
	} {
		_, err := postgres.Open(context.Background(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open gives %v, want %q and no password", err, want)
		}
	}
}

var (
	listParameter = regexp.MustCompile(`\$\d+(::\w+\[\])`)
	parameter     = regexp.MustCompile(`\$\d+`)
)

// TestQueriesUseIndexes: if the planner avoids scans of whole tables wherever it can,
// none are left, and only a few rows are ever sorted.
func TestQueriesUseIndexes(t *testing.T) {
	url := database(t)
	open(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	for name, query := range postgres.HotQueries {
		query = parameter.ReplaceAllString(listParameter.ReplaceAllString(query, "'{1}'$1"), "'1'")
		rows, err := conn.Query(t.Context(), "EXPLAIN "+query)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, step := range plan {
			if strings.Contains(step, "Seq Scan") || strings.Contains(step, "Sort") && !postgres.FewRows[name] {
				t.Errorf("%s:\n%s", name, strings.Join(plan, "\n"))
				break
			}
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			outboxtest.BenchmarkAdd(b, open(b, database(b)), clients)
		})
	}
}
