package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// Each statement sees what other processes committed before it began. If it waits for a lock, it
// then sees the row as they left it.
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED`

// A transaction locks all rows that it refers to before it decides anything, those of each table in
// the order of its key, so that two transactions do not wait for each other.
const (
	lockSightings = `
SELECT key, state, seen_at, sources, before, earlier, message_ids FROM notifications
WHERE key = ANY ($1::bytea[]) ORDER BY key FOR UPDATE`

	lockPages = `SELECT id, version FROM pages WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE`

	lockMarks = `
SELECT w.kind, w.name, (SELECT m.version FROM marks m WHERE m.kind = w.kind AND m.name = w.name FOR UPDATE)
FROM unnest($1::text[], $2::text[]) AS w (kind, name)`

	lockMessages = `SELECT ` + table.MessageColumns + ` FROM messages WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE`
)

// wanted holds the keys of the rows that entries refer to, except those of new messages.
type wanted struct {
	sightings map[outbox.Key]bool
	pages     map[string]bool
	marks     map[markKey]bool
	messages  map[string]bool
	term      bool
}

func wantedBy(items []*item) wanted {
	w := wanted{make(map[outbox.Key]bool), make(map[string]bool), make(map[markKey]bool), make(map[string]bool), false}
	for _, it := range items {
		e := &it.entry
		if e.Key != (outbox.Key{}) {
			w.sightings[e.Key] = true
		}
		for _, p := range e.AllPages() {
			w.pages[p.ID] = true
		}
		for _, m := range e.Marks {
			w.marks[keyOf(m)] = true
		}
		for _, c := range e.Notes {
			w.messages[c.ID] = true
			w.term = w.term || c.Term > 0
		}
		w.term = w.term || e.Term > 0
	}
	return w
}

// lock begins a transaction, and reads and locks the rows that entries refer to, in one round trip.
func (b *batch) lock(ctx context.Context, conn *pgx.Conn, items []*item) error {
	w := wantedBy(items)
	var q pgx.Batch
	q.Queue(begin)
	q.Queue(`SELECT pg_current_xact_id()::text, pg_postmaster_start_time()`).QueryRow(func(row pgx.Row) error { return row.Scan(&b.xid, &b.server) })
	if len(w.sightings) > 0 {
		keys := make([][]byte, 0, len(w.sightings))
		for key := range w.sightings {
			keys = append(keys, key[:])
		}
		q.Queue(lockSightings, keys).Query(b.readSightings)
	}
	if len(w.pages) > 0 {
		q.Queue(lockPages, slices.Collect(maps.Keys(w.pages))).Query(b.readPages)
	}
	if len(w.marks) > 0 {
		var kinds, names []string
		for _, key := range slices.SortedFunc(maps.Keys(w.marks), markKey.compare) {
			kinds, names = append(kinds, key.kind), append(names, key.name)
		}
		q.Queue(lockMarks, kinds, names).Query(b.readMarks)
	}
	if len(w.messages) > 0 {
		q.Queue(lockMessages, slices.Collect(maps.Keys(w.messages))).Query(b.readMessages)
	}
	if w.term {
		q.Queue(lockLease).QueryRow(func(row pgx.Row) error { return row.Scan(&b.term) })
	}
	return conn.SendBatch(ctx, &q).Close()
}

func (b *batch) readSightings(rows pgx.Rows) error {
	var key, state, before []byte
	var seen int64
	var sources, earlier, ids string
	_, err := pgx.ForEachRow(rows, []any{&key, &state, &seen, &sources, &before, &earlier, &ids}, func() error {
		s := outbox.Sighting{SeenAt: table.Time(seen), Sources: strings.Fields(sources), Earlier: strings.Fields(earlier), IDs: strings.Fields(ids)}
		copy(s.State[:], state)
		copy(s.Before[:], before)
		var k outbox.Key
		copy(k[:], key)
		b.sightings[k] = &row[outbox.Sighting]{value: s, stored: true}
		return nil
	})
	return err
}

func (b *batch) readPages(rows pgx.Rows) error {
	var p outbox.Page
	_, err := pgx.ForEachRow(rows, []any{&p.ID, &p.Version}, func() error {
		b.pages[p.ID] = &row[outbox.Page]{value: p, stored: true}
		return nil
	})
	return err
}

func (b *batch) readMarks(rows pgx.Rows) error {
	var key markKey
	var version *int // nil: the mark does not exist
	_, err := pgx.ForEachRow(rows, []any{&key.kind, &key.name, &version}, func() error {
		if version != nil {
			b.marks[key] = &row[outbox.Mark]{value: outbox.Mark{Version: *version}, stored: true}
		}
		return nil
	})
	return err
}

func (b *batch) readMessages(rows pgx.Rows) error {
	ms, err := table.Read(rows, table.Message)
	for _, m := range ms {
		b.messages[m.ID] = &row[outbox.Message]{value: m, stored: true}
	}
	return err
}
