package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// old makes a database with the schema of a file of migrations/, and with what statements add.
func old(t *testing.T, file string, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "outbox.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema, err := os.ReadFile(filepath.Join("migrations", file))
	if err != nil {
		t.Fatal(err)
	}
	up, _, _ := strings.Cut(string(schema), "-- +goose Down")
	versions := `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
		INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1)`
	for _, text := range slices.Concat([]string{up, versions}, statements) {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return path
}

func TestMessagesOfTheFirstSchema(t *testing.T) {
	const insert = `INSERT INTO messages (id, recipient, receiver, group_key, headline, severity, urgent, text, encoding, segments, state, created_at, updated_at, expires_at)
		VALUES ('01KB0000000000000000000001', '999', 'oncall', '{}:{}', 'h', 'critical', 1, 'disk full', 'gsm7', 1, 'queued', 1, 2, 3),
			('01KB0000000000000000000002', '+33639980000', 'oncall', '{}:{}', 'h', 'critical', 1, 'disk full', 'gsm7', 1, 'delivered', 1, 2, 3)`
	const events = `INSERT INTO events VALUES ('01KB0000000000000000000002', 2, 20, 'delivered', '3 received, by "callback"'), ('01KB0000000000000000000002', 1, 10, 'queued', ''),
		('01KB0000000000000000000001', 1, 10, 'queued', '')`
	s := open(t, old(t, "00001_outbox.sql", insert, events))
	ms, err := s.List(context.Background(), outbox.Query{Limit: 10})
	if err != nil || len(ms) != 2 {
		t.Fatalf("%d messages, %v", len(ms), err)
	}
	if got := ms[0].Events; len(got) != 2 || got[0].Type != outbox.EventQueued || got[1].Detail != `3 received, by "callback"` || got[1].At.UnixMilli() != 20 {
		t.Errorf("its events are %+v", got)
	}
	for m, err := range s.Open(context.Background()) {
		if err != nil || m.ID != ms[1].ID || m.Text != "disk full" || len(m.Events) != 1 {
			t.Errorf("%+v is open, %v", m, err)
		}
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
		t.Errorf("opening it gives %v", err)
	}
}
