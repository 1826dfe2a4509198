package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idlePercent is GOGC of a pager that has nothing to do, which it is most of the time: its memory
	// costs more than its garbage collections.
	idlePercent = 30
	// busyHeadroom is how much is allocated between two collections of a busy one, whatever its heap.
	busyHeadroom = 8 << 20
	// busyGap is the time between two collections of which a pager is busy.
	busyGap = time.Second
)

// tuneMemory sets GOGC after each garbage collection, by the time since the one before.
func tuneMemory() {
	debug.SetGCPercent(idlePercent)
	runtime.AddCleanup(new(cycle), afterCycle, time.Now())
}

// cycle is collected by the next garbage collection.
type cycle struct{ _ [16]byte } // large enough not to share its block

func afterCycle(before time.Time) {
	now := time.Now()
	percent := idlePercent
	if now.Sub(before) < busyGap {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		percent = max(percent, int(busyHeadroom*100/max(live[0].Value.Uint64(), 1<<20)))
	}
	debug.SetGCPercent(percent)
	runtime.AddCleanup(new(cycle), afterCycle, now)
}
