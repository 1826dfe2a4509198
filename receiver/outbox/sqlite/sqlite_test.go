package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/outboxtest"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	outboxtest.Run(t, func(t *testing.T) outbox.Store {
		return open(t, filepath.Join(t.TempDir(), "odd name?#%20", "outbox.db"))
	})
}

func TestUnreadableHistory(t *testing.T) {
	outboxtest.RunUnreadableHistory(t, func(t *testing.T) (outbox.Store, func(id, history string) outbox.Store) {
		path := filepath.Join(t.TempDir(), "outbox.db")
		s := open(t, path)
		return s, func(id, history string) outbox.Store {
			s.Close()
			execute(t, path, "UPDATE pending SET events = ? WHERE id = ?", history, id)
			return open(t, path)
		}
	})
}

// TestDamagedPage: a page of the file is damaged that holds a message.
func TestDamagedPage(t *testing.T) {
	outboxtest.RunDamaged(t, func(t *testing.T) (outbox.Store, func(id string) outbox.Store) {
		path := filepath.Join(t.TempDir(), "outbox.db")
		s := open(t, path)
		return s, func(id string) outbox.Store {
			s.Close()
			const page = 4096
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(file, []byte(id)) / page * page
			copy(file[at:at+page], strings.Repeat("x", page))
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			return open(t, path)
		}
	})
}

// TestDamagedSightings: the outbox is opened although its sightings are damaged.
func TestDamagedSightings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	s := open(t, path)
	key := outbox.Key([]byte("a key of 32 characters, to find."))
	m := outboxtest.NewMessage(0, "999")
	if _, err := s.Add(t.Context(), outbox.Entry{Key: key, SeenAt: time.Now(), Window: time.Hour, Messages: []outbox.Message{m}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	at := bytes.Index(file, key[:]) / page * page
	copy(file[at:at+page], strings.Repeat("x", page))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, path).Get(t.Context(), m.ID); err != nil || got.Text != m.Text {
		t.Errorf("the message is %+v, %v", got, err)
	}
}

// execute runs a statement on a closed database.
func execute(t *testing.T, path, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	m := outboxtest.NewMessage(0, "999")
	s := open(t, path)
	if _, err := s.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after an orderly end the journal is still there (%v)", err)
	}
	if got, err := open(t, path).Get(context.Background(), m.ID); err != nil || got.Text != m.Text {
		t.Errorf("after reopening: %+v, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v), want only its owner to read it", info.Mode(), err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	open(t, path)
	_, err := sqlite.Open(context.Background(), path)
	if err == nil || !strings.Contains(err.Error(), "in use by another smspager") {
		t.Errorf("a second Open gives %v", err)
	}
}

func TestNotADatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(context.Background(), path)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("opening a text file gives %v", err)
	}
}

// parameter is a placeholder in a query.
var parameter = regexp.MustCompile(`\?[0-9]*`)

func TestQueriesUseIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	open(t, path)
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, query := range sqlite.HotQueries {
		rows, err := db.Query("EXPLAIN QUERY PLAN " + parameter.ReplaceAllString(query, "'1'"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(detail, "TEMP B-TREE") || (strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "INDEX")) {
				t.Errorf("%s: %s", name, detail)
			}
		}
		rows.Close()
	}
}

// BenchmarkPrune deletes a batch of old messages, during which no entry is committed, from an outbox
// of half a million.
func BenchmarkPrune(b *testing.B) {
	const batch, old = 25, 500_000 // the receiver deletes this many at a time
	s := open(b, filepath.Join(b.TempDir(), "outbox.db"))
	ids, at, left := outbox.NewIDs(), time.Now().Add(-365*24*time.Hour), 0
	var took []time.Duration
	for b.Loop() {
		if left < batch {
			b.StopTimer()
			for ; left < old; left += 1000 {
				var e outbox.Entry
				for i := range 1000 {
					m := outboxtest.NewMessage(i, e164.Number(fmt.Sprintf("+33639980%03d", (left+i*7)%1000)))
					m.ID, m.State, m.CreatedAt, m.UpdatedAt = ids.New(at), outbox.Delivered, at, at
					e.Messages = append(e.Messages, m)
				}
				if _, err := s.Add(context.Background(), e); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
		}
		began := time.Now()
		n, err := s.Prune(context.Background(), time.Now(), batch)
		if left -= n; err != nil || n != batch {
			b.Fatalf("it deletes %d messages, %v", n, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "worst-ns")
}

// BenchmarkAdd stores notifications of one message each from many clients simultaneously, and
// compares that with a bare write and fdatasync on the same file system.
func BenchmarkAdd(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			outboxtest.BenchmarkAdd(b, open(b, filepath.Join(b.TempDir(), "outbox.db")), clients)
		})
	}
	b.Run("bare-fdatasync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		block := make([]byte, 4096)
		outboxtest.Concurrently(b, 1, func(int) error {
			if _, err := f.Write(block); err != nil {
				return err
			}
			return fdatasync(f)
		})
	})
}
