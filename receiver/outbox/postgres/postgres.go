// Package postgres keeps the outbox in a PostgreSQL database (15 or later), which
// several smspagers can use at the same time: each accepts webhooks and callbacks,
// and one of them, the leader, sends (see Store.Lead).
//
// One goroutine of each process writes, on a connection of its own, and commits all entries
// that arrived while it was busy as one transaction (see group). Whatever the number of entries,
// a transaction takes two round trips: the first locks and reads the rows that the entries refer
// to (lock.go), Go decides on each entry (batch.go), and the second writes all changes and
// commits (write.go). Readers use connections of a pool.
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
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/group"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// readers is how many connections read at the same time.
	readers = 4
	// patience is how long the database may take for one operation. A webhook that
	// has waited for it must still have time to fail open.
	patience = 4 * time.Second
)

// Store is an outbox.Shared in a database.
type Store struct {
	config *pgxpool.Config
	pool   *pgxpool.Pool         // for reads
	writes *pgxpool.Pool         // one connection
	leases *pgxpool.Pool         // one connection, so that no read or write delays a heartbeat
	holder string                // names this Store in the lease
	lease  atomic.Pointer[lease] // the last lease; nil: none
	group  *group.Writer[*item]
}

var _ outbox.Shared = (*Store)(nil)

// Open connects to the database at a URL such as
// postgres://smspager:secret@db.example/smspager, or a string of keywords and
// values, and creates the tables if they do not exist. Its errors contain no password.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{config: config, holder: rand.Text()}
	for _, step := range []func(context.Context) error{s.checkSessions, s.migrate, s.connect} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("open the outbox in PostgreSQL: %w", inOneLine(err))
		}
	}
	s.group = group.New(group.Options[*item]{Transaction: s.transaction, Alone: ofOne})
	return s, nil
}

// connect makes the pools.
func (s *Store) connect(ctx context.Context) (err error) {
	alone := s.config.Copy()
	alone.MaxConns, alone.MinConns = 1, 0
	// A session that was ended costs no leader its lease: its heartbeat gets a new connection.
	alone.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	writes := alone.Copy()
	writes.MinConns = 1 // so that no webhook waits for a new connection
	// Each statement is planned once, and must be planned well even while its table is empty.
	writes.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
		return err
	}
	// A transaction's first round trip shows whether the connection is alive: a ping is not needed.
	writes.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	for _, p := range []struct {
		pool   **pgxpool.Pool
		config *pgxpool.Config
	}{{&s.pool, s.config}, {&s.writes, writes}, {&s.leases, alone}} {
		if *p.pool, err = pgxpool.NewWithConfig(ctx, p.config); err != nil {
			s.disconnect()
			return err
		}
	}
	if err := s.writes.Ping(ctx); err != nil {
		s.disconnect()
		return err
	}
	return nil
}

func (s *Store) disconnect() {
	for _, pool := range []*pgxpool.Pool{s.pool, s.writes, s.leases} {
		if pool != nil {
			pool.Close()
		}
	}
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
	config.MaxConns = readers
	return config, nil
}

// CheckURL returns an error if dsn is not a database's URL. The error contains no
// part of it, because it may contain a password.
func CheckURL(dsn string) error {
	config, err := pgxpool.ParseConfig(dsn)
	switch {
	case err != nil && sound(dsn): // the driver's error may repeat the password
		return errors.New("the PostgreSQL URL has a host, a port or a parameter that is not valid; write it as postgres://user:password@host:5432/database?sslmode=verify-full, or with another of PostgreSQL's sslmodes")
	case err != nil:
		return errors.New("not a PostgreSQL URL; write it as postgres://user:password@host:5432/database, and in user and password @ as %40, : as %3A and / as %2F")
	case strings.Contains(config.ConnConfig.Host, "@"):
		return errors.New("the user or the password of the PostgreSQL URL has an @; write it as %40")
	}
	return nil
}

// sound reports whether a URL has the form of one for PostgreSQL.
func sound(dsn string) bool {
	u, err := url.Parse(dsn)
	return err == nil && u.Host != "" && (u.Scheme == "postgres" || u.Scheme == "postgresql")
}

// oneLine is an error of the driver, which writes a line for each address that it tried.
type oneLine struct{ error }

func inOneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return oneLine{err}
}

func (e oneLine) Unwrap() error { return e.error }

func (e oneLine) Error() string {
	head, tail, _ := strings.Cut(e.error.Error(), "\n")
	var tried []string
	for line := range strings.Lines(tail) {
		if line = strings.TrimSpace(line); !slices.Contains(tried, line) {
			tried = append(tried, line)
		}
	}
	return head + " " + strings.Join(tried, "; ")
}

// migrate brings the tables up to date. An advisory lock makes processes that start
// at the same time do it one after another.
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
	if err = table.Migrate(ctx, p, err); errors.Is(err, table.ErrNewer) { // newer replicas may send what this one would
		err = fmt.Errorf("%w: %w", outbox.ErrUnusable, err)
	}
	return err
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

// Close waits for running writes, then disconnects.
func (s *Store) Close() error {
	s.group.Close()
	s.disconnect()
	return nil
}

// storable replaces what PostgreSQL cannot store in a text: NUL, and bytes that
// are not UTF-8.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}
