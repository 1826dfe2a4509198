// Package loop holds the few lines that every background job repeats: be woken, sleep, do it again.
//
// The goroutine that calls [Repeat] or [Sleep] owns the loop; both return as soon as its context
// ends. Everything here is safe for concurrent use.
package loop

import (
	"context"
	"time"
)

// Bell wakes one loop. Rings that come before the loop listens again are one ring.
type Bell chan struct{}

// NewBell returns a Bell that nobody has rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring wakes the loop; it never blocks.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// Repeat calls do immediately, then whenever wake is rung or the duration has passed that do
// returned. It returns when the context ends. The first call covers all earlier rings; a nil wake
// is never rung.
func Repeat(ctx context.Context, wake Bell, do func() time.Duration) {
	select {
	case <-wake:
	default:
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		timer.Reset(do())
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
