package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/smspager/smspager/receiver/outbox"
)

// Backup copies the database at path, in its state at one moment, to a new file that only its owner
// can read, and returns how many messages the copy holds. Another process may have the database
// open and write to it.
func Backup(ctx context.Context, path, to string) (messages int, err error) {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("back up: there is no outbox yet at %s (storage.sqlite); smspager serve creates it", path)
	case err != nil:
		return 0, fmt.Errorf("back up: %w", err)
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("back up: %s is not a regular file; name the file of an outbox", path)
	}
	if err := createEmpty(to); err != nil { // VACUUM INTO accepts an empty file
		return 0, fmt.Errorf("back up: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("back up: %w", err), remove(to))
		}
	}()
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return 0, fmt.Errorf("copy %s to %s: %w", path, to, err)
	}
	copied, err := sql.Open("sqlite", fileURL(to, url.Values{"mode": {"rw"}}))
	if err != nil {
		return 0, err
	}
	if _, err := copied.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", newToken())); err != nil {
		return 0, errors.Join(err, copied.Close())
	}
	if err := copied.Close(); err != nil {
		return 0, err
	}
	f, err := os.Open(to)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err := examine(ctx, to, "integrity_check(1)"); err != nil {
		return 0, fmt.Errorf("the copy is damaged: %w", err)
	}
	if copied, err = sql.Open("sqlite", dsn(to, "ro")); err != nil {
		return 0, err
	}
	defer copied.Close()
	if err := copied.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM messages)").Scan(&messages); err != nil {
		return 0, fmt.Errorf("%s is not an outbox: %w", path, err)
	}
	return messages, nil
}

// createEmpty makes a file that only its owner can read.
func createEmpty(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists; name a new file", name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; make the folder first, or name another file", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; name a file in a folder that this user may write", err)
	case err != nil:
		return err
	}
	return f.Close()
}

// Reader reads marks of a database that another process may have open.
type Reader struct{ db *sql.DB }

// OpenReader opens the database at path for reading. It fails if there is none.
func OpenReader(path string) (*Reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	return &Reader{db}, err
}

// Marks returns the marks of a kind, as Store.Marks does.
func (r *Reader) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	return marks(ctx, r.db, selectMarks, kind)
}

// Close closes the database.
func (r *Reader) Close() error { return r.db.Close() }

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
