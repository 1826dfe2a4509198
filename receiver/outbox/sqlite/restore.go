package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/smspager/smspager/receiver/outbox"
)

// Restore replaces the database at path with a copy of a backup, and returns how many messages the
// copy holds. If root restores, the new file belongs to the folder's owner. Restore keeps the previous
// files, the journal included, under another name, which is "" if there were none. It fails while a
// process has the database open, and if the backup is damaged or not an outbox.
func Restore(ctx context.Context, path, backup string) (messages int, kept string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore: %w", err)
		}
	}()
	if _, err := os.Stat(backup); err != nil {
		return 0, "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return 0, "", err
	}
	lock, err := acquire(path)
	if err != nil {
		return 0, "", err
	}
	defer lock.Close()
	made := path + ".restoring"
	if err := remove(made); err != nil { // left by an interrupted restore
		return 0, "", err
	}
	if messages, err = Backup(ctx, backup, made); err != nil {
		return 0, "", err
	}
	if err := adopt(made); err != nil {
		return 0, "", errors.Join(err, remove(made))
	}
	if kept, err = setAside(path); err != nil {
		return 0, "", errors.Join(err, remove(made))
	}
	if err := os.Rename(made, path); err != nil {
		return 0, kept, err
	}
	return messages, kept, syncFolder(filepath.Dir(path))
}

// setAside renames a database and its journal, the journal first: if a crash comes between the two,
// no file has the journal of another.
func setAside(path string) (kept string, err error) {
	kept = path + ".replaced-" + time.Now().UTC().Format("20060102T150405Z")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		switch err := os.Rename(path+suffix, kept+suffix); {
		case errors.Is(err, fs.ErrNotExist) && suffix == "":
			kept = ""
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return kept, syncFolder(filepath.Dir(path))
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	_ = f.Sync() // not every system can sync a folder
	return f.Close()
}

// acquire takes the lock of a database.
func acquire(path string) (*flock.Flock, error) {
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%s is %w: stop that one, or set storage.sqlite to another file", path, outbox.ErrInUse)
	}
	if err := adopt(lock.Path()); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the database: %w", err), lock.Close())
	}
	return lock, nil
}
