package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// maxBatch bounds the writes that share a transaction, and so the time that
// the first of them waits for the last.
const maxBatch = 512

// errClosed is what a write gets after Close.
var errClosed = errors.New("the outbox is closed")

// writer owns the one connection that writes. A sync takes far longer than the
// writes before it, so everything that arrives during one is committed together
// by the next: under load many webhooks share a sync, alone one waits for no other.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts statements

	writes chan write
	done   chan struct{} // closed when the goroutine has ended

	mu     sync.RWMutex // held for reading while a write is handed over
	closed bool
}

// write is a function to be run within a transaction. It may be run twice:
// once with others, and again alone when one of those failed.
type write struct {
	do   func(context.Context, *statements) error
	done chan error
}

func (w *writer) start(ctx context.Context) (err error) {
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	if err := w.stmts.prepare(ctx, w.conn); err != nil {
		return err
	}
	w.writes = make(chan write, maxBatch)
	w.done = make(chan struct{})
	go w.run()
	return nil
}

// Do runs a function in a transaction and returns once that is on disk. After
// the hand-over a cancelled context no longer matters: the outcome is waited for.
func (w *writer) Do(ctx context.Context, do func(context.Context, *statements) error) error {
	wr := write{do: do, done: make(chan error, 1)}
	if err := w.handOver(ctx, wr); err != nil {
		return err
	}
	return <-wr.done
}

func (w *writer) handOver(ctx context.Context, wr write) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.writes <- wr:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run() {
	defer close(w.done)
	batch := make([]write, 0, maxBatch)
	for first := range w.writes {
		batch = append(batch[:0], first)
	fill:
		for len(batch) < maxBatch {
			select {
			case next, ok := <-w.writes:
				if !ok {
					break fill
				}
				batch = append(batch, next)
			default:
				break fill
			}
		}
		w.commit(batch)
	}
}

// commit commits a batch. Where one write fails, each is tried alone, so that
// it fails alone too.
func (w *writer) commit(batch []write) {
	err := w.transaction(batch)
	for _, wr := range batch {
		if err != nil && len(batch) > 1 {
			wr.done <- w.transaction([]write{wr})
		} else {
			wr.done <- err
		}
	}
}

func (w *writer) transaction(batch []write) (err error) {
	ctx := context.Background() // a batch belongs to no single caller
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			// After some errors SQLite has rolled back by itself; then this one fails, rightly.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	for _, wr := range batch {
		if err := wr.do(ctx, &w.stmts); err != nil {
			return err
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *writer) close() error {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if already {
		return nil
	}
	if w.writes != nil {
		close(w.writes)
		<-w.done
	}
	w.stmts.close()
	if w.conn != nil {
		_ = w.conn.Close()
	}
	return w.db.Close()
}
