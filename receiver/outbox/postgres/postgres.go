// Package postgres keeps the outbox in a PostgreSQL database (15 or later), which
// several smspagers can use at the same time: each takes webhooks and callbacks,
// and one of them, the leader, sends (see Store.Lead).
//
// One goroutine of each process writes, on a connection of its own, and commits what
// arrived while it was busy as one transaction (see group). Whatever the number of entries,
// a transaction takes two round trips: the first locks and reads the rows that the entries are
// about (lock.go), Go decides what becomes of each (batch.go), and the second writes it all and
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
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// readers is how many connections read at the same time.
	readers = 4
	// patience is how long the database may take over one thing. A webhook that
	// waits for it must still have time to be sent past it.
	patience = 4 * time.Second
)

// Store is an outbox.Shared in a database.
type Store struct {
	config *pgxpool.Config
	pool   *pgxpool.Pool         // of those that read
	writes *pgxpool.Pool         // of one connection
	leases *pgxpool.Pool         // of one connection, so that no read or write delays a heartbeat
	holder string                // this Store, in the lease
	lease  atomic.Pointer[lease] // the last one; nil: none
	group  *group.Writer[*item]
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
	if err := s.connect(ctx); err != nil {
		return nil, fmt.Errorf("open the outbox in PostgreSQL: %w", err)
	}
	s.group = group.New(group.Options[*item]{Transaction: s.transaction, Alone: ofOne})
	return s, nil
}

// connect makes the pools.
func (s *Store) connect(ctx context.Context) (err error) {
	alone := s.config.Copy()
	alone.MaxConns, alone.MinConns = 1, 0
	writes := alone.Copy()
	writes.MinConns = 1 // a webhook does not wait for it to be made
	// Each statement is planned once, and must be planned well even while its table is empty.
	writes.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
		return err
	}
	// A transaction's first round trip shows whether the connection lives: no ping goes before it.
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
	if is, newest, err := p.GetVersions(ctx); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	} else if is > newest {
		return fmt.Errorf("schema version %d is from a newer smspager (this one supports up to %d): run the newer one", is, newest)
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

// Close waits for the writes under way, then disconnects.
func (s *Store) Close() error {
	s.group.Close()
	s.disconnect()
	return nil
}

// storable is a text without what PostgreSQL cannot hold: NUL, and bytes that
// are not UTF-8.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

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
