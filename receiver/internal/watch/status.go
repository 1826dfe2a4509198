package watch

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// lateProbes is how many intervals may pass without a delivered probe.
const lateProbes = 3

// seen holds the last readings of the account and the last delivered probe.
type seen struct {
	mu        sync.Mutex
	credit    *float64
	readAt    time.Time
	daysLeft  *float64
	probe     outbox.Message // the last delivered one
	since     time.Time      // when the interval of the probes was set
	probeTook time.Duration
}

func (s *seen) account(credit, days float64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credit, s.readAt, s.daysLeft = &credit, at, nil
	if !math.IsInf(days, 1) {
		s.daysLeft = &days
	}
}

// Report adds the state of the account and of the probes to a status.
func (w *Watch) Report(s *status.Status, now time.Time) {
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	s.Account.Credit, s.Account.ReadAt, s.Account.DaysLeft = w.seen.credit, status.OrNil(w.seen.readAt), w.seen.daysLeft
	interval := time.Duration(w.probe.interval.Load())
	s.Probe = status.Probe{Interval: span(interval), DeliveredAt: status.OrNil(w.seen.probe.UpdatedAt)}
	if w.seen.probe.ID != "" {
		took := w.seen.probeTook.Seconds()
		s.Probe.Took = &took
	}
	last := latest(w.seen.probe.UpdatedAt, w.seen.since)
	s.Probe.Late = interval > 0 && now.Sub(last) > lateProbes*interval
}

// Heartbeats returns the state of the configured heartbeats.
func (w *Watch) Heartbeats(ctx context.Context) ([]status.Heartbeat, error) {
	h := w.heartbeats
	stored, err := beatMarks.All(ctx, h.Spool)
	if stored == nil && err != nil {
		return nil, err
	}
	all := []status.Heartbeat{}
	for _, hb := range *h.configured.Load() {
		s := mark.Named(stored, hb.Name).Value
		h.mu.Lock()
		last := latest(s.LastAt, h.beats[hb.Name])
		h.mu.Unlock()
		state := "alive"
		switch {
		case !s.DeadAt.IsZero():
			state = "dead"
		case last.IsZero():
			state = "waiting"
		}
		all = append(all, status.Heartbeat{
			Name: hb.Name, Receiver: hb.Receiver, State: state, LastAt: status.OrNil(last), DeadAt: status.OrNil(s.DeadAt), Timeout: span(hb.Timeout),
		})
	}
	return all, nil
}

// Credits returns the stored readings of the credit, oldest first: about one an hour, for the last week.
func (w *Watch) Credits(ctx context.Context) ([]status.Credit, error) {
	state, err := creditMarks.Find(ctx, w.account.Spool, "account")
	if err != nil {
		return nil, err
	}
	var all []status.Credit
	for _, r := range state.Value.Readings {
		all = append(all, status.Credit{At: r.At, Left: r.Credit})
	}
	return all, nil
}
