package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/postgres"
)

// schema gives access to a database, and to the migrations.
func schema(t *testing.T, url string) (*sql.DB, *goose.Provider) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { db.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	return db, p
}

// TestMessagesOfOlderSchemas: messages and their events survive an upgrade from each older schema, and
// the downgrade.
func TestMessagesOfOlderSchemas(t *testing.T) {
	const insert = `INSERT INTO messages (id, recipient, receiver, group_key, headline, severity, urgent, text, encoding, segments, state, created_at, updated_at, expires_at)
		VALUES ('01KB0000000000000000000001', '999', 'oncall', '{}:{}', 'h', 'critical', true, 'disk full', 'gsm7', 1, 'queued', 1, 2, 3),
			('01KB0000000000000000000002', '+33639980000', 'oncall', '{}:{}', 'h', 'critical', true, 'disk full', 'gsm7', 1, 'delivered', 1, 2, 3),
			('01KB0000000000000000000003', '+33639980000', 'oncall', '{}:{}', 'h', 'critical', true, 'disk full', 'gsm7', 1, 'failed', 1, 2, 3)`
	const insertEvents = `INSERT INTO events VALUES ('01KB0000000000000000000002', 2, 20, 'delivered', '3 received, by "callback" \u0041'), ('01KB0000000000000000000002', 1, 10, 'queued', ''),
		('01KB0000000000000000000001', 1, 10, 'queued', 'é')`
	const selectEvents = `SELECT string_agg(concat_ws('|', message_id, n, at, type, detail), E'\n' ORDER BY message_id, n) FROM events`
	for version := range int64(2) {
		ctx := context.Background()
		url := database(t)
		db, migrations := schema(t, url)
		if _, err := migrations.UpTo(ctx, version+1); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{insert, insertEvents} {
			if _, err := db.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		var before, after string
		if err := db.QueryRow(selectEvents).Scan(&before); err != nil {
			t.Fatal(err)
		}

		s := open(t, url)
		ms, err := s.List(ctx, outbox.Query{Limit: 10})
		if err != nil || len(ms) != 3 || len(ms[0].Events) != 0 || ms[1].Text != "disk full" || !ms[1].Urgent || ms[1].ExpiresAt.UnixMilli() != 3 {
			t.Fatalf("the messages are %+v, %v", ms, err)
		}
		if got := ms[1].Events; len(got) != 2 || got[0].Type != outbox.EventQueued || got[1].Detail != `3 received, by "callback" \u0041` || got[1].At.UnixMilli() != 20 {
			t.Errorf("the message's events are %+v", got)
		}
		var open []string
		for m, err := range s.Open(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, m.ID)
		}
		if !slices.Equal(open, []string{ms[2].ID}) {
			t.Errorf("the open messages are %q", open)
		}
		if _, err := s.Add(ctx, outbox.Entry{Notes: []outbox.Change{outbox.Replied(ms[0].ID, ms[0].CreatedAt, "ok\x00")}}); err != nil {
			t.Fatal(err)
		}

		if _, err := migrations.DownTo(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRow(selectEvents).Scan(&after); err != nil {
			t.Fatal(err)
		}
		if want := before + "\n01KB0000000000000000000003|1|1|reply|ok\uFFFD"; after != want {
			t.Errorf("the events were\n%s\nand are\n%s", before, after)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	url := database(t)
	open(t, url)
	if err := server.Exec(url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(context.Background(), url); !errors.Is(err, outbox.ErrUnusable) || !strings.Contains(err.Error(), "newer smspager") {
		t.Errorf("Open gives %v", err)
	}
}
