package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// old makes a database with the schema of a version and the rows that statements add.
func old(t *testing.T, version int, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "outbox.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema := []string{`CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
		INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`}
	for i, file := range migrations(t)[:version] {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		schema = append(schema, up, fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, 1)", i+1))
	}
	for _, text := range slices.Concat(schema, statements) {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return path
}

// migrations returns the files of all schemas, oldest first.
func migrations(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	return files
}

// TestEverySchema opens a database of each schema before the newest one. Its messages and pages must keep their
// history, and its open messages must stay open.
func TestEverySchema(t *testing.T) {
	const (
		messages = `INSERT INTO messages (id, recipient, receiver, group_key, headline, severity, urgent, text, encoding, segments, state, created_at, updated_at, expires_at)
			VALUES ('01KB0000000000000000000001', '999', 'oncall', '{}:{}', 'h', 'critical', 1, 'disk full', 'gsm7', 1, 'queued', 1, 2, 3),
				('01KB0000000000000000000002', '+33639980000', 'oncall', '{}:{}', 'h', 'critical', 1, 'disk full', 'gsm7', 1, 'delivered', 1, 2, 3)`
		events = `INSERT INTO events VALUES ('01KB0000000000000000000002', 2, 20, 'delivered', '3 received, by "callback"'), ('01KB0000000000000000000002', 1, 10, 'queued', ''),
			('01KB0000000000000000000001', 1, 10, 'queued', '')`
		pages = `INSERT INTO pages (id, receiver, group_key, code, state, version, headline, severity, opened_at, updated_at, acknowledged_by, doc)
			VALUES ('01KB0000000000000000000003', 'oncall', '{}:{}', '6279', 'acknowledged', 3, 'CRITICAL DiskFull', 'critical', 1, 2, 'alice', '{}')`
		pageEvents = `INSERT INTO page_events VALUES ('01KB0000000000000000000003', 1, 10, 'opened', '', ''), ('01KB0000000000000000000003', 2, 20, 'acknowledged', 'alice', '')`
		marks      = `INSERT INTO marks VALUES ('contact', 'alice', 1, 10, '{}')`
	)
	// What a database of each schema holds. A new migration needs a line here, for a database of the schema before
	// it.
	filled := map[int][]string{
		1: {messages, events, pages, pageEvents, marks},
		2: {messages, events, pages, `UPDATE pages SET alerts = ' one two '`, pageEvents, marks},
	}
	for version := 1; version < len(migrations(t)); version++ {
		t.Run(fmt.Sprintf("schema %d", version), func(t *testing.T) {
			if filled[version] == nil {
				t.Fatal("nothing to fill a database of this schema with")
			}
			ctx := context.Background()
			s := open(t, old(t, version, filled[version]...))
			ms, err := s.List(ctx, outbox.Query{Limit: 10})
			if err != nil || len(ms) != 2 {
				t.Fatalf("%d messages, %v", len(ms), err)
			}
			if got := ms[0].Events; len(got) != 2 || got[0].Type != outbox.EventQueued || got[1].Detail != `3 received, by "callback"` || got[1].At.UnixMilli() != 20 {
				t.Errorf("the message's events are %+v", got)
			}
			for m, err := range s.Open(ctx) {
				if err != nil || m.ID != ms[1].ID || m.Text != "disk full" || len(m.Events) != 1 {
					t.Errorf("%+v is open, %v", m, err)
				}
			}
			current, err := s.Pages(ctx, outbox.PageQuery{Current: true, Limit: 10})
			if err != nil || len(current) != 1 || current[0].Code != "6279" || current[0].AcknowledgedBy != "alice" {
				t.Fatalf("the pages are %+v, %v", current, err)
			}
			if version > 1 && !slices.Equal(current[0].AlertKeys, []string{"one", "two"}) {
				t.Errorf("the page holds the alerts %q", current[0].AlertKeys)
			}
			page, err := s.Page(ctx, current[0].ID)
			if err != nil || len(page.Events) != 2 || page.Events[1].Who != "alice" {
				t.Errorf("the page is %+v, %v", page, err)
			}
			if found, err := s.Marks(ctx, "contact"); err != nil || len(found) != 1 || found[0].Name != "alice" {
				t.Errorf("the marks are %+v, %v", found, err)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	s := open(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(context.Background(), path); err == nil || !strings.Contains(err.Error(), "newer smspager") {
		t.Errorf("Open gives %v", err)
	}
}
