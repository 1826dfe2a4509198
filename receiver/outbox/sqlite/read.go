package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// openPage bounds one read of Open: a long read transaction would keep SQLite from reusing the WAL.
const openPage = 1000

const selectOpen = `SELECT ` + columns + ` FROM pending WHERE id > ? ORDER BY id LIMIT ?`

// selectByAPIID finds open messages and recent ones. The provider reports on no others, so no index
// is needed.
const selectByAPIID = `
SELECT id FROM pending WHERE lower(api_id) = lower(?1) AND api_id <> ''
UNION ALL SELECT id FROM (SELECT id, api_id FROM messages ORDER BY id DESC LIMIT 10000) WHERE lower(api_id) = lower(?1) AND api_id <> ''
LIMIT 1`

// messages runs a query for messages.
func (s *Store) messages(ctx context.Context, query string, args ...any) (_ []outbox.Message, err error) {
	defer s.note(&err)
	rows, err := s.readDB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ms []outbox.Message
	for rows.Next() {
		m, err := scan(rows)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, rows.Err()
}

// Open implements outbox.Store.
func (s *Store) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		after := ""
		for {
			ms, err := s.messages(ctx, selectOpen, after, openPage)
			if err != nil {
				yield(outbox.Message{}, fmt.Errorf("read open messages: %w", err))
				return
			}
			for _, m := range ms {
				if !yield(m, nil) {
					return
				}
				after = m.ID
			}
			if len(ms) < openPage {
				return
			}
		}
	}
}

// Get implements outbox.Store.
func (s *Store) Get(ctx context.Context, id string) (m outbox.Message, err error) {
	defer s.note(&err)
	m, err = scan(s.readMessage.QueryRowContext(ctx, id))
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
func listFrom(table string, q outbox.Query) (text string, args []any) {
	text = `SELECT ` + columns + ` FROM ` + table + ` WHERE TRUE`
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
