package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// TestBackupSaysWhy: the error of a backup names the files, says what to do, and leaves no copy behind.
func TestBackupSaysWhy(t *testing.T) {
	dir := t.TempDir()
	text, there := filepath.Join(dir, "text.db"), filepath.Join(dir, "there.db")
	for _, name := range []string{text, there} {
		if err := os.WriteFile(name, []byte("not a database, and long enough to have a header"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ from, to, want string }{
		{text, filepath.Join(dir, "a.db"), "copy " + text + " to " + filepath.Join(dir, "a.db") + ": file is not a database"},
		{text, there, there + " exists; name a new file"},
		{text, dir, dir + " exists; name a new file"},
		{text, filepath.Join(dir, "no", "a.db"), "make the folder first, or name another file"},
		{dir, filepath.Join(dir, "a.db"), dir + " is not a regular file"},
		{filepath.Join(dir, "none.db"), filepath.Join(dir, "a.db"), "there is no outbox yet"},
	} {
		if _, err := sqlite.Backup(t.Context(), c.from, c.to); err == nil || !strings.HasPrefix(err.Error(), "back up: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the backup of %s to %s gives %v, want %q", c.from, c.to, err, c.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 2 {
		t.Errorf("%v are left", left)
	}
}
