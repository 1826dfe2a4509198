package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smspager/smspager/receiver/outbox"
)

const pageColumns = `id, receiver, group_key, code, state, version, headline, severity,
  opened_at, updated_at, due_at, acknowledged_at, acknowledged_by, alerts, doc`

// A page that is not the only current one of its group or code is not inserted.
const insertPage = `
INSERT INTO pages (` + pageColumns + `) VALUES ($1, $2, $3, $4, $5, $6::integer + 1, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT DO NOTHING`

const updatePage = `
UPDATE pages SET receiver = $2, group_key = $3, code = $4, state = $5, version = version + 1, headline = $7, severity = $8,
  opened_at = $9, updated_at = $10, due_at = $11, acknowledged_at = $12, acknowledged_by = $13, alerts = $14, doc = $15
WHERE id = $1 AND version = $6`

const insertPageEvent = `
INSERT INTO page_events (page_id, n, at, type, who, detail)
SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4, $5 FROM page_events WHERE page_id = $1`

const selectPageEvents = `SELECT at, type, who, detail FROM page_events WHERE page_id = $1 ORDER BY n`

const insertMark = `
INSERT INTO marks (kind, name, version, at, doc) VALUES ($1, $2, $3::integer + 1, $4, $5)
ON CONFLICT DO NOTHING`

const updateMark = `
UPDATE marks SET version = version + 1, at = $4, doc = $5 WHERE kind = $1 AND name = $2 AND version = $3`

const deleteMark = `DELETE FROM marks WHERE kind = $1 AND name = $2 AND version = $3`

const pruneMarks = `
DELETE FROM marks WHERE kind = $1 AND name IN (SELECT name FROM marks WHERE kind = $1 AND at < $2 LIMIT $3)`

const countPages = `SELECT state, COUNT(*) FROM pages WHERE state NOT IN ('resolved', 'expired') GROUP BY state`

const selectMarks = `SELECT kind, name, version, at, doc FROM marks WHERE kind = $1 ORDER BY name`

const selectMarksAfter = `SELECT kind, name, version, at, doc FROM marks WHERE at > $1 ORDER BY kind, name`

// The ids begin with the time, so that they are those of a day or so.
const selectSegments = `
SELECT COALESCE(SUM(segments), 0) FROM messages WHERE id >= $1 AND accepted_at > 0 AND recipient <> '999'`

const prunePages = `
DELETE FROM pages WHERE id IN (
  SELECT id FROM pages WHERE state IN ('resolved', 'expired') AND updated_at < $1
  ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING id`

const prunePageEvents = `DELETE FROM page_events WHERE page_id = ANY ($1)`

// writePage writes a page with its events, or fails with ErrConflict.
func writePage(ctx context.Context, tx pgx.Tx, p *outbox.Page) error {
	query := updatePage
	if p.Version == 0 {
		query = insertPage
	}
	err := guarded(tx.Exec(ctx, query, p.ID, storable(p.Receiver), storable(p.GroupKey), p.Code, string(p.State), p.Version, storable(p.Headline), storable(p.Severity),
		millis(p.OpenedAt), millis(p.UpdatedAt), millis(p.DueAt), millis(p.AcknowledgedAt), storable(p.AcknowledgedBy), storable(spaced(p.AlertKeys)), storable(string(p.Doc))))
	if err != nil {
		return err
	}
	var b pgx.Batch
	for _, e := range p.Events {
		b.Queue(insertPageEvent, p.ID, millis(e.At), string(e.Type), storable(e.Who), storable(e.Detail))
	}
	return tx.SendBatch(ctx, &b).Close()
}

func writeMark(ctx context.Context, tx pgx.Tx, m outbox.Mark) error {
	if m.Doc == nil {
		return guarded(tx.Exec(ctx, deleteMark, m.Kind, storable(m.Name), m.Version))
	}
	query := updateMark
	if m.Version == 0 {
		query = insertMark
	}
	return guarded(tx.Exec(ctx, query, m.Kind, storable(m.Name), m.Version, millis(m.At), storable(string(m.Doc))))
}

// spaced joins the keys of alerts, each between spaces; "" without any.
func spaced(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return " " + outbox.Words(keys) + " "
}

// uniqueViolation is PostgreSQL's code for a row that a unique index refuses.
const uniqueViolation = "23505"

// guarded is ErrConflict where a statement changed nothing.
func guarded(tag pgconn.CommandTag, err error) error {
	var failed *pgconn.PgError
	switch {
	case err == nil && tag.RowsAffected() == 0:
		return outbox.ErrConflict
	case errors.As(err, &failed) && failed.Code == uniqueViolation: // a page has become one of a group that has one
		return outbox.ErrConflict
	}
	return err
}

// pages runs a query for pages, without their events.
func (s *Store) pages(ctx context.Context, query string, args ...any) ([]outbox.Page, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p outbox.Page, err error) {
		var state, alerts, doc string
		var opened, updated, due, acknowledged int64
		err = row.Scan(&p.ID, &p.Receiver, &p.GroupKey, &p.Code, &state, &p.Version, &p.Headline, &p.Severity,
			&opened, &updated, &due, &acknowledged, &p.AcknowledgedBy, &alerts, &doc)
		p.State, p.AlertKeys, p.Doc = outbox.PageState(state), strings.Fields(alerts), json.RawMessage(doc)
		p.OpenedAt, p.UpdatedAt, p.DueAt, p.AcknowledgedAt = timeOf(opened), timeOf(updated), timeOf(due), timeOf(acknowledged)
		return p, err
	})
}

// Page implements outbox.Store.
func (s *Store) Page(ctx context.Context, id string) (outbox.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ps, err := s.pages(ctx, `SELECT `+pageColumns+` FROM pages WHERE id = $1`, storable(id))
	if err == nil && len(ps) == 0 {
		return outbox.Page{}, outbox.ErrNotFound
	}
	if err == nil {
		ps[0].Events, err = s.pageEvents(ctx, id)
	}
	if err != nil {
		return outbox.Page{}, fmt.Errorf("read page %s: %w", id, err)
	}
	return ps[0], nil
}

func (s *Store) pageEvents(ctx context.Context, id string) ([]outbox.PageEvent, error) {
	rows, err := s.pool.Query(ctx, selectPageEvents, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e outbox.PageEvent, err error) {
		var at int64
		var kind string
		err = row.Scan(&at, &kind, &e.Who, &e.Detail)
		e.At, e.Type = timeOf(at), outbox.PageEventType(kind)
		return e, err
	})
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
		add("due_at > 0 AND due_at <= ?", millis(q.DueBy))
		order = "due_at"
	}
	query = `SELECT ` + pageColumns + ` FROM pages`
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

// Reader reads marks of a database, and changes nothing in it.
type Reader struct{ pool *pgxpool.Pool }

// OpenReader connects to a database for reading, see Open.
func OpenReader(ctx context.Context, dsn string) (*Reader, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &Reader{pool}, err
}

// Marks returns the marks of a kind, as Store.Marks does.
func (r *Reader) Marks(ctx context.Context, kind string) ([]outbox.Mark, error) {
	return marks(ctx, r.pool, selectMarks, kind)
}

// Close disconnects.
func (r *Reader) Close() error {
	r.pool.Close()
	return nil
}

func marks(ctx context.Context, pool *pgxpool.Pool, query string, arg any) ([]outbox.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := pool.Query(ctx, query, arg)
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	ms, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (outbox.Mark, error) {
		var m outbox.Mark
		var at int64
		var doc string
		err := row.Scan(&m.Kind, &m.Name, &m.Version, &at, &doc)
		m.At, m.Doc = timeOf(at), json.RawMessage(doc)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	return ms, nil
}

// MarksAfter implements outbox.Store.
func (s *Store) MarksAfter(ctx context.Context, at time.Time) ([]outbox.Mark, error) {
	return marks(ctx, s.pool, selectMarksAfter, millis(at))
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
