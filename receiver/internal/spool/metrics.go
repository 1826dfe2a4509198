package spool

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Backlog is how many entries and changes wait to be stored, and since when the first
// does.
func (s *Spool) Backlog() (n int, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := func(at time.Time) {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	for _, en := range s.entries {
		first(en.since)
	}
	n = len(s.entries)
	for _, t := range s.order {
		if n += len(t.changes); len(t.changes) > 0 {
			first(t.since)
		}
	}
	return n, since
}

// Entries is how many entries are not stored.
func (s *Spool) Entries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

func (s *Spool) measure() {
	f := promauto.With(s.o.Registerer)
	s.failures = f.NewCounter(prometheus.CounterOpts{
		Name: "smspager_store_failures_total", Help: "Commits that the store refused: notifications, replies, steps of an escalation.",
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smspager_spool_entries", Help: "Entries and changes that are not stored yet.",
	}, func() float64 {
		n, _ := s.Backlog()
		return float64(n)
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smspager_spool_oldest_seconds", Help: "How long the oldest entry or change has been waiting to be stored.",
	}, func() float64 {
		if _, since := s.Backlog(); !since.IsZero() {
			return max(0, time.Since(since).Seconds())
		}
		return 0
	})
}
