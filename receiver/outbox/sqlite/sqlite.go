// Package sqlite keeps the outbox in one SQLite file: the store for one
// smspager on one machine, with nothing to install.
//
// One goroutine writes, and commits what arrived while it was busy as one transaction (see writer);
// readers have read-only connections of their own. The journal is a WAL with synchronous=FULL: an
// acknowledged commit survives a crash and a power cut, if the disk syncs when it says so.
//
// The package is public so that a program can open a store and wrap it for
// receiver.Options.Store, and because smspager backup and the benchmarks use it.
//
// Stability: with [outbox.Store], names may change in any release until v1.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many connections read at the same time.
const readers = 4

// Store is an outbox.Store in a file.
type Store struct {
	path        string
	lock        *flock.Flock
	readDB      *sql.DB
	readMessage *sql.Stmt
	writer      *writer
	damage      atomic.Pointer[error] // known damage; nil: none
}

var _ outbox.Store = (*Store)(nil)

// Open opens the file at path, and creates it if there is none. It fails immediately if another
// process has it open, because two senders on one outbox would send everything twice.
func Open(ctx context.Context, path string) (_ *Store, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("create the database folder: %w", err)
	}
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, lock: lock}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open %s: %w", path, err)
			s.Close()
			if reason := forbidden(path); reason != nil {
				err = reason
			}
		}
	}()

	// Not every system has fdatasync; without it, fsync does the same, more slowly.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, err
	}
	if err := checkJournal(path); err != nil {
		return nil, err
	}
	writeDB, err := sql.Open("sqlite", dsn(path, "rw"))
	if err != nil {
		return nil, err
	}
	writeDB.SetMaxOpenConns(1)
	s.writer = &writer{db: writeDB}
	if err := create(path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, writeDB); err != nil {
		return nil, err
	}
	if err := mark(ctx, writeDB, path); err != nil {
		return nil, err
	}
	if err := s.writer.start(ctx); err != nil {
		return nil, err
	}
	if s.writer.files, err = openFiles(path); err != nil {
		return nil, err
	}
	if s.readDB, err = sql.Open("sqlite", dsn(path, "ro")); err != nil {
		return nil, err
	}
	s.readDB.SetMaxOpenConns(readers)
	if s.readMessage, err = s.readDB.PrepareContext(ctx, selectMessage); err != nil {
		return nil, err
	}
	return s, nil
}

// create makes an empty file that only its owner can read: it will hold phone numbers, and what is
// broken where.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // and must not be opened here: closing it would drop SQLite's locks
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), adopt(path))
}

// forbidden returns an error if this user may not write to the database, because SQLite's own error does not say
// so; otherwise nil. The database must be closed.
func forbidden(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; let the user that runs smspager write it (chown)", err)
	}
	return nil
}

// dsn returns the data source name: a URL, because only that form honours the mode, with the
// pragmas that each connection starts with.
func dsn(path, mode string) string {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	q.Add("_pragma", "busy_timeout(5000)")
	if mode == "rw" {
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous(FULL)")
		q.Add("_pragma", "journal_size_limit(16777216)")
	}
	return fileURL(path, q)
}

func fileURL(path string, q url.Values) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	return table.Migrate(ctx, p, err)
}

// Close waits for the writes under way, then closes the file.
func (s *Store) Close() error {
	var errs []error
	if s.readMessage != nil {
		errs = append(errs, s.readMessage.Close())
	}
	if s.readDB != nil {
		errs = append(errs, s.readDB.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
