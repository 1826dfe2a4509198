package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// uptimeMarks hold when smspager was last known to run, and the heartbeats that it expected.
const uptimeMarks mark.Kind[[]string] = "alive"

const (
	// uptimeGap is how often that mark is updated while there are heartbeats.
	uptimeGap = 15 * time.Second
	// stoppedGap is the minimum age of the mark from which it follows that no replica ran.
	stoppedGap = 3 * uptimeGap
	// mentionedGap is the minimum downtime that alarms mention.
	mentionedGap = time.Minute
)

// uptime records that smspager runs: beats that are sent while it does not run cannot be received,
// and do not count as missing.
type uptime struct {
	*Options
	heartbeats *heartbeats
	rounds     prometheus.Counter
}

// run records that smspager runs until the context ends, and then once more. It closes began when it
// knows how long smspager was down before.
func (u *uptime) run(ctx context.Context, began chan<- struct{}) {
	starts := true
	note := func(ctx context.Context) error {
		_, err := u.Spool.Commit(ctx, spool.Strict, func(ctx context.Context) (*outbox.Entry, error) { return u.note(ctx, starts, u.Spool.Now()) })
		return err
	}
	loop.Repeat(ctx, u.rounds, nil, func() time.Duration {
		switch err := note(ctx); {
		case err == nil && starts:
			close(began)
			starts = false
		case err != nil && ctx.Err() == nil:
			u.Logger.Error("cannot record that smspager runs; trying again", "err", err)
		}
		return uptimeGap
	})
	// If this fails, the mark is merely a little older.
	starts = false
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), spool.Retry)
	defer cancel()
	_ = note(ending)
}

// note returns an entry that records that smspager runs. At the start it also adds smspager's
// downtime to each heartbeat.
func (u *uptime) note(ctx context.Context, starts bool, now time.Time) (*outbox.Entry, error) {
	m, err := uptimeMarks.Find(ctx, u.Spool, "smspager")
	if err != nil {
		return nil, err
	}
	names := u.heartbeats.names()
	if len(names) == 0 { // no beat can be missed
		if m.Version == 0 {
			return nil, nil
		}
		return &outbox.Entry{Marks: []outbox.Mark{uptimeMarks.Delete(m)}}, nil
	}
	if starts {
		u.heartbeats.expectNew(m.Value, now)
	}
	last := m.At
	m.Value = names
	e := &outbox.Entry{Marks: []outbox.Mark{uptimeMarks.Set(m, now)}}
	if starts && !last.IsZero() && now.After(last) && (!u.Shared || now.Sub(last) >= stoppedGap) {
		err = u.addDowntime(ctx, e, last, now)
	}
	return e, err
}

// addDowntime adds smspager's downtime to the mark of each heartbeat, and the marks to an entry.
func (u *uptime) addDowntime(ctx context.Context, e *outbox.Entry, from, to time.Time) error {
	beats, err := beatMarks.All(ctx, u.Spool)
	if err != nil {
		return err
	}
	for _, m := range beats {
		m.Value.Missed += max(0, to.Sub(latest(from, m.Value.LastAt)))
		e.Marks = append(e.Marks, beatMarks.Set(m, to))
	}
	if to.Sub(from) < mentionedGap {
		return nil
	}
	u.heartbeats.down.set(from, to)
	if len(beats) > 0 {
		u.Logger.Warn("smspager did not run; heartbeats of that time could not be received, and are not missing", "from", from, "to", to)
	}
	return nil
}

// downtime is smspager's own last downtime.
type downtime struct {
	mu       sync.Mutex
	from, to time.Time
}

func (d *downtime) set(from, to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.to = from, to
}

// after returns a sentence about the downtime if it ended after a time, otherwise "".
func (d *downtime) after(at time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from.IsZero() || d.to.Before(at) {
		return ""
	}
	return fmt.Sprintf(" smspager itself was down from %s to %s.", d.from.UTC().Format("15:04"), d.to.UTC().Format("15:04 MST"))
}
