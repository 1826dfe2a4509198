package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// Nearly all messages that were created before a time have also ended before it. Rows that another
// process has locked are left for the next run.
const pruneMessages = `
DELETE FROM messages WHERE id IN (
  SELECT id FROM messages WHERE id < $1 AND updated_at < $2 AND state NOT IN ('queued', 'sending', 'accepted')
  ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)`

const pruneNotifications = `
DELETE FROM notifications WHERE key IN (
  SELECT key FROM notifications WHERE seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`

const pruneMarks = `
DELETE FROM marks WHERE kind = $1 AND name IN (
  SELECT name FROM marks WHERE kind = $1 AND at < $2 LIMIT $3 FOR UPDATE SKIP LOCKED)`

const prunePages = `
WITH pruned AS (
  DELETE FROM pages WHERE id IN (
    SELECT id FROM pages WHERE state IN ('resolved', 'expired') AND updated_at < $1
    ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
  RETURNING id),
events AS (DELETE FROM page_events WHERE page_id IN (SELECT id FROM pruned))
SELECT id FROM pruned`

// Prune implements outbox.Store. It uses a reader's connection, so that no entry waits for it.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (pruned int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	most := func(tag pgconn.CommandTag) error {
		pruned = max(pruned, int(tag.RowsAffected()))
		return nil
	}
	var b pgx.Batch
	b.Queue(pruneNotifications, table.Millis(before), limit).Exec(most)
	b.Queue(pruneMessages, outbox.FirstID(before), table.Millis(before), limit).Exec(most)
	b.Queue(pruneMarks, outbox.MarkReply, table.Millis(before), limit).Exec(most)
	b.Queue(prunePages, table.Millis(before), limit).Exec(most)
	if err := s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return 0, fmt.Errorf("prune messages: %w", err)
	}
	return pruned, nil
}
