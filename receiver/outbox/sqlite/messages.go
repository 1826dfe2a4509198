package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// knownRows is how many rows of open messages the writer keeps in memory.
const knownRows = 4096

const values = ` (` + table.MessageColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const (
	insertPending = `INSERT INTO pending` + values + ` ON CONFLICT DO NOTHING`
	insertEnded   = `INSERT INTO messages` + values + ` ON CONFLICT DO NOTHING`
	updatePending = `UPDATE pending` + changed
	updateEnded   = `UPDATE messages` + changed
	deletePending = `DELETE FROM pending WHERE id = ?`

	// changed sets all columns that a Change can change.
	changed = ` SET state = ?, status = ?, api_id = ?, outdated_by = ?, attempts = ?, updated_at = ?, attempted_at = ?, accepted_at = ?, events = ? WHERE id = ?`

	// copyPending copies an open message to those that ended, with the same columns changed.
	copyPending = `
INSERT INTO messages (` + table.MessageColumns + `)
SELECT id, recipient, receiver, group_key, headline, severity, urgent, page_id, text, encoding, segments,
  ?, ?, ?, ?, ?, created_at, ?, not_before, expires_at, ?, ?, ?
FROM pending WHERE id = ? ON CONFLICT DO NOTHING`

	// selectMessage reads both tables in one statement: a message is in one of them.
	selectMessage = `SELECT ` + table.MessageColumns + ` FROM pending WHERE id = ?1 UNION ALL SELECT ` + table.MessageColumns + ` FROM messages WHERE id = ?1`

	// markSuperseded needs no index: there are few open messages, and it runs only for a message that
	// was sent before it could be stored.
	markSuperseded = `
UPDATE pending SET outdated_by = ?4
WHERE recipient = ?1 AND group_key = ?2 AND receiver = ?3 AND id < ?4 AND state IN ('queued', 'sending') AND outdated_by = ''`

	// pruneMessages goes by ID: almost all messages created before a time also ended before it.
	pruneMessages = `
DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE id < ?1 AND updated_at < ?2 ORDER BY id LIMIT ?3)`
)

// insert writes a new message, or fails with ErrConflict.
func (st *statements) insert(ctx context.Context, m outbox.Message) error {
	into := &st.insertPending
	if m.State.Final() {
		into = &st.insertEnded
	}
	err := guarded(into.exec(ctx, m.ID, string(m.To), m.Receiver, m.GroupKey, m.Headline, m.Severity, m.Urgent, m.PageID, m.Text, m.Encoding, int64(m.Segments),
		string(m.State), int64(m.Status), m.APIID, m.SupersededBy, int64(m.Attempts), table.Millis(m.CreatedAt), table.Millis(m.UpdatedAt), table.Millis(m.NotBefore), table.Millis(m.ExpiresAt), table.Millis(m.AttemptedAt), table.Millis(m.AcceptedAt),
		table.History(m.Events)))
	if err == nil {
		st.know(m)
	}
	return err
}

// supersedeOlder marks the older messages that a new one supersedes because the provider has it already.
func (st *statements) supersedeOlder(ctx context.Context, m *outbox.Message) error {
	if !m.WasAccepted() {
		return nil
	}
	st.known.Purge()
	_, err := st.markSuperseded.ExecContext(ctx, string(m.To), m.GroupKey, m.Receiver, m.ID)
	return err
}

// know keeps an open message in memory, so that the next change need not read it.
func (st *statements) know(m outbox.Message) {
	if m.State.Final() {
		st.known.Remove(m.ID)
		return
	}
	m.Events = slices.Clip(m.Events) // the caller goes on to use the space behind them
	st.known.Add(m.ID, m)
}

// row returns a message in its present state, or ErrNotFound.
func (st *statements) row(ctx context.Context, id string) (outbox.Message, error) {
	if m, ok := st.known.Get(id); ok {
		return m, nil
	}
	m, err := table.Message(st.selectMessage.QueryRowContext(ctx, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = outbox.ErrNotFound
	}
	return m, err
}

// apply makes those changes that can be made. It writes a message once if its changes follow one
// another.
func (st *statements) apply(ctx context.Context, changes []outbox.Change) error {
	for len(changes) > 0 {
		n := slices.IndexFunc(changes, func(c outbox.Change) bool { return c.ID != changes[0].ID })
		if n < 0 {
			n = len(changes)
		}
		if err := st.applyTo(ctx, changes[0].ID, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

func (st *statements) applyTo(ctx context.Context, id string, changes []outbox.Change) error {
	m, err := st.row(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	ended, made := m.State.Final(), false
	for _, c := range changes {
		made = c.Apply(&m) || made
	}
	if !made {
		return nil
	}
	write := &st.updatePending
	switch {
	case ended:
		write = &st.updateEnded
	case m.State.Final():
		write = &st.copyPending
	}
	r, err := write.exec(ctx, string(m.State), int64(m.Status), m.APIID, m.SupersededBy, int64(m.Attempts),
		table.Millis(m.UpdatedAt), table.Millis(m.AttemptedAt), table.Millis(m.AcceptedAt), table.History(m.Events), id)
	if err == nil && write == &st.copyPending {
		if err := guarded(r, nil); err != nil { // the message is in both tables
			return err
		}
		_, err = st.deletePending.exec(ctx, id)
	}
	if err == nil {
		st.know(m)
	}
	return err
}
