package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/outbox"
)

// poolerRounds is how often two connections are compared. A pooler that rotates through its
// idle sessions is detected in the second round.
const poolerRounds = 4

// checkSessions returns an error if a pooler gives the transactions of one connection
// different sessions, as PgBouncer does with pool_mode = transaction. Prepared statements and
// the hints of other replicas (LISTEN) would be lost or, worse, reach another connection.
func (s *Store) checkSessions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer a.Close(context.WithoutCancel(ctx))
	first, err := session(ctx, a)
	if err != nil || first == a.PgConn().PID() {
		return err // without a pooler, the connection's PID is that of its session
	}
	b, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close(context.WithoutCancel(ctx))
	pooled := fmt.Errorf("%w: a pooler between smspager and PostgreSQL shares sessions between transactions; connect to PostgreSQL directly, or set pool_mode = session in PgBouncer", outbox.ErrUnusable)
	for range poolerRounds {
		other, err := inTransaction(ctx, b)
		if err == nil && other == first {
			return pooled
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w (pool_mode = statement?): %w", pooled, err)
		}
		again, err := session(ctx, a)
		switch {
		case err != nil:
			return err
		case again != first:
			return pooled
		}
		if _, err := b.Exec(ctx, "COMMIT", pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

// session returns the PID of the session that a connection currently has.
func session(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}

// inTransaction begins a transaction, and returns the PID of its session.
func inTransaction(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	if _, err := conn.Exec(ctx, "BEGIN", pgx.QueryExecModeSimpleProtocol); err != nil {
		return 0, err
	}
	return session(ctx, conn)
}

func (s *Store) dial(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, s.config.ConnConfig.Copy())
}
