package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/smspager/smspager/receiver/outbox"
)

// token links a journal to its database. It is the database's user_version, new with each opening
// and in each copy, and the lock file names it. So a journal that a crash left behind is not
// applied to another file that has taken the database's place.
type token int32

// tokenAt is the offset of user_version in a database file (SQLite, "Database File Format", 1.3).
const tokenAt = 60

func newToken() token { return token(rand.Int32N(1<<31-1) + 1) }

// tokenOf reads the token of a database file, without its journal; 0 if it has none.
func tokenOf(path string) (token, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], tokenAt); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return token(binary.BigEndian.Uint32(b[:])), nil
}

// checkJournal returns an error if the journal next to a database belongs to another one. The lock
// must be held, and the database must not be open.
func checkJournal(path string) error {
	journal, err := os.Stat(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) || err == nil && journal.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	own, err := tokenOf(path)
	if errors.Is(err, fs.ErrNotExist) { // SQLite drops the journal
		return nil
	}
	if err != nil {
		return err
	}
	named, err := os.ReadFile(path + ".lock")
	if err != nil {
		return err
	}
	tokens := strings.Fields(string(named))
	if len(tokens) == 0 { // written by an older smspager
		return nil
	}
	if !slices.Contains(tokens, fmt.Sprint(own)) {
		return fmt.Errorf("%w: the journal %s-wal does not belong to %s, which has replaced the original file; to restore a backup, run: smspager restore FILE",
			outbox.ErrUnusable, path, path)
	}
	return nil
}

// mark writes a new token into the database file itself, and names it in the lock file.
func mark(ctx context.Context, db *sql.DB, path string) error {
	before, err := tokenOf(path)
	if err != nil {
		return err
	}
	now := newToken()
	name := func(tokens ...token) error {
		return os.WriteFile(path+".lock", []byte(strings.Trim(fmt.Sprint(tokens), "[]")+"\n"), 0o600)
	}
	if err := name(before, now); err != nil { // a crash may leave either token in the file
		return err
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", now)); err != nil {
		return err
	}
	var busy, frames, moved int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return err
	}
	if busy != 0 { // a reader is in the way: the file may get the token later
		return nil
	}
	return name(now)
}

// files holds the files of an open store, to compare with what their names refer to later.
type files []struct {
	name string
	info fs.FileInfo
}

func openFiles(path string) (files, error) {
	var all files
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		all = append(all, struct {
			name string
			info fs.FileInfo
		}{name, info})
	}
	return all, nil
}

// check returns an error if one of the files was deleted or replaced: writes would be lost, or
// another smspager might use the outbox too.
func (all files) check() error {
	for _, f := range all {
		switch now, err := os.Stat(f.name); {
		case err != nil:
			return fmt.Errorf("%s was deleted while smspager used it (%w); restore it from a backup (smspager restore FILE) or restart smspager with an empty outbox", f.name, err)
		case !os.SameFile(f.info, now):
			return fmt.Errorf("%s was replaced by another file while smspager used it; stop smspager, run smspager restore FILE, and start it again", f.name)
		}
	}
	return nil
}

// Check returns an error if the files were deleted or replaced, or if a read or the last
// examination found damage.
func (s *Store) Check() error {
	if err := s.writer.files.check(); err != nil {
		return err
	}
	if damage := s.damage.Load(); damage != nil {
		return *damage
	}
	return nil
}

// note records damage if an error says that the database is damaged, and makes the error wrap
// ErrDamaged.
func (s *Store) note(err *error) {
	if !errors.Is(*err, errDamaged) && !isDamage(*err) {
		return
	}
	damage := fmt.Errorf("%s is damaged: %w; stop smspager and restore a backup (smspager restore FILE)", s.path, *err)
	s.damage.Store(&damage)
	*err = fmt.Errorf("%w: %w", outbox.ErrDamaged, *err)
}

// isDamage reports whether an error says that the database is damaged.
func isDamage(err error) bool {
	const corrupt, notADatabase = 11, 26 // SQLITE_CORRUPT, SQLITE_NOTADB
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == corrupt || e.Code()&0xff == notADatabase)
}

// Examine reads the whole database and records whether it is damaged.
func (s *Store) Examine(ctx context.Context) (err error) {
	defer s.note(&err)
	if err = examine(ctx, s.path, "quick_check(1)"); err == nil {
		s.damage.Store(nil)
	}
	return err
}

var errDamaged = errors.New("examined")

// examine checks the database at path, on a connection with an empty cache.
func examine(ctx context.Context, path, pragma string) error {
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return err
	}
	defer db.Close()
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, strings.ReplaceAll(found, "\n", "; "))
	}
	return nil
}
