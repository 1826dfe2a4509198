package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// openPage is how many messages Open reads at a time, so that no transaction stays open for long.
const openPage = 1000

// The index messages_open has the same condition, and so holds only open messages.
const selectOpen = `SELECT ` + columns + ` FROM messages
WHERE state IN ('queued', 'sending', 'accepted') AND id > $1 ORDER BY id LIMIT $2`

const selectByAPIID = `SELECT id FROM messages WHERE lower(api_id) = lower($1) AND api_id <> '' LIMIT 1`

// scan reads the columns of a message.
func scan(row pgx.Row) (m outbox.Message, err error) {
	var to, state, events string
	var created, updated, notBefore, expires, attempted, accepted int64
	err = row.Scan(&m.ID, &to, &m.Receiver, &m.GroupKey, &m.Headline, &m.Severity, &m.Urgent, &m.PageID, &m.Text, &m.Encoding, &m.Segments,
		&state, &m.Status, &m.APIID, &m.SupersededBy, &m.Attempts, &created, &updated, &notBefore, &expires, &attempted, &accepted, &events)
	if err != nil {
		return m, err
	}
	m.To, m.State = e164.Number(to), outbox.State(state)
	m.CreatedAt, m.UpdatedAt, m.NotBefore, m.ExpiresAt = timeOf(created), timeOf(updated), timeOf(notBefore), timeOf(expires)
	m.AttemptedAt, m.AcceptedAt = timeOf(attempted), timeOf(accepted)
	m.Events, err = outbox.UnmarshalHistory(events)
	return m, err
}

// messages runs a query for messages.
func (s *Store) messages(ctx context.Context, query string, args ...any) ([]outbox.Message, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (outbox.Message, error) { return scan(row) })
}

// Open implements outbox.Store.
func (s *Store) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		after := ""
		for {
			read, cancel := context.WithTimeout(ctx, patience)
			ms, err := s.messages(read, selectOpen, after, openPage)
			cancel()
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
func (s *Store) Get(ctx context.Context, id string) (outbox.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ms, err := s.messages(ctx, `SELECT `+columns+` FROM messages WHERE id = $1`, storable(id))
	if err == nil && len(ms) == 0 {
		return outbox.Message{}, outbox.ErrNotFound
	}
	if err != nil {
		return outbox.Message{}, fmt.Errorf("read message %s: %w", id, err)
	}
	return ms[0], nil
}

// FindAPIID implements outbox.Store.
func (s *Store) FindAPIID(ctx context.Context, apiID string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = s.pool.QueryRow(ctx, selectByAPIID, storable(apiID)).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", outbox.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("find a message by its api_id: %w", err)
	}
	return id, nil
}

// List implements outbox.Store.
func (s *Store) List(ctx context.Context, q outbox.Query) ([]outbox.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var where []string
	var args []any
	for _, f := range []struct{ condition, value string }{
		{"state = ", string(q.State)},
		{"recipient = ", string(q.To)},
		{"receiver = ", q.Receiver},
		{"receiver <> ", q.ExceptReceiver},
		{"page_id <> '' AND page_id = ", q.Page},
		{"id < ", q.Before},
	} {
		if f.value != "" {
			args = append(args, storable(f.value))
			where = append(where, f.condition+"$"+strconv.Itoa(len(args)))
		}
	}
	switch { // so that the planner finds the indexes of open messages and of the rarer states
	case q.State == "" || q.State == outbox.Delivered:
	case q.State.Final():
		where = append(where, "state NOT IN ('queued', 'sending', 'accepted', 'delivered')")
	default:
		where = append(where, "state IN ('queued', 'sending', 'accepted')")
	}
	query := `SELECT ` + columns + ` FROM messages`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	args = append(args, q.Limit)
	ms, err := s.messages(ctx, query+` ORDER BY id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return ms, nil
}
