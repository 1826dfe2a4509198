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

// tries is how often a transaction is begun whose connection turned out to be dead, or that got in
// the way of another process's.
const tries = 6

// Codes of PostgreSQL's errors.
const (
	uniqueViolation = "23505" // a row that a unique index refuses
	deadlock        = "40P01" // the server ended a transaction, as it and another waited for each other
)

// Add implements outbox.Store.
func (s *Store) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	it := &item{entry: e}
	err := s.group.Do(ctx, it)
	if err == nil { // only then is the item left alone
		err = it.err
	}
	if err != nil {
		return outbox.Added{}, fmt.Errorf("store messages: %w", err)
	}
	return it.added, nil
}

// transaction stores entries in one transaction, of two round trips. A connection that turns out
// to be dead at the first, as all are after the server was restarted or has ended its sessions, is
// replaced by another: nothing was written then, and pages need not be sent past the outbox for it.
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

// try runs a transaction. again says that nothing was written, and that it may succeed if it is
// begun anew.
func (s *Store) try(ctx context.Context, items []*item) (again bool, err error) {
	conn, err := s.writes.Acquire(ctx)
	if err != nil {
		return lost(ctx, err), notStored(err)
	}
	defer release(ctx, conn)
	b := newBatch()
	if err := b.lock(ctx, conn.Conn(), items); err != nil {
		alone := len(items) == 1 && is(err, deadlock) // others are tried alone by the group
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
		return true, notStored(err) // another process has seen the same since
	case is(err, uniqueViolation): // a page's group or code has one, or a message or mark is there
		return false, notStored(outbox.ErrConflict)
	case ofAStatement(err):
		return len(items) == 1 && is(err, deadlock), notStored(err)
	case errors.As(err, &unprepared), pgconn.SafeToRetry(err):
		return lost(ctx, err), notStored(err)
	}
	return s.settle(ctx, b, err)
}

// settleGap is the time between two questions about a transaction.
const settleGap = 20 * time.Millisecond

// settle finds out what became of a transaction whose connection was lost during the second round trip: it is
// stored, or it is not and may be begun anew. If the server does not say so in time, or was started anew since,
// after which its transactions may have other numbers, the outcome stays unknown, which is err.
func (s *Store) settle(ctx context.Context, b *batch, err error) (again bool, _ error) {
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			select {
			case <-ctx.Done():
			case <-time.After(settleGap):
			}
		}
		var server time.Time
		var status *string // nil: it is too old
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

// release gives a connection back, without the transaction if it still has one.
func release(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = conn.Exec(ctx, "ROLLBACK") // if it fails, so does the connection
	}
	conn.Release()
}

// notStored is an error before or instead of a commit.
func notStored(err error) error { return fmt.Errorf("%w: %w", outbox.ErrNotStored, err) }

// ofOne reports whether a failure is one of the writes' own, and not the server's.
func ofOne(err error) bool { return errors.Is(err, outbox.ErrConflict) || ofAStatement(err) }

// ofAStatement reports whether the server refused a statement, as opposed to
// being away.
func ofAStatement(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && !strings.HasPrefix(refusal.Code, "57P") // the server stops
}

// is reports whether an error is one of PostgreSQL's with this code.
func is(err error, code string) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == code
}

// lost reports whether an error is that of a connection which was there and is not
// any more, so that another may do.
func lost(ctx context.Context, err error) bool {
	var unreachable *pgconn.ConnectError
	return ctx.Err() == nil && !ofOne(err) && !errors.As(err, &unreachable)
}
