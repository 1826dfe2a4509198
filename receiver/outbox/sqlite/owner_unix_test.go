//go:build unix

package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// TestOwner: files that root restores or makes belong to the folder's owner, who runs smspager. Otherwise the
// service could not open its outbox after "sudo smspager restore".
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of another user")
	}
	_, backup := crashed(t)
	for name, do := range map[string]func(path string) error{
		"restore": func(path string) error {
			_, _, err := sqlite.Restore(context.Background(), path, backup)
			return err
		},
		"open": func(path string) error {
			s, err := sqlite.Open(context.Background(), path)
			if err != nil {
				return err
			}
			return s.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Chown(dir, 4711, 4712); err != nil {
				t.Fatal(err)
			}
			if err := do(filepath.Join(dir, "box.db")); err != nil {
				t.Fatal(err)
			}
			files, err := os.ReadDir(dir)
			if err != nil || len(files) < 2 {
				t.Fatal(files, err)
			}
			for _, f := range files {
				info, err := f.Info()
				if err != nil {
					t.Fatal(err)
				}
				if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 4711 || owner.Gid != 4712 {
					t.Errorf("%s belongs to %d:%d", f.Name(), owner.Uid, owner.Gid)
				}
			}
		})
	}
}
