// Package loop holds what every background job repeats: be woken or sleep, and do the work again.
//
// The goroutine that calls [Repeat] or [Sleep] owns the loop; both return as soon as its context
// ends. Everything here is safe for concurrent use.
package loop

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// maxRounds is the maximum number of rounds that [Repeat] begins within a second, whatever wakes it.
const maxRounds = 20

// Rounds returns the counter of the rounds of a loop. reg may be nil.
func Rounds(reg prometheus.Registerer, name string) prometheus.Counter {
	return promauto.With(reg).NewCounter(prometheus.CounterOpts{
		Name: "smspager_loop_rounds_total", Help: "Rounds of each background loop.",
		ConstLabels: prometheus.Labels{"loop": name},
	})
}

// Bell wakes one loop. Several rings while the loop is busy count as one.
type Bell chan struct{}

// NewBell returns a Bell that has not been rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring wakes the loop; it never blocks.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// Repeat calls do immediately, then each time wake rings or the duration that do returned has
// passed, but at most [maxRounds] times a second. It counts each call, and returns when the
// context ends. The first call covers all earlier rings; a nil wake never rings.
func Repeat(ctx context.Context, rounds prometheus.Counter, wake Bell, do func() time.Duration) {
	select {
	case <-wake:
	default:
	}
	timer := time.NewTimer(time.Hour) // a timer of 0 would make Go's race detector crash in fake time, see docs/development.md
	defer timer.Stop()
	var second time.Time // when the rounds counted by begun started
	begun := 0
	for ctx.Err() == nil {
		if passed := time.Since(second); passed >= time.Second {
			second, begun = time.Now(), 0
		} else if begun == maxRounds {
			if Sleep(ctx, time.Second-passed); ctx.Err() != nil {
				return
			}
			second, begun = time.Now(), 0
		}
		begun++
		rounds.Inc()
		timer.Reset(do())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-wake:
		}
	}
}

// Sleep returns after d, or earlier if the context ends.
func Sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Pulse counts the rounds of a loop, so that others can see whether the loop is stuck.
type Pulse struct{ rounds atomic.Int64 }

// Beat counts a round.
func (p *Pulse) Beat() { p.rounds.Add(1) }

// Responds rings the loop's bell until the loop makes another round or the context ends. It reports
// whether the loop made one.
func (p *Pulse) Responds(ctx context.Context, wake Bell) bool {
	const gap = 20 * time.Millisecond
	for before := p.rounds.Load(); ctx.Err() == nil; Sleep(ctx, gap) {
		if p.rounds.Load() > before {
			return true
		}
		wake.Ring()
	}
	return false
}
