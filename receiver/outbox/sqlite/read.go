package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// A long read transaction would keep SQLite from reusing the WAL.
const (
	selectOpen       = `SELECT ` + table.MessageColumns + ` FROM pending WHERE id > ? AND id < ? ORDER BY id LIMIT ?`
	selectOpenNewest = `SELECT ` + table.MessageColumns + ` FROM pending WHERE id > ? AND id < ? ORDER BY id DESC LIMIT ?`
)

// selectByAPIID finds open messages and recent ones. The provider reports on no others, so no index
// is needed.
const selectByAPIID = `
SELECT id FROM pending WHERE lower(api_id) = lower(?1) AND api_id <> ''
UNION ALL SELECT id FROM (SELECT id, api_id FROM messages ORDER BY id DESC LIMIT 10000) WHERE lower(api_id) = lower(?1) AND api_id <> ''
LIMIT 1`

// collect runs a query. If it fails, it returns the rows that it could read, too.
func collect[T any](ctx context.Context, db *sql.DB, read func(table.Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return table.Read(rows, read)
}

// messages runs a query for messages.
func (s *Store) messages(ctx context.Context, query string, args ...any) (_ []outbox.Message, err error) {
	defer s.note(&err)
	return collect(ctx, s.readDB, table.Message, query, args...)
}

// Open implements outbox.Store.
func (s *Store) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return table.Open(func(after, before string, newestFirst bool) ([]outbox.Message, error) {
		query := selectOpen
		if newestFirst {
			query = selectOpenNewest
		}
		return s.messages(ctx, query, after, before, table.OpenLimit)
	})
}

// Get implements outbox.Store.
func (s *Store) Get(ctx context.Context, id string) (m outbox.Message, err error) {
	defer s.note(&err)
	m, err = table.Message(s.readMessage.QueryRowContext(ctx, id))
	if errors.Is(err, sql.ErrNoRows) {
		return outbox.Message{}, outbox.ErrNotFound
	} else if err != nil {
		return outbox.Message{}, fmt.Errorf("read message %s: %w", id, err)
	}
	return m, nil
}

// FindAPIID implements outbox.Store.
func (s *Store) FindAPIID(ctx context.Context, apiID string) (id string, err error) {
	defer s.note(&err)
	err = s.readDB.QueryRowContext(ctx, selectByAPIID, apiID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", outbox.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("find a message by its api_id: %w", err)
	}
	return id, nil
}

// List implements outbox.Store.
func (s *Store) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	text, args := listFrom("messages", q)
	switch open, openArgs := listFrom("pending", q); {
	case q.State == "": // both tables, in one statement
		text = `SELECT * FROM (` + open + `) UNION ALL SELECT * FROM (` + text + `) ORDER BY id DESC LIMIT ?`
		args = append(slices.Concat(openArgs, args), q.Limit)
	case !q.State.Final():
		text, args = open, openArgs
	}
	ms, err := s.messages(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return ms, nil
}

// listFrom returns the query that reads messages from one of the tables, with its arguments.
func listFrom(name string, q outbox.Query) (text string, args []any) {
	text = `SELECT ` + table.MessageColumns + ` FROM ` + name + ` WHERE TRUE`
	for _, f := range []struct{ condition, value string }{
		{"state = ?", string(q.State)},
		{"recipient = ?", string(q.To)},
		{"receiver = ?", q.Receiver},
		{"receiver <> ?", q.ExceptReceiver},
		{"page_id <> '' AND page_id = ?", q.Page},
		{"id < ?", q.Before},
	} {
		if f.value != "" {
			text += ` AND ` + f.condition
			args = append(args, f.value)
		}
	}
	if q.State != "" && q.State != outbox.Delivered {
		text += ` AND state <> 'delivered'` // selects the index of the rarer states
	}
	return text + ` ORDER BY id DESC LIMIT ?`, append(args, q.Limit)
}
