package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/outboxtest"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

func add(t *testing.T, s *sqlite.Store, from, n int) {
	t.Helper()
	for i := range n {
		m := outboxtest.NewMessage(from+i, "999")
		if _, err := s.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
			t.Fatal(err)
		}
	}
}

func count(t *testing.T, s *sqlite.Store) int {
	t.Helper()
	ms, err := s.List(context.Background(), outbox.Query{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return len(ms)
}

// crashed returns the path of an outbox in the state that a crash leaves, with its journal, and of
// a backup that was made before most of it was written.
func crashed(t *testing.T) (path, backup string) {
	t.Helper()
	dir := t.TempDir()
	running := filepath.Join(dir, "running.db")
	s := open(t, running)
	add(t, s, 0, 2)
	backup = filepath.Join(dir, "backup.db")
	if n, err := sqlite.Backup(context.Background(), running, backup); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	add(t, s, 2, 1500)
	path = filepath.Join(dir, "crashed.db")
	for _, suffix := range []string{"", "-wal", ".lock"} {
		copyFile(t, running+suffix, path+suffix)
	}
	return path, backup
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAfterACrash(t *testing.T) {
	path, _ := crashed(t)
	if n := count(t, open(t, path)); n != 1502 {
		t.Errorf("%d messages are left of 1502", n)
	}
}

// TestForeignJournal: a backup that is copied next to the journal of a crash is not opened, and
// stays unchanged; once restored, it is opened.
func TestForeignJournal(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, from, to string){
		"copied": copyFile,
		"moved": func(t *testing.T, from, to string) {
			copyFile(t, from, from+".copy")
			if err := os.Rename(from+".copy", to); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, backup := crashed(t)
			put(t, backup, path)
			_, err := sqlite.Open(context.Background(), path)
			if !errors.Is(err, outbox.ErrUnusable) || !strings.Contains(err.Error(), "smspager restore") {
				t.Fatalf("Open gives %v", err)
			}
			if _, kept, err := sqlite.Restore(context.Background(), path, backup); err != nil || kept == "" {
				t.Fatal(kept, err)
			}
			if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the old journal is still there (%v)", err)
			}
			if n := count(t, open(t, path)); n != 2 {
				t.Errorf("the restored outbox holds %d messages, want 2", n)
			}
		})
	}
}

func TestRestore(t *testing.T) {
	path, backup := crashed(t)
	messages, kept, err := sqlite.Restore(context.Background(), path, backup)
	if err != nil || messages != 2 {
		t.Fatal(messages, err)
	}
	if n := count(t, open(t, kept)); n != 1502 { // the old database is kept, with its journal
		t.Errorf("%s holds %d messages, want 1502", kept, n)
	}
	s := open(t, path)
	if _, _, err := sqlite.Restore(context.Background(), path, backup); !errors.Is(err, outbox.ErrInUse) {
		t.Errorf("restoring under a process gives %v", err)
	}
	add(t, s, 5000, 1)
	if n := count(t, s); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "outbox.db")
	if _, _, err := sqlite.Restore(context.Background(), fresh, text); err == nil {
		t.Error("a text file is restored")
	}
	if _, _, err := sqlite.Restore(context.Background(), fresh, text+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("restoring a missing file gives %v", err)
	}
	if _, kept, err := sqlite.Restore(context.Background(), fresh, backup); err != nil || kept != "" {
		t.Errorf("restoring without an old outbox gives %q, %v", kept, err)
	}
}

// TestDeletedAndReplacedFiles: deleted or replaced files are noticed, and no write is acknowledged and
// lost.
func TestDeletedAndReplacedFiles(t *testing.T) {
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		for _, how := range []string{"deleted", "replaced"} {
			t.Run(how+" "+suffix, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "outbox.db")
				s := open(t, path)
				add(t, s, 0, 1)
				if err := s.Check(); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(path+suffix, path+".away"); err != nil {
					t.Fatal(err)
				}
				if how == "replaced" {
					copyFile(t, path+".away", path+suffix)
				}
				if err := s.Check(); err == nil || !strings.Contains(err.Error(), how) {
					t.Errorf("Check gives %v, want an error", err)
				}
				if _, err := s.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{outboxtest.NewMessage(1, "999")}}); !errors.Is(err, outbox.ErrNotStored) {
					t.Errorf("a write gives %v", err)
				}
				if err := os.Rename(path+".away", path+suffix); err != nil {
					t.Fatal(err)
				}
				if err := s.Check(); err != nil {
					t.Error(err)
				}
				add(t, s, 2, 1)
			})
		}
	}
}

// TestDamage: a damaged page is reported, whether a read or an examination finds it.
func TestDamage(t *testing.T) {
	for name, find := range map[string]func(s *sqlite.Store){
		"read":     func(s *sqlite.Store) { _, _ = s.List(context.Background(), outbox.Query{Limit: 10_000}) },
		"examined": func(s *sqlite.Store) { _ = s.Examine(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "outbox.db")
			s := open(t, path)
			add(t, s, 0, 300)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			if err := s.Examine(context.Background()); err != nil || s.Check() != nil {
				t.Fatal(err, s.Check())
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := f.Stat()
			const page = 4096
			for at := int64(4 * page); at < info.Size(); at += page {
				if _, err := f.WriteAt([]byte(strings.Repeat("x", page)), at); err != nil {
					t.Fatal(err)
				}
			}
			f.Close()
			find(s)
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("Check gives %v, want an error", err)
			}
		})
	}
}
