package watch

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// beatMarks hold the state of each heartbeat, by its name.
const beatMarks mark.Kind[beatState] = "heartbeat"

const (
	// storeGrace is how long heartbeats wait for the store after the start.
	storeGrace = time.Minute
	// unconfiguredFor is how long the state of a heartbeat is kept after its last change if this
	// replica does not configure it: replicas get a new configuration one after another.
	unconfiguredFor = time.Hour
)

// beatState is the state of a heartbeat.
type beatState struct {
	SinceAt time.Time     `json:"since_at"`         // when smspager began to expect it
	LastAt  time.Time     `json:"last_at,omitzero"` // its last beat
	Missed  time.Duration `json:"missed,omitempty"` // smspager's own downtime since the last beat
	DeadAt  time.Time     `json:"dead_at,omitzero"` // when the alarm was raised; zero while it is alive
}

// deadline returns when a heartbeat is dead, if it has been expected since a time. smspager's own
// downtime does not count. A heartbeat that has never been received is allowed twice the timeout.
func (s *beatState) deadline(since time.Time, timeout time.Duration) time.Time {
	if s.LastAt.IsZero() {
		return latest(s.SinceAt, since).Add(2*timeout + s.Missed)
	}
	return latest(s.LastAt, since).Add(timeout + s.Missed)
}

// heartbeats raises an alarm if beats of a heartbeat are missing, and reports when they are back.
type heartbeats struct {
	*Options
	gap        time.Duration // between reads of the store
	configured atomic.Pointer[[]config.Heartbeat]
	changed    loop.Bell
	rounds     prometheus.Counter
	down       downtime
	lastSeen   *prometheus.GaugeVec
	up         *prometheus.GaugeVec

	mu    sync.Mutex
	beats map[string]time.Time // the last beats, stored or not
	// since is when smspager began to expect each heartbeat; absent: before this process started.
	since map[string]time.Time
}

func newHeartbeats(o *Options) *heartbeats {
	f := promauto.With(o.Registerer)
	return &heartbeats{
		Options: o, gap: spool.Gap(o.Shared), changed: loop.NewBell(),
		rounds: loop.Rounds(o.Registerer, "heartbeats"),
		beats:  make(map[string]time.Time), since: make(map[string]time.Time),
		lastSeen: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_heartbeat_last_seen_timestamp_seconds", Help: "When a heartbeat was last received; 0 before its first beat.",
		}, []string{"heartbeat"}),
		up: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_heartbeat_up", Help: "1 while a heartbeat is alive, 0 while it is dead.",
		}, []string{"heartbeat"}),
	}
}

// configure sets or replaces the heartbeats. New ones are expected from now on.
func (h *heartbeats) configure(all []config.Heartbeat) {
	before := h.configured.Swap(&all)
	if before != nil {
		var known []string
		for _, old := range *before {
			known = append(known, old.Name)
		}
		h.expectNew(known, h.Spool.Now())
	}
	h.up.Reset()
	h.lastSeen.Reset()
	h.changed.Ring()
}

// names returns the names of the configured heartbeats.
func (h *heartbeats) names() (names []string) {
	for _, hb := range *h.configured.Load() {
		names = append(names, hb.Name)
	}
	return names
}

// expectNew expects the heartbeats that are not in known from now on.
func (h *heartbeats) expectNew(known []string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.names() {
		if !slices.Contains(known, name) {
			h.since[name] = now
		}
	}
}

// beat handles a notification that may be a beat; see Watch.Beat.
func (h *heartbeats) beat(ctx context.Context, receiver string, n *templating.Notification, at time.Time) (known bool) {
	for _, hb := range *h.configured.Load() {
		if !names(receiver, hb.Receiver) {
			continue
		}
		known = true
		if !beats(&hb, n) {
			continue
		}
		h.mu.Lock()
		h.beats[hb.Name] = at // even if it cannot be stored
		h.mu.Unlock()
		if _, err := h.Spool.Commit(ctx, spool.Later, func(ctx context.Context) (*outbox.Entry, error) { return h.beatEntry(ctx, &hb, at) }); err != nil {
			h.Logger.Error("a heartbeat cannot be stored; it is kept in memory", "heartbeat", hb.Name, "err", err)
		}
		h.changed.Ring()
	}
	return known
}

// names reports whether a webhook names a receiver: as configured, as Alertmanager writes it, with regular
// expression characters escaped, or with the trailing slash of a URL.
func names(name, receiver string) bool {
	without, found := strings.CutSuffix(name, "/")
	return name == receiver || name == regexp.QuoteMeta(receiver) || found && without != "" && names(without, receiver)
}

// beats reports whether a notification to a heartbeat's receiver is a beat: it has a firing alert with
// the labels of the matchers. An absent label equals an empty one, as in Alertmanager.
func beats(hb *config.Heartbeat, n *templating.Notification) bool {
	if n.Status != string(model.AlertFiring) || n.MayStillFire {
		return false
	}
	if len(hb.Matchers) == 0 {
		return true
	}
	for _, a := range n.Alerts.Firing() {
		matches := true
		for name, value := range hb.Matchers {
			matches = matches && a.Labels[name] == value
		}
		if matches {
			return true
		}
	}
	return false
}

// beatEntry returns an entry that stores a beat. If the heartbeat was dead, the entry also reports that it is
// alive.
func (h *heartbeats) beatEntry(ctx context.Context, hb *config.Heartbeat, at time.Time) (*outbox.Entry, error) {
	m, err := beatMarks.Find(ctx, h.Spool, hb.Name)
	state := &m.Value
	if err != nil || !at.After(state.LastAt) {
		return nil, err
	}
	if state.SinceAt.IsZero() {
		state.SinceAt = at
	}
	e := &outbox.Entry{}
	if dead := state.DeadAt; !dead.IsZero() {
		silent := "it was seen for the first time"
		if !state.LastAt.IsZero() {
			silent = "it was silent for " + span(at.Sub(state.LastAt))
		}
		e.Messages = h.texts(hb, at, fmt.Sprintf("ALIVE heartbeat %s: %s.%s", hb.Name, silent, h.down.after(state.LastAt)))
		h.Logger.Warn("a heartbeat is back", "heartbeat", hb.Name, "dead_since", dead)
	}
	state.LastAt, state.DeadAt, state.Missed = at, time.Time{}, 0
	e.Marks = []outbox.Mark{beatMarks.Set(m, at)}
	return e, nil
}

func (h *heartbeats) texts(hb *config.Heartbeat, at time.Time, text string) []outbox.Message {
	return h.Alarm.Alarm(h.People.People(hb.Recipients, nil, at), "smspager:heartbeat:"+hb.Name, at, text)
}

// run raises the alarm for dead heartbeats until the context ends. It waits until smspager's own
// downtime is known, but at most storeGrace.
func (h *heartbeats) run(ctx context.Context, began <-chan struct{}) {
	begun, cancel := context.WithTimeout(ctx, storeGrace)
	defer cancel()
	select {
	case <-began:
	case <-begun.Done():
		h.expectNew(nil, h.Spool.Now())
	}
	var stored []mark.Mark[beatState] // as read last
	loop.Repeat(ctx, h.rounds, h.changed, func() time.Duration {
		now, wait := h.Spool.Now(), h.gap
		read, err := beatMarks.All(ctx, h.Spool)
		if read != nil {
			stored = read
		}
		if err != nil && ctx.Err() == nil {
			h.Logger.Error("cannot read the heartbeats; the last good copy is used", "err", err)
			wait = spool.Retry
		}
		return min(wait, h.checkAll(ctx, stored, now))
	})
}

// checkAll checks all heartbeats, and returns the time until the next check.
func (h *heartbeats) checkAll(ctx context.Context, stored []mark.Mark[beatState], now time.Time) time.Duration {
	wait := h.gap
	if err := h.forget(ctx, stored, now); err != nil && ctx.Err() == nil {
		h.Logger.Error("cannot forget a heartbeat; trying again", "err", err)
	}
	for _, hb := range *h.configured.Load() {
		next, err := h.check(ctx, mark.Named(stored, hb.Name), &hb, now)
		if err != nil {
			next = spool.Retry
			if ctx.Err() == nil && !errors.Is(err, outbox.ErrConflict) {
				h.Logger.Error("cannot check a heartbeat; trying again", "heartbeat", hb.Name, "err", err)
			}
		}
		wait = min(wait, next)
	}
	return wait
}

// forget deletes the marks of heartbeats that are no longer configured. If one is configured
// again, it starts anew.
func (h *heartbeats) forget(ctx context.Context, stored []mark.Mark[beatState], now time.Time) error {
	configured := h.names()
	for _, m := range stored {
		if slices.Contains(configured, m.Name) || now.Sub(m.At) < unconfiguredFor {
			continue
		}
		if _, err := h.Spool.Try(ctx, spool.Strict, outbox.Entry{Marks: []outbox.Mark{beatMarks.Delete(m)}}); err != nil && !errors.Is(err, outbox.ErrConflict) {
			return err
		}
	}
	return nil
}

// check raises the alarm if a heartbeat is dead, and returns the time until the next check.
func (h *heartbeats) check(ctx context.Context, m mark.Mark[beatState], hb *config.Heartbeat, now time.Time) (time.Duration, error) {
	state := &m.Value
	fresh := state.SinceAt.IsZero()
	since := h.merge(hb.Name, state, now)
	h.show(hb.Name, state)
	deadline := state.deadline(since, hb.Timeout)
	var e outbox.Entry
	switch {
	case !state.DeadAt.IsZero():
		return h.gap, nil
	case now.Before(deadline) && !fresh:
		return deadline.Sub(now), nil
	case now.Before(deadline):
	default:
		state.DeadAt = now
		e.Messages = h.texts(hb, now, h.deadText(hb, state, now))
	}
	e.Marks = []outbox.Mark{beatMarks.Set(m, now)}
	if _, err := h.Spool.Try(ctx, spool.Later, e); err != nil {
		return 0, err
	}
	h.changed.Ring() // check again with the new marks
	if len(e.Messages) > 0 {
		h.Logger.Error("a heartbeat is dead", "heartbeat", hb.Name, "since", latest(state.LastAt, state.SinceAt))
		h.show(hb.Name, state)
	}
	return h.gap, nil
}

// merge adds the last beat to a stored state, if it could not be stored. It returns since when the
// heartbeat has been expected; zero: since before this process started.
func (h *heartbeats) merge(name string, state *beatState, now time.Time) (since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Use the monotonic clock: setting the system's clock must not change the beat's age. A replica's times are by
	// the database's clock, which may be set back.
	if last := h.beats[name]; !last.IsZero() {
		h.beats[name] = now.Add(-max(0, now.Sub(last)))
	}
	if h.since[name].After(now) {
		h.since[name] = now
	}
	if last := h.beats[name]; last.After(state.LastAt) {
		state.LastAt, state.Missed = last, 0
	}
	since = h.since[name]
	if state.SinceAt.IsZero() {
		if since = latest(since, state.LastAt); since.IsZero() {
			since = now
		}
		state.SinceAt, h.since[name] = since, since
	}
	return since
}

func (h *heartbeats) deadText(hb *config.Heartbeat, state *beatState, now time.Time) string {
	if state.LastAt.IsZero() {
		return fmt.Sprintf("DEAD heartbeat %s: never seen for %s. Alerts may not arrive.%s", hb.Name, span(now.Sub(state.SinceAt)), h.down.after(state.SinceAt))
	}
	return fmt.Sprintf("DEAD heartbeat %s: silent for %s, last at %s. Alerts may not arrive.%s",
		hb.Name, span(now.Sub(state.LastAt)), state.LastAt.UTC().Format("15:04 MST"), h.down.after(state.LastAt))
}

// show sets the metrics of a heartbeat.
func (h *heartbeats) show(name string, s *beatState) {
	up := 1.0
	if !s.DeadAt.IsZero() {
		up = 0
	}
	h.up.WithLabelValues(name).Set(up)
	last := 0.0
	if !s.LastAt.IsZero() {
		last = float64(s.LastAt.UnixMilli()) / 1000
	}
	h.lastSeen.WithLabelValues(name).Set(last)
}
