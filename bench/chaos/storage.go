package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite"
)

// ofPostgres returns the faults of PostgreSQL and of the connections to it.
func (w *world) ofPostgres(random *rand.Rand) []fault {
	percent := func() uint32 { return 1 + random.Uint32N(30) }
	return []fault{
		{"crash of the database", database, func(d time.Duration) error {
			if err := w.server.Kill(); err != nil {
				return err
			}
			time.Sleep(d)
			return w.server.Run()
		}},
		{"end of the database's sessions", database, func(time.Duration) error { return w.server.EndSessions() }},
		{"lost commit acknowledgements", database, func(d time.Duration) error {
			w.proxy.during(&w.proxy.lostCommit, percent(), d)
			return nil
		}},
		{"database that hangs", database, func(d time.Duration) error {
			w.proxy.during(&w.proxy.hung, percent(), 2*d)
			return nil
		}},
		{"database that fails", database, func(d time.Duration) error {
			w.proxy.during(&w.proxy.cut, percent(), d)
			return nil
		}},
		{"unreachable database", database, func(d time.Duration) error {
			w.proxy.leave()
			time.Sleep(2 * d)
			w.proxy.heal()
			return nil
		}},
		{"database and provider that fail", database, func(d time.Duration) error {
			defer w.failing()()
			w.proxy.during(&w.proxy.cut, percent(), d)
			return nil
		}},
		{"lost commit acknowledgements, and a provider that fails", database, func(d time.Duration) error {
			defer w.failing()()
			w.proxy.during(&w.proxy.lostCommit, percent(), d)
			return nil
		}},
		{"promoted standby", process, w.promote},
	}
}

// promote replaces the database by a copy that lacks what was committed in the last d.
func (w *world) promote(d time.Duration) error {
	away := func() error {
		w.proxy.leave()
		return w.server.EndSessions()
	}
	defer w.proxy.heal()
	if err := away(); err != nil {
		return err
	}
	name := w.databaseName
	if err := w.admin("DROP DATABASE IF EXISTS standby", "CREATE DATABASE standby TEMPLATE "+name); err != nil {
		return err
	}
	began := time.Now()
	w.proxy.heal()
	time.Sleep(d)
	if err := away(); err != nil {
		return err
	}
	if err := w.admin("DROP DATABASE "+name, "ALTER DATABASE standby RENAME TO "+name); err != nil {
		return err
	}
	w.lost.add(began, time.Now())
	return nil
}

func (w *world) admin(statements ...string) error {
	for _, s := range statements {
		if err := w.server.Exec(w.adminURL, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// ofSQLite returns the faults of SQLite's file.
func (w *world) ofSQLite() []fault {
	all := []fault{
		{"locked database", database, w.lock},
		{"locked database, and a provider that fails", database, func(d time.Duration) error {
			defer w.failing()()
			return w.lock(d)
		}},
		{"restored backup", process, w.restore},
	}
	if w.small == "" {
		return all
	}
	return append(all, fault{"full disk", database, w.fillDisk}, fault{"full disk, and a provider that fails", database, func(d time.Duration) error {
		defer w.failing()()
		return w.fillDisk(d)
	}})
}

// lock holds the lock that allows only one connection at a time to write.
func (w *world) lock(d time.Duration) error {
	db, err := sql.Open("sqlite", "file:"+w.outbox+"?mode=rw&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	time.Sleep(3 * d) // sometimes longer than a write waits
	_, err = conn.ExecContext(context.Background(), "ROLLBACK")
	return err
}

// restore makes a backup, and restores it a while later.
func (w *world) restore(d time.Duration) error {
	backup := filepath.Join(w.dir, "backup.db")
	if err := os.Remove(backup); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	began := time.Now()
	if err := w.command("backup", backup); err != nil {
		return err
	}
	time.Sleep(3 * d)
	w.replicas[0].end(syscall.SIGKILL)
	if err := w.command("restore", backup); err != nil {
		return errors.Join(err, w.start(w.replicas[0]))
	}
	w.lost.add(began, time.Now())
	kept, err := filepath.Glob(w.outbox + ".replaced-*")
	for _, name := range kept {
		err = errors.Join(err, os.Remove(name))
	}
	return errors.Join(err, w.start(w.replicas[0]))
}

func (w *world) command(name, file string) error {
	out, err := exec.Command(w.binary, name, "-c", w.config, file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

func (w *world) fillDisk(d time.Duration) error {
	ballast := filepath.Join(w.small, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	time.Sleep(d)
	return os.Remove(ballast)
}

// fill writes a file until the file system is full.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 4 {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break // full, for blocks of this size
			}
		}
	}
	return nil
}

// spans holds the times whose writes the store has lost.
type spans struct {
	mu  sync.Mutex
	all []span
}

type span struct{ from, to time.Time }

func (s *spans) add(from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, span{from, to})
}

// touch reports whether any span overlaps the time between from and to.
func (s *spans) touch(from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.all {
		if !to.Before(sp.from) && !from.After(sp.to) {
			return true
		}
	}
	return false
}
