package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const columns = `id, recipient, receiver, group_key, headline, severity, urgent, page_id, text, encoding, segments,
  state, status, api_id, outdated_by, attempts, created_at, updated_at, not_before, expires_at, attempted_at, accepted_at`

const insertNotification = `
INSERT INTO notifications (key, state, seen_at, sources, before, earlier, message_ids) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO NOTHING`

const selectNotification = `SELECT state, seen_at, sources, before, earlier, message_ids FROM notifications WHERE key = ?1`

const updateNotification = `
UPDATE notifications SET state = ?2, seen_at = ?3, sources = ?4, before = ?5, earlier = ?6, message_ids = ?7 WHERE key = ?1`

const insertMessage = `INSERT INTO messages (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const outdateOlder = `
UPDATE messages SET outdated_by = ?4
WHERE recipient = ?1 AND group_key = ?2 AND receiver = ?3 AND id < ?4 AND state IN ('queued', 'sending') AND outdated_by = ''`

const insertEvent = `
INSERT INTO events (message_id, n, at, type, detail)
SELECT ?1, COALESCE(MAX(n), 0) + 1, ?2, ?3, ?4 FROM events WHERE message_id = ?1`

const changeMessage = `
UPDATE messages SET
  state        = CASE WHEN ?2 = '' THEN state ELSE ?2 END,
  updated_at   = CASE WHEN ?2 IN ('', state) THEN updated_at ELSE ?3 END,
  status       = CASE WHEN ?4 = 0 THEN status ELSE ?4 END,
  api_id       = CASE WHEN api_id = '' THEN ?5 ELSE api_id END,
  outdated_by  = CASE WHEN ?8 = '' THEN outdated_by ELSE ?8 END,
  attempts     = attempts + ?6,
  attempted_at = CASE WHEN ?6 THEN ?3 ELSE attempted_at END,
  accepted_at  = CASE WHEN ?2 = 'accepted' THEN ?3 ELSE accepted_at END
WHERE id = ?1 AND instr(?7, ' ' || state || ' ') AND (?4 = 0 OR ?2 <> '' OR status < ?4)
  AND NOT (?11 AND EXISTS (SELECT 1 FROM events WHERE message_id = ?1 AND at = ?3 AND type = ?9 AND detail = ?10))`

const pruneMessages = `
DELETE FROM messages WHERE id IN (
  SELECT id FROM messages WHERE state NOT IN ('queued', 'sending', 'accepted') AND updated_at < ?1
  ORDER BY updated_at LIMIT ?2)
RETURNING id`

const pruneEvents = `DELETE FROM events WHERE message_id = ?1`

const pruneNotifications = `
DELETE FROM notifications WHERE key IN (SELECT key FROM notifications WHERE seen_at < ?1 LIMIT ?2)`

// statements are the writer's, prepared once.
type statements struct {
	insertNotification, selectNotification, updateNotification, insertMessage, outdateOlder, insertEvent, changeMessage,
	insertPage, updatePage, insertPageEvent, insertMark, updateMark, deleteMark, pruneMarks,
	pruneMessages, pruneEvents, prunePages, prunePageEvents, pruneNotifications *sql.Stmt
}

// query is a statement and its text.
type query struct {
	stmt **sql.Stmt
	text string
}

func (s *statements) all() []query {
	return []query{
		{&s.insertNotification, insertNotification},
		{&s.selectNotification, selectNotification},
		{&s.updateNotification, updateNotification},
		{&s.insertMessage, insertMessage},
		{&s.outdateOlder, outdateOlder},
		{&s.insertEvent, insertEvent},
		{&s.changeMessage, changeMessage},
		{&s.insertPage, insertPage},
		{&s.updatePage, updatePage},
		{&s.insertPageEvent, insertPageEvent},
		{&s.insertMark, insertMark},
		{&s.updateMark, updateMark},
		{&s.deleteMark, deleteMark},
		{&s.pruneMarks, pruneMarks},
		{&s.pruneMessages, pruneMessages},
		{&s.pruneEvents, pruneEvents},
		{&s.prunePages, prunePages},
		{&s.prunePageEvents, prunePageEvents},
		{&s.pruneNotifications, pruneNotifications},
	}
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) (err error) {
	for _, q := range s.all() {
		if *q.stmt, err = conn.PrepareContext(ctx, q.text); err != nil {
			return fmt.Errorf("prepare a statement: %w", err)
		}
	}
	return nil
}

// close lets SQLite close the connection, and with the last one fold the
// journal into the file.
func (s *statements) close() {
	for _, q := range s.all() {
		if *q.stmt != nil {
			_ = (*q.stmt).Close()
		}
	}
}

// Add implements outbox.Store.
func (s *Store) Add(ctx context.Context, e outbox.Entry) (added outbox.Added, err error) {
	ids := e.IDs()
	err = s.writer.Do(ctx, func(ctx context.Context, st *statements) error {
		added = outbox.Added{IDs: ids}
		if e.Key != (outbox.Key{}) {
			if original, err := st.sight(ctx, &e); err != nil {
				return err
			} else if original != nil {
				added = outbox.Added{Duplicate: true, IDs: original.IDs}
				return nil
			}
		}
		return st.add(ctx, &e)
	})
	if err != nil {
		return outbox.Added{}, fmt.Errorf("store messages: %w", err)
	}
	return added, nil
}

// sight notes the state that an entry brings. If the entry is a duplicate, it returns what it repeats.
func (st *statements) sight(ctx context.Context, e *outbox.Entry) (original *outbox.Sighting, err error) {
	write := func(stmt *sql.Stmt, s outbox.Sighting) (bool, error) {
		r, err := stmt.ExecContext(ctx, e.Key[:], s.State[:], millis(s.SeenAt), outbox.Words(s.Sources), s.Before[:], outbox.Words(s.Earlier), outbox.Words(s.IDs))
		if err != nil {
			return false, err
		}
		rows, err := r.RowsAffected()
		return rows > 0, err
	}
	var latest outbox.Sighting
	if first, err := write(st.insertNotification, latest.Next(e)); first || err != nil {
		return nil, err
	}
	var state, before []byte
	var seen int64
	var sources, earlier, ids string
	if err := st.selectNotification.QueryRowContext(ctx, e.Key[:]).Scan(&state, &seen, &sources, &before, &earlier, &ids); err != nil {
		return nil, err
	}
	copy(latest.State[:], state)
	copy(latest.Before[:], before)
	latest.SeenAt, latest.Sources, latest.Earlier, latest.IDs = timeOf(seen), strings.Fields(sources), strings.Fields(earlier), strings.Fields(ids)
	if !latest.Repeats(e) {
		_, err = write(st.updateNotification, latest.Next(e))
		return nil, err
	}
	if latest.Join(e) {
		_, err = write(st.updateNotification, latest)
	}
	return &latest, err
}

// add writes what an entry holds.
func (st *statements) add(ctx context.Context, e *outbox.Entry) error {
	for _, p := range e.AllPages() {
		if err := st.writePage(ctx, p); err != nil {
			return err
		}
	}
	for _, m := range e.Marks {
		if err := st.writeMark(ctx, m); err != nil {
			return err
		}
	}
	for i := range e.Messages {
		if err := st.insert(ctx, &e.Messages[i]); err != nil {
			return err
		}
	}
	for _, c := range e.Notes {
		if err := st.apply(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (st *statements) insert(ctx context.Context, m *outbox.Message) error {
	_, err := st.insertMessage.ExecContext(ctx, m.ID, string(m.To), m.Receiver, m.GroupKey, m.Headline, m.Severity, m.Urgent, m.PageID, m.Text, m.Encoding, m.Segments,
		string(m.State), int(m.Status), m.APIID, m.OutdatedBy, m.Attempts, millis(m.CreatedAt), millis(m.UpdatedAt), millis(m.NotBefore), millis(m.ExpiresAt), millis(m.AttemptedAt), millis(m.AcceptedAt))
	if err != nil {
		return err
	}
	for _, e := range m.Events {
		if err := st.event(ctx, m.ID, e); err != nil {
			return err
		}
	}
	if m.State == outbox.Accepted {
		_, err = st.outdateOlder.ExecContext(ctx, string(m.To), m.GroupKey, m.Receiver, m.ID)
	}
	return err
}

func (st *statements) event(ctx context.Context, id string, e outbox.Event) error {
	_, err := st.insertEvent.ExecContext(ctx, id, millis(e.At), string(e.Type), e.Detail)
	return err
}

// apply makes a change, if it can be made.
func (st *statements) apply(ctx context.Context, c outbox.Change) error {
	from := " "
	for _, state := range c.From {
		from += string(state) + " "
	}
	r, err := st.changeMessage.ExecContext(ctx, c.ID, string(c.To), millis(c.At), int(c.Status), c.APIID, c.Attempt, from, c.By, string(c.Event), c.Detail, c.Repeat)
	if err != nil {
		return err
	}
	if rows, err := r.RowsAffected(); err != nil || rows == 0 {
		return err
	}
	return st.event(ctx, c.ID, outbox.Event{At: c.At, Type: c.Event, Detail: c.Detail})
}

// Prune implements outbox.Store.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (pruned int, err error) {
	err = s.writer.Do(ctx, func(ctx context.Context, st *statements) error {
		if _, err := st.pruneNotifications.ExecContext(ctx, millis(before), limit); err != nil {
			return err
		}
		ids, err := texts(st.pruneMessages.QueryContext(ctx, millis(before), limit))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := st.pruneEvents.ExecContext(ctx, id); err != nil {
				return err
			}
		}
		pruned = len(ids)
		if _, err := st.pruneMarks.ExecContext(ctx, outbox.MarkReply, millis(before), limit); err != nil {
			return err
		}
		pages, err := texts(st.prunePages.QueryContext(ctx, millis(before), limit))
		if err != nil {
			return err
		}
		for _, id := range pages {
			if _, err := st.prunePageEvents.ExecContext(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("prune messages: %w", err)
	}
	return pruned, nil
}

// texts reads all rows of one text column.
func texts(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
