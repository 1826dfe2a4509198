package spool_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// TestCloseLogsWhatIsNotStored: a spool that closes logs what the next start will not know.
func TestCloseLogsWhatIsNotStored(t *testing.T) {
	const nothing = ""
	for name, test := range map[string]struct {
		fails, deleted bool // before the page; at the end
		want           string
	}{
		"all is stored":          {want: nothing},
		"the outbox was deleted": {deleted: true, want: "stopping without the outbox; unless it is restored, its messages and open pages are forgotten"},
		"a page is not stored":   {fails: true, want: "stopping with messages and pages that are not stored; the next start does not know of them"},
		"both":                   {fails: true, deleted: true, want: "stopping without the outbox; unless it is restored"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "outbox.db")
				raw, err := sqlite.Open(context.Background(), file)
				if err != nil {
					t.Fatal(err)
				}
				f := &checkedFake{fake: fake{Store: raw}, checked: raw}
				var log lines
				s, err := spool.New(spool.Options{
					Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})),
					Open:   func(context.Context) (outbox.Store, error) { return f, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				if test.fails {
					f.fail(errors.New("disk full"), nil)
				}
				if _, err := commit(s, spool.Later, outbox.Entry{Page: opened("p", "g", "4821"), SeenAt: time.Now()}); err != nil {
					t.Fatal(err)
				}
				if test.deleted {
					if err := os.Remove(file); err != nil {
						t.Fatal(err)
					}
				}
				_ = s.Close()
				got := log.String()
				if !strings.Contains(got, test.want) || test.want == nothing && got != "" {
					t.Errorf("the log is %q", got)
				}
				if test.want != nothing && !strings.Contains(got, "open_pages=[4821]") {
					t.Errorf("the log does not name the page: %q", got)
				}
			})
		})
	}
}

// checkedFake is a fake that reports whether its files are whole.
type checkedFake struct {
	fake
	checked outbox.Checked
}

func (f *checkedFake) Check() error { return f.checked.Check() }

func (f *checkedFake) Examine(ctx context.Context) error { return f.checked.Examine(ctx) }

// lines is a log that several goroutines may write.
type lines struct {
	mu sync.Mutex
	strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}
