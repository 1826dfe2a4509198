//go:build unix

package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// adopt gives a file that root has just made to the owner of its folder, because the user that runs smspager must
// be able to open it (after smspager restore). For other users it does nothing.
func adopt(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	folder, ok := info.Sys().(*syscall.Stat_t)
	if !ok || folder.Uid == 0 {
		return nil
	}
	// Some file systems have no owners, and in some containers root may not change them.
	if err := os.Lchown(path, int(folder.Uid), int(folder.Gid)); err != nil && !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
