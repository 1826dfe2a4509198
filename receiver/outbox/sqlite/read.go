package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// openPage bounds one read of Open: a read transaction that is held for long
// would keep the WAL from being reused.
const openPage = 1000

// The index messages_open has the same condition, and holds open messages only.
const selectOpen = `SELECT ` + columns + ` FROM messages INDEXED BY messages_open
WHERE state IN ('queued', 'sending', 'accepted') AND id > ? ORDER BY id LIMIT ?`

const selectByAPIID = `SELECT id FROM messages WHERE lower(api_id) = lower(?1) AND api_id <> '' LIMIT 1`

// scan reads the columns of a message.
func scan(row interface{ Scan(...any) error }) (m outbox.Message, err error) {
	var to, state string
	var created, updated, notBefore, expires, attempted, accepted int64
	err = row.Scan(&m.ID, &to, &m.Receiver, &m.GroupKey, &m.Headline, &m.Severity, &m.Urgent, &m.PageID, &m.Text, &m.Encoding, &m.Segments,
		&state, &m.Status, &m.APIID, &m.OutdatedBy, &m.Attempts, &created, &updated, &notBefore, &expires, &attempted, &accepted)
	m.To, m.State = e164.Number(to), outbox.State(state)
	m.CreatedAt, m.UpdatedAt, m.NotBefore, m.ExpiresAt = timeOf(created), timeOf(updated), timeOf(notBefore), timeOf(expires)
	m.AttemptedAt, m.AcceptedAt = timeOf(attempted), timeOf(accepted)
	return m, err
}

// messages runs a query for messages, without their events.
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
func (s *Store) Get(ctx context.Context, id string) (outbox.Message, error) {
	ms, err := s.messages(ctx, `SELECT `+columns+` FROM messages WHERE id = ?`, id)
	if err == nil && len(ms) == 0 {
		return outbox.Message{}, outbox.ErrNotFound
	}
	if err == nil {
		err = s.readEvents(ctx, ms)
	}
	if err != nil {
		return outbox.Message{}, fmt.Errorf("read message %s: %w", id, err)
	}
	return ms[0], nil
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
	var where []string
	var args []any
	for _, f := range []struct{ condition, value string }{
		{"state = ?", string(q.State)},
		{"recipient = ?", string(q.To)},
		{"receiver = ?", q.Receiver},
		{"page_id <> '' AND page_id = ?", q.Page},
		{"id < ?", q.Before},
	} {
		if f.value != "" {
			where = append(where, f.condition)
			args = append(args, f.value)
		}
	}
	query := `SELECT ` + columns + ` FROM messages`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	ms, err := s.messages(ctx, query+` ORDER BY id DESC LIMIT ?`, append(args, q.Limit)...)
	if err == nil {
		err = s.readEvents(ctx, ms)
	}
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return ms, nil
}

// readEvents fills in the events of messages.
func (s *Store) readEvents(ctx context.Context, ms []outbox.Message) (err error) {
	defer s.note(&err)
	if len(ms) == 0 {
		return nil
	}
	at := make(map[string]int, len(ms))
	ids := make([]any, len(ms))
	for i, m := range ms {
		at[m.ID], ids[i] = i, m.ID
	}
	rows, err := s.readDB.QueryContext(ctx, `SELECT message_id, at, type, detail FROM events
		WHERE message_id IN (?`+strings.Repeat(", ?", len(ids)-1)+`) ORDER BY message_id, n`, ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, kind string
		var millis int64
		var e outbox.Event
		if err := rows.Scan(&id, &millis, &kind, &e.Detail); err != nil {
			return err
		}
		e.At, e.Type = timeOf(millis), outbox.EventType(kind)
		m := &ms[at[id]]
		m.Events = append(m.Events, e)
	}
	return rows.Err()
}
