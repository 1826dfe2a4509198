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
	// stoppedFor is how long beats must be missing for the process to count as stopped. A waiting
	// commit fails within this time, and another replica may take its notification.
	stoppedFor = 2 * time.Second
	// staleFor is how long after a stop a notification that was posted during it may still arrive.
	// Its sender has given up, and has posted it, or a newer one, to another replica.
	staleFor = time.Second
)

// pulse detects that the process was stopped, by SIGSTOP or with its machine. A failure during a
// stop says nothing about the store.
type pulse struct {
	base    time.Time
	last    atomic.Int64 // last beat, ns after base
	stopped atomic.Int64 // first beat after the last stop, ns after base; math.MinInt64: never stopped
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

// stoppedSince reports whether the process was stopped at any time since t.
func (p *pulse) stoppedSince(t time.Time) bool {
	return time.Since(p.base)-time.Duration(p.last.Load()) >= stoppedFor || p.stopped.Load() >= int64(t.Sub(p.base))
}
