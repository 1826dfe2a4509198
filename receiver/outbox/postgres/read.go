package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// The index messages_open has the same condition, and so holds only open messages.
const (
	selectOpen = `SELECT ` + table.MessageColumns + ` FROM messages
WHERE state IN ('queued', 'sending', 'accepted') AND id > $1 AND id < $2 ORDER BY id LIMIT $3`

	selectOpenNewest = `SELECT ` + table.MessageColumns + ` FROM messages
WHERE state IN ('queued', 'sending', 'accepted') AND id > $1 AND id < $2 ORDER BY id DESC LIMIT $3`
)

const selectByAPIID = `SELECT id FROM messages WHERE lower(api_id) = lower($1) AND api_id <> '' LIMIT 1`

// collect runs a query. If it fails, it returns the rows that it could read, too.
func collect[T any](ctx context.Context, pool *pgxpool.Pool, read func(table.Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := pool.Query(ctx, query, args...)
	if err != nil {
		return nil, damaged(err)
	}
	defer rows.Close()
	all, err := table.Read(rows, read)
	return all, damaged(err)
}

// damaged makes an error wrap ErrDamaged if the server reports damage.
func damaged(err error) error {
	if is(err, dataCorrupted) || is(err, indexCorrupted) {
		return fmt.Errorf("%w: %w", outbox.ErrDamaged, err)
	}
	return err
}

// messages runs a query for messages.
func (s *Store) messages(ctx context.Context, query string, args ...any) ([]outbox.Message, error) {
	return collect(ctx, s.pool, table.Message, query, args...)
}

// Open implements outbox.Store.
func (s *Store) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	return table.Open(func(after, before string, newestFirst bool) ([]outbox.Message, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		query := selectOpen
		if newestFirst {
			query = selectOpenNewest
		}
		return s.messages(ctx, query, after, before, table.OpenLimit)
	})
}

// Get implements outbox.Store.
func (s *Store) Get(ctx context.Context, id string) (outbox.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ms, err := s.messages(ctx, `SELECT `+table.MessageColumns+` FROM messages WHERE id = $1`, storable(id))
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
	query := `SELECT ` + table.MessageColumns + ` FROM messages`
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
