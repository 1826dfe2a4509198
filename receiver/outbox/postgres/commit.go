package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smspager/smspager/receiver/outbox"
)

// tries is how often a transaction is begun at most. It is begun again if its connection turns out to be
// dead, or if another process's transaction interferes.
const tries = 6

// Codes of PostgreSQL's errors.
const (
	uniqueViolation = "23505" // a unique index refused a row
	dataCorrupted   = "XX001"
	indexCorrupted  = "XX002"
	deadlock        = "40P01" // the server ended the transaction because it and another waited for each other
)

// Add implements outbox.Store.
func (s *Store) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	it := &item{entry: e}
	err := s.group.Do(ctx, it)
	if err == nil { // otherwise the group may still use the item
		err = it.err
	}
	if err != nil {
		return outbox.Added{}, fmt.Errorf("store messages: %w", err)
	}
	return it.added, nil
}

// transaction stores entries in one transaction, of two round trips. If the connection turns out to be
// dead at the first one, as all are after the server restarts or ends its sessions, nothing was written:
// the transaction is begun again on another connection, so that no entry has to fail open.
func (s *Store) transaction(items []*item) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // a batch belongs to no single caller
	defer cancel()
	var err error
	for range tries {
		var again bool
		if again, err = s.try(ctx, items); !again {
			break
		}
		if lost(ctx, err) {
			s.pool.Reset() // the readers' connections are dead as well
		}
	}
	return err
}

// try runs a transaction. again: nothing was written, and the transaction may succeed if it is begun
// again.
func (s *Store) try(ctx context.Context, items []*item) (again bool, err error) {
	conn, err := s.writes.Acquire(ctx)
	if err != nil {
		return lost(ctx, err), notStored(err)
	}
	defer release(ctx, conn)
	b := newBatch()
	if err := b.lock(ctx, conn.Conn(), items); err != nil {
		alone := len(items) == 1 && is(err, deadlock) // the group tries the items of larger transactions alone
		return alone || lost(ctx, err), notStored(err)
	}
	for _, it := range items {
		if it.added, it.err = b.decide(&it.entry); it.err != nil {
			it.err = notStored(it.err)
		}
	}
	err = b.commit(ctx, conn.Conn())
	var refusal *pgconn.PgError
	var unprepared pgx.ErrPreprocessingBatch
	switch {
	case err == nil:
		return false, nil
	case is(err, uniqueViolation) && errors.As(err, &refusal) && refusal.TableName == "notifications":
		return true, notStored(err) // another process has just stored the same notification
	case is(err, uniqueViolation): // the group or code of a page is taken, or a message or mark exists
		return false, notStored(outbox.ErrConflict)
	case ofAStatement(err):
		return len(items) == 1 && is(err, deadlock), notStored(err)
	case errors.As(err, &unprepared), pgconn.SafeToRetry(err):
		return lost(ctx, err), notStored(err)
	}
	return s.settle(ctx, b, err)
}

// settleGap is the time between two questions about a transaction's outcome.
const settleGap = 20 * time.Millisecond

// settle finds out whether a transaction was committed that lost its connection during the second round trip.
// If it was aborted, it may be begun again. The outcome stays unknown, and settle returns err, if the server
// does not report it in time, or was restarted meanwhile, after which transaction IDs may differ.
func (s *Store) settle(ctx context.Context, b *batch, err error) (again bool, _ error) {
	for ; ctx.Err() == nil; pause(ctx, settleGap) {
		var server time.Time
		var status *string // nil: the transaction is too old
		failed := s.pool.QueryRow(ctx, `SELECT pg_postmaster_start_time(), pg_xact_status($1::text::xid8)`, b.xid).Scan(&server, &status)
		switch {
		case failed != nil:
		case !server.Equal(b.server) || status == nil:
			return false, err
		case *status == "committed":
			return false, nil
		case *status == "aborted":
			return true, notStored(err)
		}
	}
	return false, err
}

// release returns a connection to its pool, after a rollback if a transaction is still open.
func release(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = conn.Exec(ctx, "ROLLBACK") // if this fails, the connection is dead
	}
	conn.Release()
}

// notStored wraps an error that came before or instead of a commit.
func notStored(err error) error { return fmt.Errorf("%w: %w", outbox.ErrNotStored, inOneLine(err)) }

// ofOne reports whether a failure was caused by the entries, and not by the server's absence.
func ofOne(err error) bool { return errors.Is(err, outbox.ErrConflict) || ofAStatement(err) }

// ofAStatement reports whether the server refused a statement, as opposed to being
// unavailable.
func ofAStatement(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && !strings.HasPrefix(refusal.Code, "57P") // the server is shutting down
}

// is reports whether an error is PostgreSQL's, with this code.
func is(err error, code string) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == code
}

// lost reports whether an error means that an established connection was lost: on
// another connection, the transaction may succeed.
func lost(ctx context.Context, err error) bool {
	var unreachable *pgconn.ConnectError
	return ctx.Err() == nil && !ofOne(err) && !errors.As(err, &unreachable)
}
