package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/receiver/outbox"
)

// The leader holds the row of the table lease. Every heartbeat it proves that it still does. It
// stops sending if it cannot prove that within heartbeatPatience. The row is free once silence has
// passed without a proof, by the database's clock. So the old leader has stopped before a new one
// begins. The lease does not depend on a session, so it also works through a pooler.
const (
	heartbeat         = time.Second
	heartbeatPatience = 2 * time.Second
	silence           = 5 * time.Second
)

// takeLease takes the lease if it is free. A new term begins if another process held it last.
// takeLease waits for writes of the old term, see lockLease.
const takeLease = `
WITH free AS (SELECT FROM lease WHERE holder = $1 OR expires <= clock_timestamp() FOR UPDATE)
UPDATE lease SET term = term + CASE WHEN holder = $1 THEN 0 ELSE 1 END, holder = $1, expires = clock_timestamp() + $2::interval
FROM free RETURNING term`

const proveLease = `UPDATE lease SET expires = clock_timestamp() + $3::interval WHERE holder = $1 AND term = $2`

// lockLease keeps the term from changing until the transaction ends.
const lockLease = `SELECT term FROM lease WHERE id FOR KEY SHARE`

// channel is where hints are sent. Hints of other schemas are ignored.
const channel = "smspager_outbox"

const (
	hintAdded       = "added"
	hintEnded       = "ended"
	hintUndelivered = "undelivered"
)

// notify sends hints to all processes when the transaction is committed.
const notify = `SELECT pg_notify($1::text, current_schema() || ' ' || payload) FROM unnest($2::text[]) AS payload`

// Lead implements outbox.Shared.
func (s *Store) Lead(ctx context.Context) (_ outbox.Lease, release func(), err error) {
	l := &lease{doubts: make(chan struct{}, 1)}
	for {
		began := time.Now()
		err := s.beat(ctx, func(ctx context.Context) error {
			return s.leases.QueryRow(ctx, takeLease, s.holder, silence).Scan(&l.term)
		})
		if err == nil {
			l.proved.Store(&began)
			break
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, nil, fmt.Errorf("lead: %w", err)
		}
		if !pause(ctx, heartbeat) {
			return nil, nil, ctx.Err()
		}
	}

	held, lose := context.WithCancelCause(ctx)
	l.Context = held
	s.lease.Store(l)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		lose(s.prove(ctx, l, stop))
	}()
	return l, func() {
		close(stop)
		<-done
		// Best effort: if it fails, another replica leads a little later.
		_ = s.beat(context.WithoutCancel(ctx), func(ctx context.Context) error {
			_, err := s.leases.Exec(ctx, proveLease, s.holder, l.term, time.Duration(0))
			return err
		})
	}, nil
}

// prove proves every heartbeat, and immediately when in doubt, that the lease is held. It returns nil
// when it is stopped, or why it could not prove that.
func (s *Store) prove(ctx context.Context, l *lease, stop <-chan struct{}) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-ticker.C:
		case <-l.doubts:
			s.leases.Reset() // the lease's connection may be dead, too
		}
		began, doubts := time.Now(), l.doubted.Load()
		held := false
		err := s.beat(context.WithoutCancel(ctx), func(ctx context.Context) error {
			tag, err := s.leases.Exec(ctx, proveLease, s.holder, l.term, silence)
			held = tag.RowsAffected() > 0
			return err
		})
		switch {
		case err != nil:
			return fmt.Errorf("the database does not respond: %w", err)
		case !held:
			return errors.New("another replica leads")
		}
		l.proved.Store(&began)
		l.settled.Store(doubts)
	}
}

// doubtLease keeps this process from sending until it has proved again that it leads. It is called when
// the connection that hints come by has ended: if the database is away, other replicas send new messages
// without it, and this process must not send older ones of the same lanes afterwards.
func (s *Store) doubtLease() {
	if l := s.lease.Load(); l != nil {
		l.doubted.Add(1)
		select {
		case l.doubts <- struct{}{}:
		default: // a proof is due already
		}
	}
}

// lease is the right to lead, proved by a heartbeat.
type lease struct {
	context.Context
	term    int64
	proved  atomic.Pointer[time.Time]
	doubted atomic.Int64 // how often it was doubted
	settled atomic.Int64 // how many of these doubts a later proof has settled: all, or it is not valid
	doubts  chan struct{}
}

// Term implements outbox.Lease.
func (l *lease) Term() int64 { return l.term }

// Valid implements outbox.Lease. Both clocks must show that the lease was proved recently: the
// monotonic one, which stops while the machine sleeps, and the wall clock, which may be set.
func (l *lease) Valid() bool {
	const most = heartbeat + heartbeatPatience
	now, proved := time.Now(), *l.proved.Load()
	return l.Err() == nil && l.settled.Load() == l.doubted.Load() && now.Sub(proved) < most && now.Round(0).Sub(proved.Round(0)).Abs() < most
}

func (s *Store) beat(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatPatience)
	defer cancel()
	return do(ctx)
}

// pause waits for d, and reports whether the context is still alive.
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

// Now implements outbox.Shared.
func (s *Store) Now(ctx context.Context) (at time.Time, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return at, nil
}

// Listen implements outbox.Shared.
func (s *Store) Listen(ctx context.Context, ready func(), hinted func(outbox.Hint)) error {
	conn, err := pgx.ConnectConfig(ctx, s.config.ConnConfig.Copy())
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
			if ctx.Err() == nil {
				s.doubtLease()
			}
			return fmt.Errorf("listen: %w", err)
		}
		words := strings.Fields(n.Payload)
		if len(words) < 3 || words[0] != schema {
			continue
		}
		for _, id := range words[2:] {
			hinted(outbox.Hint{ID: id, Ended: words[1] != hintAdded, Undelivered: words[1] == hintUndelivered})
		}
	}
}
