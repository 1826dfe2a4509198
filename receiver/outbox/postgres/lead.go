package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/outbox"
)

// The leader holds an advisory lock in a session of its own. It proves every
// heartbeat that the session lives, and stops sending when it cannot within
// heartbeatPatience; the server ends a session that was silent for silence, and
// with it the lock. So the old leader has stopped before a new one begins.
const (
	heartbeat         = time.Second
	heartbeatPatience = 2 * time.Second
	silence           = "6s"
	// leaderLock is the key of the advisory lock in pg_try_advisory_lock, beside
	// the schema's own number.
	leaderLock = 0x736d73 // "sms"
)

// channel is where hints are sent. Those of another schema are not ours.
const channel = "smspager_outbox"

const (
	hintAdded       = "added"
	hintEnded       = "ended"
	hintUndelivered = "undelivered"
)

// hint tells all processes of messages, once the transaction is committed. The
// payload of a notification is limited to 8,000 bytes.
func hint(b *pgx.Batch, what string, ids []string) {
	const most = 250 // of 26 characters and a space
	for len(ids) > 0 {
		n := min(len(ids), most)
		b.Queue(`SELECT pg_notify($1, current_schema() || ' ' || $2)`, channel, what+" "+strings.Join(ids[:n], " "))
		ids = ids[n:]
	}
}

// Lead implements outbox.Shared.
func (s *Store) Lead(ctx context.Context) (_ outbox.Lease, release func(), err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("lead: %w", err)
	}
	closeConn := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeatPatience)
		defer cancel()
		_ = conn.Close(ctx) // with the session ends the lock
	}
	if _, err := conn.Exec(ctx, "SET idle_session_timeout = '"+silence+"'"); err != nil {
		closeConn()
		return nil, nil, fmt.Errorf("lead: %w", err)
	}
	l := &lease{}
	for {
		var leads bool
		began := time.Now()
		err := s.beat(ctx, func(ctx context.Context) error {
			return conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, hashtext(current_schema()))`, leaderLock).Scan(&leads)
		})
		if err != nil {
			closeConn()
			return nil, nil, fmt.Errorf("lead: %w", err)
		}
		if leads {
			l.proved.Store(&began)
			break
		}
		if !pause(ctx, heartbeat) {
			closeConn()
			return nil, nil, ctx.Err()
		}
	}

	held, lose := context.WithCancelCause(ctx)
	l.Context = held
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := s.prove(ctx, conn, l, stop); err != nil {
			lose(fmt.Errorf("the database does not respond: %w", err))
		}
	}()
	return l, func() {
		close(stop)
		<-done
		lose(nil)
		closeConn()
	}, nil
}

// prove proves every heartbeat that the session lives, until it is stopped or that fails.
func (s *Store) prove(ctx context.Context, conn *pgx.Conn, l *lease, stop <-chan struct{}) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-ticker.C:
		}
		began := time.Now()
		err := s.beat(context.WithoutCancel(ctx), func(ctx context.Context) error {
			_, err := conn.Exec(ctx, "SELECT 1")
			return err
		})
		if err != nil {
			return err
		}
		l.proved.Store(&began)
	}
}

// lease is a lock that was proved by a heartbeat.
type lease struct {
	context.Context
	proved atomic.Pointer[time.Time]
}

// Valid implements outbox.Lease. The clock that runs while a process is stopped, and the
// one that runs while its machine sleeps, must both agree.
func (l *lease) Valid() bool {
	const most = heartbeat + heartbeatPatience
	now, proved := time.Now(), *l.proved.Load()
	return l.Err() == nil && now.Sub(proved) < most && now.Round(0).Sub(proved.Round(0)).Abs() < most
}

func (s *Store) beat(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatPatience)
	defer cancel()
	return do(ctx)
}

// connect opens a session beside the pool.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, s.config.ConnConfig.Copy())
}

// pause waits, and reports whether the context still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Listen implements outbox.Shared.
func (s *Store) Listen(ctx context.Context, ready func(), told func(outbox.Hint)) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeatPatience)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	var schema string
	if err := conn.QueryRow(ctx, `SELECT current_schema()`).Scan(&schema); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ready()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		words := strings.Fields(n.Payload)
		if len(words) < 3 || words[0] != schema {
			continue
		}
		for _, id := range words[2:] {
			told(outbox.Hint{ID: id, Ended: words[1] != hintAdded, Undelivered: words[1] == hintUndelivered})
		}
	}
}
