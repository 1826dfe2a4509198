package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// Pages are updated one by one, in the order of the entries, because one may take the group or the
// code that another gives up. New pages are inserted after that.
const updatePage = `
UPDATE pages SET receiver = $2, group_key = $3, code = $4, state = $5, version = $6, headline = $7, severity = $8,
  opened_at = $9, updated_at = $10, due_at = $11, acknowledged_at = $12, acknowledged_by = $13, alerts = $14, doc = $15
WHERE id = $1`

const insertPages = `
INSERT INTO pages (` + table.PageColumns + `)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
  $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::text[])`

const insertPageEvents = `
INSERT INTO page_events (page_id, n, at, type, who, detail)
SELECT w.page_id, w.n + (SELECT COALESCE(MAX(e.n), 0) FROM page_events e WHERE e.page_id = w.page_id), w.at, w.type, w.who, w.detail
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[]) AS w (page_id, n, at, type, who, detail)`

const selectPageEvents = `SELECT at, type, who, detail FROM page_events WHERE page_id = $1 ORDER BY n`

const insertMarks = `
INSERT INTO marks (` + table.MarkColumns + `) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])`

// These rows exist, and are locked.
const updateMarks = insertMarks + ` ON CONFLICT (kind, name) DO UPDATE SET version = excluded.version, at = excluded.at, doc = excluded.doc`

const deleteMark = `DELETE FROM marks WHERE kind = $1 AND name = $2`

const countPages = `SELECT state, COUNT(*) FROM pages WHERE state NOT IN ('resolved', 'expired') GROUP BY state`

const selectMarks = `SELECT ` + table.MarkColumns + ` FROM marks WHERE kind = $1 ORDER BY name`

const selectMarksAfter = `SELECT ` + table.MarkColumns + ` FROM marks WHERE at > $1 ORDER BY kind, name`

// IDs begin with the time, so that the condition on id selects about a day's messages.
const selectSegments = `
SELECT COALESCE(SUM(segments), 0) FROM messages WHERE id >= $1 AND accepted_at > 0 AND recipient <> '999'`

func (b *batch) writePages(q *pgx.Batch) {
	var fresh, events [][]any
	for _, id := range b.turned {
		r := b.pages[id]
		p := &r.value
		line := []any{p.ID, storable(p.Receiver), storable(p.GroupKey), p.Code, string(p.State), int64(p.Version), storable(p.Headline), storable(p.Severity),
			table.Millis(p.OpenedAt), table.Millis(p.UpdatedAt), table.Millis(p.DueAt), table.Millis(p.AcknowledgedAt), storable(p.AcknowledgedBy), storable(table.Spaced(p.AlertKeys)), storable(string(p.Doc))}
		if r.stored {
			q.Queue(updatePage, line...)
		} else {
			fresh = append(fresh, line)
		}
		for n, e := range p.Events {
			events = append(events, []any{p.ID, int64(n + 1), table.Millis(e.At), string(e.Type), storable(e.Who), storable(e.Detail)})
		}
	}
	queue(q, insertPages, fresh)
	queue(q, insertPageEvents, events)
}

func (b *batch) writeMarks(q *pgx.Batch) {
	var fresh, known [][]any
	for _, key := range slices.SortedFunc(maps.Keys(b.marks), markKey.compare) {
		r := b.marks[key]
		line := []any{key.kind, key.name, int64(r.value.Version), table.Millis(r.value.At), storable(string(r.value.Doc))}
		switch exists := r.value.Version > 0; {
		case !r.changed:
		case r.stored && exists:
			known = append(known, line)
		case r.stored:
			q.Queue(deleteMark, line[:2]...)
		case exists:
			fresh = append(fresh, line)
		}
	}
	queue(q, updateMarks, known)
	queue(q, insertMarks, fresh)
}

// pages runs a query for pages, without their events.
func (s *Store) pages(ctx context.Context, query string, args ...any) ([]outbox.Page, error) {
	return collect(ctx, s.pool, table.Page, query, args...)
}

// Page implements outbox.Store.
func (s *Store) Page(ctx context.Context, id string) (outbox.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ps, err := s.pages(ctx, `SELECT `+table.PageColumns+` FROM pages WHERE id = $1`, storable(id))
	if err == nil && len(ps) == 0 {
		return outbox.Page{}, outbox.ErrNotFound
	}
	if err == nil {
		ps[0].Events, err = collect(ctx, s.pool, table.PageEvent, selectPageEvents, id)
	}
	if err != nil {
		return outbox.Page{}, fmt.Errorf("read page %s: %w", id, err)
	}
	return ps[0], nil
}

// Pages implements outbox.Store.
func (s *Store) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	query, args := pagesQuery(q)
	ps, err := s.pages(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	return ps, nil
}

func pagesQuery(q outbox.PageQuery) (query string, args []any) {
	var where []string
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	if q.Current {
		where = append(where, "state NOT IN ('resolved', 'expired')")
	}
	for _, f := range []struct{ condition, value string }{
		{"state = ?", string(q.State)},
		{"receiver = ?", q.Receiver},
		{"md5(group_key) = md5(?) AND group_key = ?", q.GroupKey},
		{"code = ?", q.Code},
		{"id < ?", q.Before},
	} {
		if f.value != "" {
			add(f.condition, storable(f.value))
		}
	}
	if len(q.Alerts) > 0 {
		var any []string
		for _, key := range q.Alerts {
			args = append(args, storable(" "+key+" "))
			any = append(any, "strpos(alerts, $"+strconv.Itoa(len(args))+") > 0")
		}
		where = append(where, "("+strings.Join(any, " OR ")+")")
	}
	order := "id DESC"
	if !q.DueBy.IsZero() {
		add("due_at > 0 AND due_at <= ?", table.Millis(q.DueBy))
		order = "due_at"
	}
	query = `SELECT ` + table.PageColumns + ` FROM pages`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	args = append(args, q.Limit)
	return query + ` ORDER BY ` + order + ` LIMIT $` + strconv.Itoa(len(args)), args
}

// CountPages implements outbox.Store.
func (s *Store) CountPages(ctx context.Context) (map[outbox.PageState]int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, countPages)
	if err != nil {
		return nil, fmt.Errorf("count pages: %w", err)
	}
	counts := make(map[outbox.PageState]int)
	var state string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		counts[outbox.PageState(state)] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("count pages: %w", err)
	}
	return counts, nil
}

// Marks implements outbox.Store.
func (s *Store) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	return marks(ctx, s.pool, selectMarks, kind)
}

// Reader reads the marks in a database, and changes nothing there.
type Reader struct{ pool *pgxpool.Pool }

// OpenReader connects to a database for reading; see Open for the URL.
func OpenReader(ctx context.Context, dsn string) (*Reader, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &Reader{pool}, err
}

// Marks returns the marks of a kind, as Store.Marks does. A database that smspager has never used has none.
func (r *Reader) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	ms, err := marks(ctx, r.pool, selectMarks, kind)
	if is(err, "42P01") { // undefined_table
		return nil, nil
	}
	return ms, err
}

// Close disconnects.
func (r *Reader) Close() error {
	r.pool.Close()
	return nil
}

func marks(ctx context.Context, pool *pgxpool.Pool, query string, arg any) ([]outbox.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ms, err := collect(ctx, pool, table.Mark, query, arg)
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", inOneLine(err))
	}
	return ms, nil
}

// MarksAfter implements outbox.Store.
func (s *Store) MarksAfter(ctx context.Context, at time.Time) ([]outbox.Mark, error) {
	return marks(ctx, s.pool, selectMarksAfter, table.Millis(at))
}

// Segments implements outbox.Store.
func (s *Store) Segments(ctx context.Context, since time.Time) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.pool.QueryRow(ctx, selectSegments, outbox.FirstID(since)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count segments: %w", err)
	}
	return n, nil
}
