// Package postgres keeps the outbox in a PostgreSQL database (15 or later), which
// several smspagers can use at the same time: each takes webhooks and callbacks,
// and one of them, the leader, sends (see Store.Lead).
//
// One goroutine of each process writes, and commits what arrived while it was
// busy as one transaction (see group); readers use connections of a pool.
//
// The package is public so that a program can open a store and wrap it for
// receiver.Options.Store, and because the benchmarks use it.
//
// Stability: with [outbox.Store], names may change in any release until v1.
package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/group"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// readers is how many connections read at the same time; one more writes.
	readers = 4
	// patience is how long the database may take over one thing. A webhook that
	// waits for it must still have time to be sent past it.
	patience = 4 * time.Second
)

// Store is an outbox.Shared in a database.
type Store struct {
	config *pgxpool.Config
	pool   *pgxpool.Pool
	leases *pgxpool.Pool // of one connection, so that no read or write delays a heartbeat
	holder string        // this Store, in the lease
	group  *group.Writer[pgx.Tx]
}

var _ outbox.Shared = (*Store)(nil)

// Open connects to the database at a URL such as
// postgres://smspager:secret@db.example/smspager, or a string of keywords and
// values, and makes its tables where there are none. Errors hold no password.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{config: config, holder: rand.Text()}
	if err := s.checkSessions(ctx); err != nil {
		return nil, fmt.Errorf("open the outbox in PostgreSQL: %w", err)
	}
	if err := s.migrate(ctx); err != nil {
		return nil, fmt.Errorf("open the outbox in PostgreSQL: %w", err)
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("open the outbox in PostgreSQL: %w", err)
	}
	alone := config.Copy()
	alone.MaxConns, alone.MinConns = 1, 0
	if s.leases, err = pgxpool.NewWithConfig(ctx, alone); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("open the outbox in PostgreSQL: %w", err)
	}
	s.group = group.New(group.Options[pgx.Tx]{Transaction: s.transaction, Alone: ofOne})
	return s, nil
}

// parse reads a database's URL.
func parse(dsn string) (*pgxpool.Config, error) {
	if err := CheckURL(dsn); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	params := config.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "smspager"
	}
	config.ConnConfig.ConnectTimeout = patience
	config.MaxConns = readers + 1
	return config, nil
}

// CheckURL returns an error for what is not a database's URL. It holds nothing
// of it, as there may be a password in it.
func CheckURL(dsn string) error {
	config, err := pgxpool.ParseConfig(dsn)
	switch {
	case err != nil:
		return errors.New("not a PostgreSQL URL; write it as postgres://user:password@host:5432/database, and in user and password @ as %40, : as %3A and / as %2F")
	case strings.Contains(config.ConnConfig.Host, "@"):
		return errors.New("the user or the password of the PostgreSQL URL has an @; write it as %40")
	}
	return nil
}

// migrate brings the tables up to date. Of several processes that start at the
// same time one does, under an advisory lock.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*s.config.ConnConfig)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return err
	}
	if err := supported(ctx, db); err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func supported(ctx context.Context, db *sql.DB) error {
	const oldest = 15_00_00
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < oldest {
		return fmt.Errorf("the server is PostgreSQL %d; smspager needs 15 or later", version/10000)
	}
	return nil
}

// ofOne reports whether a failure is one of the writes' own, and not the server's.
func ofOne(err error) bool { return errors.Is(err, outbox.ErrConflict) || ofAStatement(err) }

// ofAStatement reports whether the server refused a statement, as opposed to
// being away.
func ofAStatement(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && !strings.HasPrefix(refusal.Code, "57P") // the server stops
}

// transaction runs a batch in one. A connection that turns out to be dead before
// the commit is sent, as all are after the server was restarted or has ended its
// sessions, is replaced by another: nothing was written then, and pages need not be
// sent past the outbox for it.
func (s *Store) transaction(batch []group.Work[pgx.Tx]) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // a batch belongs to no single caller
	defer cancel()
	var err error
	for range s.config.MaxConns + 1 {
		var again bool
		if again, err = s.try(ctx, batch); !again {
			break
		}
	}
	return err
}

// try runs a batch on one connection. again says that its connection was dead, and
// that nothing was written.
func (s *Store) try(ctx context.Context, batch []group.Work[pgx.Tx]) (again bool, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return lost(ctx, err), notStored(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit it does nothing
	for _, work := range batch {
		if err := work(ctx, tx); err != nil {
			alone := len(batch) == 1 && isDeadlock(err) // others are tried alone by the group
			return alone || lost(ctx, err), notStored(err)
		}
	}
	if err = tx.Commit(ctx); err != nil && (ofAStatement(err) || pgconn.SafeToRetry(err)) {
		err = notStored(err)
	}
	return false, err
}

// notStored is an error before or instead of a commit.
func notStored(err error) error { return fmt.Errorf("%w: %w", outbox.ErrNotStored, err) }

// deadlock is the code of a transaction that the server ended, as it and another
// process's waited for each other.
const deadlock = "40P01"

// isDeadlock reports whether an error is that of such a transaction.
func isDeadlock(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == deadlock
}

// lost reports whether an error is that of a connection which was there and is not
// any more, so that another may do.
func lost(ctx context.Context, err error) bool {
	var unreachable *pgconn.ConnectError
	return ctx.Err() == nil && !ofOne(err) && !errors.As(err, &unreachable)
}

// Close waits for the writes under way, then disconnects.
func (s *Store) Close() error {
	s.group.Close()
	s.pool.Close()
	s.leases.Close()
	return nil
}

// storable is a text without what PostgreSQL cannot hold: NUL, and bytes that
// are not UTF-8.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && isValid(s) {
		return s
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

func isValid(s string) bool { return strings.ToValidUTF8(s, "") == s }

// millis is a time as the tables hold it.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeOf reads a time from a table.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
