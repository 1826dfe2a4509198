package spool

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/internal/loop"
)

func (s *Spool) measure() {
	f := promauto.With(s.o.Registerer)
	s.rounds = loop.Rounds(s.o.Registerer, "spool")
	s.failures = f.NewCounter(prometheus.CounterOpts{
		Name: "smspager_store_failures_total", Help: "Commits that the store refused: notifications, replies, steps of an escalation.",
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smspager_store_up", Help: "1 while the outbox is open, whole, and its last write succeeded; otherwise 0.",
	}, func() float64 {
		if s.Trouble() != nil {
			return 0
		}
		return 1
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
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smspager_clock_ahead_seconds", Help: "How far this machine's clock is ahead of the database's that replicas share; 0 without one.",
	}, func() float64 {
		if !s.o.Shared {
			return 0
		}
		return s.ClockAhead().Seconds()
	})
}
