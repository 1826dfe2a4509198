package spool

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
)

const (
	// beatGap is how often a replica notes that it runs.
	beatGap = 500 * time.Millisecond
	// stoppedFor is how long no beat must come for the process to count as stopped. A waiting
	// commit fails within this time, and another replica may take its notification.
	stoppedFor = 2 * time.Second
	// staleFor is how long after a stop notifications may arrive that were posted during it. Their
	// sender has given up, and has posted them, or newer ones, to another replica.
	staleFor = time.Second
)

// pulse knows whether the process was stopped, as by SIGSTOP or with its machine. What failed
// meanwhile says nothing about the store.
type pulse struct {
	base    time.Time
	last    atomic.Int64 // when it beat last, ns after base
	stopped atomic.Int64 // when it beat first after the last stop; the least one: never
}

func newPulse() *pulse {
	p := &pulse{base: time.Now()}
	p.stopped.Store(math.MinInt64)
	return p
}

// run beats until the context ends.
func (p *pulse) run(ctx context.Context) {
	for ; ctx.Err() == nil; loop.Sleep(ctx, beatGap) {
		p.beat()
	}
}

func (p *pulse) beat() {
	now := time.Since(p.base)
	if now-time.Duration(p.last.Load()) >= stoppedFor {
		p.stopped.Store(int64(now))
	}
	p.last.Store(int64(now))
}

// stoppedSince reports whether the process was stopped at some time since the given one.
func (p *pulse) stoppedSince(t time.Time) bool {
	return time.Since(p.base)-time.Duration(p.last.Load()) >= stoppedFor || p.stopped.Load() >= int64(t.Sub(p.base))
}
