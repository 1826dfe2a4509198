package watch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// uptimeMarks keep when smspager itself was last known to run, and the heartbeats that it watched.
const uptimeMarks mark.Kind[[]string] = "alive"

const (
	// uptimeGap is how often that is noted, while there are heartbeats.
	uptimeGap = 15 * time.Second
	// stoppedGap is how old the note must be for none of several processes to have run.
	stoppedGap = 3 * uptimeGap
	// saidGap is how long a downtime must be to be mentioned in alarms.
	saidGap = time.Minute
)

// uptime notes that smspager runs: beats that come while it does not cannot be received, and are not
// missing.
type uptime struct {
	heartbeats *heartbeats
	spool      Spool
	logger     *slog.Logger
	shared     bool
	rounds     prometheus.Counter
}

// run notes that smspager runs until the context ends, and once more then. It closes began when it is
// known how long smspager did not run before.
func (u *uptime) run(ctx context.Context, began chan<- struct{}) {
	starts := true
	note := func(ctx context.Context) error {
		_, err := u.spool.Commit(ctx, spool.Strict, func(ctx context.Context) (*outbox.Entry, error) { return u.note(ctx, starts, u.spool.Now()) })
		return err
	}
	loop.Repeat(ctx, u.rounds, nil, func() time.Duration {
		switch err := note(ctx); {
		case err == nil && starts:
			close(began)
			starts = false
		case err != nil && ctx.Err() == nil:
			u.logger.Error("cannot note that smspager runs; trying again", "err", err)
		}
		return uptimeGap
	})
	// Best effort: if it fails, the note is a little older.
	starts = false
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), spool.Retry)
	defer cancel()
	_ = note(ending)
}

// note returns what notes that smspager runs; at the start also, in each heartbeat, how long it did
// not.
func (u *uptime) note(ctx context.Context, starts bool, now time.Time) (*outbox.Entry, error) {
	m, err := uptimeMarks.Find(ctx, u.spool, "smspager")
	if err != nil {
		return nil, err
	}
	names := u.heartbeats.names()
	if len(names) == 0 { // nothing can be missed
		if m.Version == 0 {
			return nil, nil
		}
		return &outbox.Entry{Marks: []outbox.Mark{uptimeMarks.Delete(m)}}, nil
	}
	if starts {
		u.heartbeats.waitAnew(m.Value, now)
	}
	last := m.At
	m.Value = names
	e := &outbox.Entry{Marks: []outbox.Mark{uptimeMarks.Set(m, now)}}
	if starts && !last.IsZero() && now.After(last) && (!u.shared || now.Sub(last) >= stoppedGap) {
		err = u.missed(ctx, e, last, now)
	}
	return e, err
}

// missed adds to an entry the time in which heartbeats could not be received.
func (u *uptime) missed(ctx context.Context, e *outbox.Entry, from, to time.Time) error {
	beats, err := beatMarks.All(ctx, u.spool)
	if err != nil {
		return err
	}
	for _, m := range beats {
		m.Value.Missed += max(0, to.Sub(latest(from, m.Value.LastAt)))
		e.Marks = append(e.Marks, beatMarks.Set(m, to))
	}
	if to.Sub(from) < saidGap {
		return nil
	}
	u.heartbeats.down.set(from, to)
	if len(beats) > 0 {
		u.logger.Warn("smspager did not run; heartbeats of that time could not be received, and are not missing", "from", from, "to", to)
	}
	return nil
}

// downtime is smspager's last own downtime.
type downtime struct {
	mu       sync.Mutex
	from, to time.Time
}

func (d *downtime) set(from, to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.to = from, to
}

// after returns the sentence about a downtime after a time, or "".
func (d *downtime) after(at time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from.IsZero() || d.to.Before(at) {
		return ""
	}
	return fmt.Sprintf(" smspager itself was down from %s to %s.", d.from.UTC().Format("15:04"), d.to.UTC().Format("15:04 MST"))
}
