package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/smspager/smspager/receiver/outbox"
)

const columns = `id, recipient, receiver, group_key, headline, severity, urgent, page_id, text, encoding, segments,
  state, status, api_id, outdated_by, attempts, created_at, updated_at, not_before, expires_at, attempted_at, accepted_at`

const insertNotification = `
INSERT INTO notifications (key, state, seen_at, sources, before, earlier, message_ids) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING`

// The row is locked, so that of several processes one decides at a time.
const selectNotification = `SELECT state, seen_at, sources, before, earlier, message_ids FROM notifications WHERE key = $1 FOR UPDATE`

const updateNotification = `
UPDATE notifications SET state = $2, seen_at = $3, sources = $4, before = $5, earlier = $6, message_ids = $7 WHERE key = $1`

const insertMessage = `INSERT INTO messages (` + columns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`

const outdateOlder = `
UPDATE messages SET outdated_by = $4
WHERE recipient = $1 AND md5(group_key) = md5($2) AND group_key = $2 AND receiver = $3 AND id < $4 AND state IN ('queued', 'sending') AND outdated_by = ''`

const insertEvent = `
INSERT INTO events (message_id, n, at, type, detail)
SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4 FROM events WHERE message_id = $1`

// Messages are locked before they are changed: the statements after this one see what other
// processes did to them, and of two transactions none waits for the other in a circle.
const lockMessages = `SELECT FROM messages WHERE id = ANY ($1) ORDER BY id FOR UPDATE`

// A change, its event, and the hint that the message has ended, if it has; nothing of it if the
// change cannot be made.
const changeMessage = `
WITH changed AS (
  UPDATE messages SET
    state        = CASE WHEN $2::text = '' THEN state ELSE $2 END,
    updated_at   = CASE WHEN $2 IN ('', state) THEN updated_at ELSE $3::bigint END,
    status       = CASE WHEN $4::integer = 0 THEN status ELSE $4 END,
    api_id       = CASE WHEN api_id = '' THEN $5 ELSE api_id END,
    outdated_by  = CASE WHEN $8::text = '' THEN outdated_by ELSE $8 END,
    attempts     = attempts + $6::integer,
    attempted_at = CASE WHEN $6 > 0 THEN $3 ELSE attempted_at END,
    accepted_at  = CASE WHEN $2 = 'accepted' THEN $3 ELSE accepted_at END
  WHERE id = $1 AND ($14::bigint = 0 OR $14 >= (SELECT term FROM lease WHERE id)) AND state = ANY ($7::text[]) AND ($4 = 0 OR $2 <> '' OR status < $4)
    AND NOT ($11::boolean AND EXISTS (SELECT 1 FROM events WHERE message_id = $1 AND at = $3 AND type = $9 AND detail = $10))
  RETURNING id),
noted AS (
  INSERT INTO events (message_id, n, at, type, detail)
  SELECT id, (SELECT COALESCE(MAX(n), 0) + 1 FROM events WHERE message_id = $1), $3, $9, $10 FROM changed)
SELECT pg_notify($12, current_schema() || ' ' || $13::text || ' ' || id) FROM changed WHERE $13 <> ''`

const pruneMessages = `
DELETE FROM messages WHERE id IN (
  SELECT id FROM messages WHERE state NOT IN ('queued', 'sending', 'accepted') AND updated_at < $1
  ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING id`

const pruneEvents = `DELETE FROM events WHERE message_id = ANY ($1)`

const pruneNotifications = `
DELETE FROM notifications WHERE key IN (
  SELECT key FROM notifications WHERE seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`

// Add implements outbox.Store.
func (s *Store) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	ids := e.IDs()
	var added outbox.Added // read only if the work was waited for
	err := s.group.Do(ctx, func(ctx context.Context, tx pgx.Tx) error {
		added = outbox.Added{IDs: ids}
		if e.Key != (outbox.Key{}) {
			if original, err := sight(ctx, tx, &e); err != nil {
				return err
			} else if original != nil {
				added = outbox.Added{Duplicate: true, IDs: original.IDs}
				return nil
			}
		}
		return add(ctx, tx, &e)
	})
	if err != nil {
		return outbox.Added{}, fmt.Errorf("store messages: %w", err)
	}
	return added, nil
}

// sight notes the state that an entry brings. If the entry is a duplicate, it returns what it repeats.
func sight(ctx context.Context, tx pgx.Tx, e *outbox.Entry) (original *outbox.Sighting, err error) {
	write := func(query string, s outbox.Sighting) (bool, error) {
		tag, err := tx.Exec(ctx, query, e.Key[:], s.State[:], millis(s.SeenAt), outbox.Words(s.Sources), s.Before[:], outbox.Words(s.Earlier), outbox.Words(s.IDs))
		return tag.RowsAffected() > 0, err
	}
	var latest outbox.Sighting
	if first, err := write(insertNotification, latest.Next(e)); first || err != nil {
		return nil, err
	}
	var state, before []byte
	var seen int64
	var sources, earlier, ids string
	err = tx.QueryRow(ctx, selectNotification, e.Key[:]).Scan(&state, &seen, &sources, &before, &earlier, &ids)
	if errors.Is(err, pgx.ErrNoRows) { // pruned in between
		return nil, outbox.ErrConflict
	}
	if err != nil {
		return nil, err
	}
	copy(latest.State[:], state)
	copy(latest.Before[:], before)
	latest.SeenAt, latest.Sources, latest.Earlier, latest.IDs = timeOf(seen), strings.Fields(sources), strings.Fields(earlier), strings.Fields(ids)
	if !latest.Repeats(e) {
		_, err = write(updateNotification, latest.Next(e))
		return nil, err
	}
	if latest.Join(e) {
		_, err = write(updateNotification, latest)
	}
	return &latest, err
}

// add writes what an entry holds.
func add(ctx context.Context, tx pgx.Tx, e *outbox.Entry) error {
	if e.Term > 0 {
		var term int64
		if err := tx.QueryRow(ctx, lockLease).Scan(&term); err != nil {
			return err
		}
		if e.Term < term {
			return fmt.Errorf("another replica leads since: %w", outbox.ErrConflict)
		}
	}
	for _, p := range e.AllPages() {
		if err := writePage(ctx, tx, p); err != nil {
			return err
		}
	}
	for _, m := range e.Marks {
		if err := writeMark(ctx, tx, m); err != nil {
			return err
		}
	}
	var b pgx.Batch
	for i := range e.Messages {
		queueInsert(&b, &e.Messages[i])
	}
	hint(&b, hintAdded, e.IDs())
	if len(e.Notes) > 0 {
		ids := make([]string, len(e.Notes))
		for i, c := range e.Notes {
			ids[i] = c.ID
		}
		b.Queue(lockMessages, ids)
		if slices.ContainsFunc(e.Notes, func(c outbox.Change) bool { return c.Term > 0 }) {
			b.Queue(lockLease)
		}
	}
	for i := range e.Notes {
		queueChange(&b, &e.Notes[i])
	}
	if b.Len() == 0 {
		return nil
	}
	err := tx.SendBatch(ctx, &b).Close()
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == uniqueViolation { // another replica has made the same message
		return outbox.ErrConflict
	}
	return err
}

func queueInsert(b *pgx.Batch, m *outbox.Message) {
	b.Queue(insertMessage, m.ID, string(m.To), storable(m.Receiver), storable(m.GroupKey), storable(m.Headline), storable(m.Severity), m.Urgent, m.PageID, storable(m.Text), m.Encoding, m.Segments,
		string(m.State), int(m.Status), storable(m.APIID), m.OutdatedBy, m.Attempts, millis(m.CreatedAt), millis(m.UpdatedAt), millis(m.NotBefore), millis(m.ExpiresAt), millis(m.AttemptedAt), millis(m.AcceptedAt))
	for _, e := range m.Events {
		queueEvent(b, m.ID, e)
	}
	if m.State == outbox.Accepted {
		b.Queue(outdateOlder, string(m.To), storable(m.GroupKey), storable(m.Receiver), m.ID)
	}
}

func queueEvent(b *pgx.Batch, id string, e outbox.Event) {
	b.Queue(insertEvent, id, millis(e.At), string(e.Type), storable(e.Detail))
}

// queueChange makes a change, if it can be made.
func queueChange(b *pgx.Batch, c *outbox.Change) {
	from := make([]string, len(c.From))
	for i, state := range c.From {
		from[i] = string(state)
	}
	attempts := 0
	if c.Attempt {
		attempts = 1
	}
	ended := ""
	switch {
	case c.To == "" || !c.To.Final():
	case c.To.Undelivered():
		ended = hintUndelivered
	default:
		ended = hintEnded
	}
	b.Queue(changeMessage, c.ID, string(c.To), millis(c.At), int(c.Status), storable(c.APIID), attempts, from, c.By, string(c.Event), storable(c.Detail), c.Repeat, channel, ended, c.Term)
}

// Prune implements outbox.Store.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	var pruned int
	err := s.group.Do(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pruneNotifications, millis(before), limit); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, pruneMessages, millis(before), limit)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, pruneEvents, ids); err != nil {
			return err
		}
		pruned = len(ids)
		if _, err := tx.Exec(ctx, pruneMarks, outbox.MarkReply, millis(before), limit); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, prunePages, millis(before), limit); err != nil {
			return err
		}
		pages, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, prunePageEvents, pages)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("prune messages: %w", err)
	}
	return pruned, nil
}
