package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// statements holds the writer's statements, prepared once.
type statements struct {
	insertSighting, insertPending, insertEnded, updatePending, updateEnded, copyPending, deletePending driverStmt
	selectMessage, markSuperseded,
	insertPage, updatePage, insertPageEvent, insertMark, updateMark, deleteMark, pruneMarks,
	pruneMessages, prunePages, prunePageEvents, pruneSightings *sql.Stmt

	known     *simplelru.LRU[string, outbox.Message] // open messages, as the transaction sees them
	sightings sightings
}

// query pairs a statement with its text.
type query[S any] struct {
	stmt S
	text string
}

func (s *statements) ofMessages() []query[*driverStmt] {
	return []query[*driverStmt]{
		{&s.insertSighting, insertSighting},
		{&s.insertPending, insertPending},
		{&s.insertEnded, insertEnded},
		{&s.updatePending, updatePending},
		{&s.updateEnded, updateEnded},
		{&s.copyPending, copyPending},
		{&s.deletePending, deletePending},
	}
}

func (s *statements) others() []query[**sql.Stmt] {
	return []query[**sql.Stmt]{
		{&s.selectMessage, selectMessage},
		{&s.markSuperseded, markSuperseded},
		{&s.insertPage, insertPage},
		{&s.updatePage, updatePage},
		{&s.insertPageEvent, insertPageEvent},
		{&s.insertMark, insertMark},
		{&s.updateMark, updateMark},
		{&s.deleteMark, deleteMark},
		{&s.pruneMarks, pruneMarks},
		{&s.pruneMessages, pruneMessages},
		{&s.prunePages, prunePages},
		{&s.prunePageEvents, prunePageEvents},
		{&s.pruneSightings, pruneSightings},
	}
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) (err error) {
	if s.known, err = simplelru.NewLRU[string, outbox.Message](knownRows, nil); err != nil {
		return err
	}
	for _, q := range s.others() {
		if *q.stmt, err = conn.PrepareContext(ctx, q.text); err != nil {
			return fmt.Errorf("prepare a statement: %w", err)
		}
	}
	for _, q := range s.ofMessages() {
		if err := q.stmt.prepare(ctx, conn, q.text); err != nil {
			return fmt.Errorf("prepare a statement: %w", err)
		}
	}
	return s.sightings.read(ctx, conn)
}

// close lets SQLite close the connection; closing the last one folds the journal into the file.
func (s *statements) close() {
	for _, q := range s.others() {
		if *q.stmt != nil {
			_ = (*q.stmt).Close()
		}
	}
	for _, q := range s.ofMessages() {
		q.stmt.close()
	}
}

// Add implements outbox.Store.
func (s *Store) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	ids := e.IDs()
	var added outbox.Added // read only if Do waited for the work
	err := s.writer.group.Do(ctx, func(ctx context.Context, st *statements) error {
		added = outbox.Added{IDs: ids}
		if e.Key != (outbox.Key{}) {
			if original, err := st.sight(ctx, &e); err != nil {
				return err
			} else if original != nil {
				added = original.Duplicate(&e)
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

// add writes the contents of an entry.
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
	for _, m := range e.Messages {
		if err := st.insert(ctx, m); err != nil {
			return err
		}
		if err := st.supersedeOlder(ctx, &m); err != nil {
			return err
		}
	}
	return st.apply(ctx, e.Notes)
}

// Prune implements outbox.Store.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	var most int
	err := s.writer.group.Do(ctx, func(ctx context.Context, st *statements) error {
		if _, err := st.pruneSightings.ExecContext(ctx, maxSightings); err != nil {
			return err
		}
		messages, err := rows(st.pruneMessages.ExecContext(ctx, outbox.FirstID(before), table.Millis(before), limit))
		if err != nil {
			return err
		}
		replies, err := rows(st.pruneMarks.ExecContext(ctx, outbox.MarkReply, table.Millis(before), limit))
		if err != nil {
			return err
		}
		pages, err := texts(st.prunePages.QueryContext(ctx, table.Millis(before), limit))
		if err != nil {
			return err
		}
		for _, id := range pages {
			if _, err := st.prunePageEvents.ExecContext(ctx, id); err != nil {
				return err
			}
		}
		most = max(messages, replies, len(pages))
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("prune messages: %w", err)
	}
	return most, nil
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
