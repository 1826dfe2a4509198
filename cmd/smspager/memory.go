package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idlePercent is GOGC of a pager that has nothing to do, which it is most of the time: its memory
	// costs more than its garbage collections. busyPercent is that of a busy one.
	idlePercent = 30
	busyPercent = 200
	// busyGap is the time between two collections of which a pager is busy.
	busyGap = time.Second
	// enough is how much memory a busy one may have, in bytes, before it collects as an idle one does.
	enough = 40 << 20
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
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	const others = 16 << 20 // what is no heap, and some room
	debug.SetMemoryLimit(max(enough, int64(live[0].Value.Uint64())*(100+idlePercent)/100+others))
	if now.Sub(before) < busyGap {
		debug.SetGCPercent(busyPercent)
	} else {
		debug.SetGCPercent(idlePercent)
	}
	runtime.AddCleanup(new(cycle), afterCycle, now)
}
