package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// insertPage does not insert a page that is not the only current one of its group or code.
const insertPage = `
INSERT INTO pages (` + table.PageColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
ON CONFLICT DO NOTHING`

// updatePage does not update a page that would become a second current one of its group.
const updatePage = `
UPDATE OR IGNORE pages SET receiver = ?2, group_key = ?3, code = ?4, state = ?5, version = version + 1, headline = ?7, severity = ?8,
  opened_at = ?9, updated_at = ?10, due_at = ?11, acknowledged_at = ?12, acknowledged_by = ?13, alerts = ?14, doc = ?15
WHERE id = ?1 AND version = ?6`

const insertPageEvent = `
INSERT INTO page_events (page_id, n, at, type, who, detail)
SELECT ?1, COALESCE(MAX(n), 0) + 1, ?2, ?3, ?4, ?5 FROM page_events WHERE page_id = ?1`

const selectPageEvents = `SELECT at, type, who, detail FROM page_events WHERE page_id = ? ORDER BY n`

const insertMark = `
INSERT INTO marks (` + table.MarkColumns + `) VALUES (?1, ?2, 1, ?4, ?5)
ON CONFLICT DO NOTHING`

const updateMark = `
UPDATE marks SET version = version + 1, at = ?4, doc = ?5 WHERE kind = ?1 AND name = ?2 AND version = ?3`

const deleteMark = `DELETE FROM marks WHERE kind = ?1 AND name = ?2 AND version = ?3`

const pruneMarks = `
DELETE FROM marks WHERE kind = ?1 AND name IN (SELECT name FROM marks WHERE kind = ?1 AND at < ?2 LIMIT ?3)`

const countPages = `SELECT state, COUNT(*) FROM pages WHERE state NOT IN ('resolved', 'expired') GROUP BY state`

const selectMarks = `SELECT ` + table.MarkColumns + ` FROM marks WHERE kind = ? ORDER BY name`

const selectMarksAfter = `SELECT ` + table.MarkColumns + ` FROM marks WHERE at > ? ORDER BY kind, name`

var selectSegments = `SELECT (` + segmentsOf("pending") + `) + (` + segmentsOf("messages") + `)`

// segmentsOf returns the query that sums the segments in a table. IDs begin with the time, so the
// query reads only the messages since then, about a day's.
func segmentsOf(name string) string {
	return `SELECT COALESCE(SUM(segments), 0) FROM ` + name + ` WHERE id >= ?1 AND accepted_at > 0 AND recipient <> '999'`
}

const prunePages = `
DELETE FROM pages WHERE id IN (
  SELECT id FROM pages INDEXED BY pages_finished WHERE state IN ('resolved', 'expired') AND updated_at < ?1
  ORDER BY updated_at LIMIT ?2)
RETURNING id`

const prunePageEvents = `DELETE FROM page_events WHERE page_id = ?1`

// writePage writes a page with its events, or fails with ErrConflict.
func (st *statements) writePage(ctx context.Context, p *outbox.Page) error {
	stmt := st.updatePage
	if p.Version == 0 {
		stmt = st.insertPage
	}
	err := guarded(stmt.ExecContext(ctx, p.ID, p.Receiver, p.GroupKey, p.Code, string(p.State), p.Version, p.Headline, p.Severity,
		table.Millis(p.OpenedAt), table.Millis(p.UpdatedAt), table.Millis(p.DueAt), table.Millis(p.AcknowledgedAt), p.AcknowledgedBy, table.Spaced(p.AlertKeys), string(p.Doc)))
	if err != nil {
		return err
	}
	for _, e := range p.Events {
		if _, err := st.insertPageEvent.ExecContext(ctx, p.ID, table.Millis(e.At), string(e.Type), e.Who, e.Detail); err != nil {
			return err
		}
	}
	return nil
}

func (st *statements) writeMark(ctx context.Context, m outbox.Mark) error {
	if m.Doc == nil {
		return guarded(st.deleteMark.ExecContext(ctx, m.Kind, m.Name, m.Version))
	}
	stmt := st.updateMark
	if m.Version == 0 {
		stmt = st.insertMark
	}
	return guarded(stmt.ExecContext(ctx, m.Kind, m.Name, m.Version, table.Millis(m.At), string(m.Doc)))
}

// guarded returns ErrConflict if a statement changed nothing.
func guarded(r sql.Result, err error) error {
	if n, err := rows(r, err); err != nil || n > 0 {
		return err
	}
	return outbox.ErrConflict
}

// rows returns how many rows a statement changed.
func rows(r sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// pages runs a query for pages, without their events.
func (s *Store) pages(ctx context.Context, query string, args ...any) (_ []outbox.Page, err error) {
	defer s.note(&err)
	return collect(ctx, s.readDB, table.Page, query, args...)
}

// Page implements outbox.Store.
func (s *Store) Page(ctx context.Context, id string) (outbox.Page, error) {
	ps, err := s.pages(ctx, `SELECT `+table.PageColumns+` FROM pages WHERE id = ?`, id)
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

func (s *Store) pageEvents(ctx context.Context, id string) (_ []outbox.PageEvent, err error) {
	defer s.note(&err)
	return collect(ctx, s.readDB, table.PageEvent, selectPageEvents, id)
}

// Pages implements outbox.Store.
func (s *Store) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	query, args := pagesQuery(q)
	ps, err := s.pages(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	return ps, nil
}

func pagesQuery(q outbox.PageQuery) (query string, args []any) {
	var where []string
	if q.Current {
		where = append(where, "state NOT IN ('resolved', 'expired')")
	}
	for _, f := range []struct{ condition, value string }{
		{"state = ?", string(q.State)},
		{"receiver = ?", q.Receiver},
		{"group_key = ?", q.GroupKey},
		{"code = ?", q.Code},
		{"id < ?", q.Before},
	} {
		if f.value != "" {
			where = append(where, f.condition)
			args = append(args, f.value)
		}
	}
	if len(q.Alerts) > 0 {
		var any []string
		for _, key := range q.Alerts {
			any = append(any, "instr(alerts, ?)")
			args = append(args, " "+key+" ")
		}
		where = append(where, "("+strings.Join(any, " OR ")+")")
	}
	order := "id DESC"
	if !q.DueBy.IsZero() {
		where = append(where, "due_at > 0 AND due_at <= ?")
		args = append(args, table.Millis(q.DueBy))
		order = "due_at"
	}
	query = `SELECT ` + table.PageColumns + ` FROM pages`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	return query + ` ORDER BY ` + order + ` LIMIT ?`, append(args, q.Limit)
}

// CountPages implements outbox.Store.
func (s *Store) CountPages(ctx context.Context) (_ map[outbox.PageState]int, err error) {
	defer s.note(&err)
	rows, err := s.readDB.QueryContext(ctx, countPages)
	if err != nil {
		return nil, fmt.Errorf("count pages: %w", err)
	}
	defer rows.Close()
	counts := make(map[outbox.PageState]int)
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count pages: %w", err)
		}
		counts[outbox.PageState(state)] = n
	}
	return counts, rows.Err()
}

// Marks implements outbox.Store.
func (s *Store) Marks(ctx context.Context, kind string) (_ []outbox.Mark, err error) {
	defer s.note(&err)
	return marks(ctx, s.readDB, selectMarks, kind)
}

// MarksAfter implements outbox.Store.
func (s *Store) MarksAfter(ctx context.Context, at time.Time) (_ []outbox.Mark, err error) {
	defer s.note(&err)
	return marks(ctx, s.readDB, selectMarksAfter, table.Millis(at))
}

func marks(ctx context.Context, db *sql.DB, query string, arg any) ([]outbox.Mark, error) {
	ms, err := collect(ctx, db, table.Mark, query, arg)
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	return ms, nil
}

// Segments implements outbox.Store.
func (s *Store) Segments(ctx context.Context, since time.Time) (n int, err error) {
	defer s.note(&err)
	if err := s.readDB.QueryRowContext(ctx, selectSegments, outbox.FirstID(since)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count segments: %w", err)
	}
	return n, nil
}
