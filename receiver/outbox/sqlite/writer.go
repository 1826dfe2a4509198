package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/group"
)

// work writes within a transaction. It may run twice, see group.Options.
type work func(context.Context, *statements) error

// writer owns the one connection that writes.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts statements
	files files
	group *group.Writer[work]
}

func (w *writer) start(ctx context.Context) (err error) {
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	if err := w.stmts.prepare(ctx, w.conn); err != nil {
		return err
	}
	w.group = group.New(group.Options[work]{Transaction: w.transaction})
	return nil
}

func (w *writer) transaction(batch []work) (err error) {
	if err := w.files.check(); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrNotStored, err)
	}
	ctx := context.Background() // a batch belongs to no single caller
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w: %w", outbox.ErrNotStored, err)
	}
	defer func() {
		w.stmts.sightings.end(err == nil)
		if err != nil {
			w.stmts.known.Purge()
			// SQLite rolls back by itself after some errors; then this ROLLBACK fails, as it
			// should.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	for _, do := range batch {
		if err := do(ctx, &w.stmts); err != nil {
			return fmt.Errorf("%w: %w", outbox.ErrNotStored, err)
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *writer) close() error {
	if w.group != nil {
		w.group.Close()
	}
	w.stmts.close()
	if w.conn != nil {
		_ = w.conn.Close()
	}
	return w.db.Close()
}
