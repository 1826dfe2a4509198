package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idlePercent is the GOGC while the pager is idle, as it is most of the time: its memory costs
	// more than its garbage collections. busyPercent is the GOGC while it is busy.
	idlePercent = 30
	busyPercent = 200
	// busyGap is the time between two collections below which a pager counts as busy.
	busyGap = time.Second
	// enough is how many bytes of memory a busy pager may always use before the memory limit makes it
	// collect more often.
	enough = 40 << 20
)

// tuneMemory sets GOGC after each garbage collection, according to the time since the one before.
func tuneMemory() {
	debug.SetGCPercent(idlePercent)
	runtime.AddCleanup(new(cycle), afterCycle, time.Now())
}

// cycle is an object that the next garbage collection frees.
type cycle struct{ _ [16]byte } // large enough not to share its block

func afterCycle(before time.Time) {
	now := time.Now()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	const others = 8 << 20 // memory outside the heap
	debug.SetMemoryLimit(max(enough, int64(live[0].Value.Uint64())*(100+idlePercent)/100+others))
	if now.Sub(before) < busyGap {
		debug.SetGCPercent(busyPercent)
	} else {
		debug.SetGCPercent(idlePercent)
	}
	runtime.AddCleanup(new(cycle), afterCycle, now)
}
