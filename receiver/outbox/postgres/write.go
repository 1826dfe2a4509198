package postgres

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// Each statement writes any number of rows: a parameter holds a column. An update names the keys
// twice, so that no plan reads other rows.
const (
	insertSightings = `
INSERT INTO notifications (key, state, seen_at, sources, before, earlier, message_ids)
SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $5::bytea[], $6::text[], $7::text[])`

	updateSightings = `
UPDATE notifications n SET state = w.state, seen_at = w.seen_at, sources = w.sources, before = w.before, earlier = w.earlier, message_ids = w.message_ids
FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $5::bytea[], $6::text[], $7::text[])
  AS w (key, state, seen_at, sources, before, earlier, message_ids)
WHERE n.key = w.key AND n.key = ANY ($1::bytea[])`

	insertMessages = `
INSERT INTO messages (` + table.MessageColumns + `)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[], $9::text[], $10::text[], $11::bigint[],
  $12::text[], $13::bigint[], $14::text[], $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::text[])`

	// A Change changes no other columns.
	updateMessages = `
UPDATE messages m SET state = w.state, status = w.status, api_id = w.api_id, outdated_by = w.outdated_by, attempts = w.attempts,
  updated_at = w.updated_at, attempted_at = w.attempted_at, accepted_at = w.accepted_at, events = w.events
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
  AS w (id, state, status, api_id, outdated_by, attempts, updated_at, attempted_at, accepted_at, events)
WHERE m.id = w.id AND m.id = ANY ($1::text[])`

	// This is rare: only messages that were sent before they could be stored need it.
	markSuperseded = `
UPDATE messages SET outdated_by = $4
WHERE recipient = $1 AND group_key = $2 AND receiver = $3 AND id < $4 AND state IN ('queued', 'sending') AND outdated_by = ''`
)

// commit writes the rows that have changed, sends the hints, and commits, in one round trip.
func (b *batch) commit(ctx context.Context, conn *pgx.Conn) error {
	var q pgx.Batch
	b.writeSightings(&q)
	b.writePages(&q)
	b.writeMarks(&q)
	b.writeMessages(&q)
	if hints := payloads(b.hints); len(hints) > 0 {
		q.Queue(notify, channel, hints)
	}
	q.Queue("COMMIT")
	return conn.SendBatch(ctx, &q).Close()
}

// queue adds to q a statement that writes rows, if there are any.
func queue(q *pgx.Batch, statement string, rows [][]any) {
	if len(rows) == 0 {
		return
	}
	args := make([]any, len(rows[0]))
	for i, v := range rows[0] {
		switch v.(type) {
		case string:
			args[i] = column[string](rows, i)
		case int64:
			args[i] = column[int64](rows, i)
		case bool:
			args[i] = column[bool](rows, i)
		case []byte:
			args[i] = column[[]byte](rows, i)
		}
	}
	q.Queue(statement, args...)
}

func column[T any](rows [][]any, i int) []T {
	all := make([]T, len(rows))
	for n, r := range rows {
		all[n] = r[i].(T)
	}
	return all
}

func (b *batch) writeSightings(q *pgx.Batch) {
	keys := slices.SortedFunc(maps.Keys(b.sightings), func(a, b outbox.Key) int { return bytes.Compare(a[:], b[:]) })
	var fresh, known [][]any
	for _, key := range keys {
		r := b.sightings[key]
		if !r.changed {
			continue
		}
		s := &r.value
		line := []any{key[:], s.State[:], table.Millis(s.SeenAt), table.Words(s.Sources), s.Before[:], table.Words(s.Earlier), table.Words(s.IDs)}
		if r.stored {
			known = append(known, line)
		} else {
			fresh = append(fresh, line)
		}
	}
	queue(q, updateSightings, known)
	queue(q, insertSightings, fresh)
}

func (b *batch) writeMessages(q *pgx.Batch) {
	var fresh, known [][]any
	for _, id := range slices.Sorted(maps.Keys(b.messages)) {
		r := b.messages[id]
		m := &r.value
		switch {
		case !r.changed:
		case r.stored:
			known = append(known, []any{m.ID, string(m.State), int64(m.Status), m.APIID, m.SupersededBy, int64(m.Attempts),
				table.Millis(m.UpdatedAt), table.Millis(m.AttemptedAt), table.Millis(m.AcceptedAt), table.History(m.Events)})
		default:
			fresh = append(fresh, []any{m.ID, string(m.To), storable(m.Receiver), storable(m.GroupKey), storable(m.Headline), storable(m.Severity), m.Urgent, m.PageID,
				storable(m.Text), m.Encoding, int64(m.Segments), string(m.State), int64(m.Status), storable(m.APIID), m.SupersededBy, int64(m.Attempts),
				table.Millis(m.CreatedAt), table.Millis(m.UpdatedAt), table.Millis(m.NotBefore), table.Millis(m.ExpiresAt), table.Millis(m.AttemptedAt), table.Millis(m.AcceptedAt), table.History(m.Events)})
		}
	}
	queue(q, updateMessages, known)
	queue(q, insertMessages, fresh)
	for _, m := range b.superseding {
		q.Queue(markSuperseded, string(m.To), storable(m.GroupKey), storable(m.Receiver), m.ID)
	}
}

// payloads formats hints as Listen reads them: a kind, then IDs. PostgreSQL limits a payload to 8,000 bytes.
func payloads(hints map[string][]string) (all []string) {
	const most = 250 // IDs, of 26 characters and a space each
	for _, kind := range slices.Sorted(maps.Keys(hints)) {
		for ids := range slices.Chunk(hints[kind], most) {
			all = append(all, kind+" "+strings.Join(ids, " "))
		}
	}
	return all
}
