package spool_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// TestAClockThatWasAhead: what it stored counts as now, and new ids are greater than its own.
// The same holds if the clock is set back while the process runs.
func TestAClockThatWasAhead(t *testing.T) {
	for _, restarts := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
			if err != nil {
				t.Fatal(err)
			}
			now, then := time.Now(), time.Now().Add(3*time.Hour)
			old := message(outbox.NewIDs(), "g")
			old.ID = outbox.NewIDs().New(then)
			write := func() {
				t.Helper()
				_, err := store.Add(t.Context(), outbox.Entry{
					Messages: []outbox.Message{old},
					Page: &outbox.Page{
						ID: outbox.NewIDs().New(then.Add(time.Second)), Receiver: "oncall", GroupKey: "g", Code: "17", State: outbox.PageOpen,
						OpenedAt: then, UpdatedAt: then, DueAt: then.Add(5 * time.Minute), Doc: []byte(`{}`),
					},
					Marks: []outbox.Mark{{Kind: "heartbeat", Name: "prod", At: then, Doc: []byte(`{"last_at":"` + then.UTC().Format(time.RFC3339Nano) + `"}`)}},
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if restarts {
				write()
			}
			ids := outbox.NewIDs()
			s, err := spool.New(spool.Options{IDs: ids, Open: func(context.Context) (outbox.Store, error) { return store, nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if !restarts {
				write()
				if err := s.Rewind(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			ps, err := s.Pages(t.Context(), outbox.PageQuery{Current: true, Limit: 10})
			if err != nil || len(ps) != 1 || !ps[0].DueAt.Equal(now.Add(5*time.Minute).Truncate(time.Millisecond)) {
				t.Errorf("the pages are %+v, %v", ps, err)
			}
			ms, err := s.Marks(t.Context(), "heartbeat")
			if want := `{"last_at":"` + now.UTC().Format(time.RFC3339Nano) + `"}`; err != nil || len(ms) != 1 || string(ms[0].Doc) != want {
				t.Errorf("the marks are %+v, %v, want %s", ms, err, want)
			}
			if id := ids.New(time.Now()); restarts && (id <= old.ID || id <= ps[0].ID) {
				t.Errorf("%s comes after %s and %s", id, old.ID, ps[0].ID)
			}
		})
	}
}
