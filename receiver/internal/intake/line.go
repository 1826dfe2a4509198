package intake

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// budget is how much memory all requests with large bodies may use, in bytes.
	budget = 64 << 20
	// smallBody is the size up to which a body does not wait, in bytes. It holds about a hundred
	// alerts, so few bodies are larger.
	smallBody = 64 << 10
	// perByte is how many bytes of memory a byte of a body uses once it is decoded and rendered.
	perByte = 4
	// maxWaiting is how many requests may wait for the budget; lineTime is how long they may wait.
	maxWaiting = 256
	lineTime   = 10 * time.Second
	retryAfter = "5" // seconds
)

var errLine = errors.New("too many large requests are being handled; try again later, and set max_alerts in Alertmanager's webhook_configs")

// line is a queue in which requests with large bodies wait for memory, first come, first served.
// Other requests do not wait. While a request waits, only the first smallBody bytes of its body
// have been read.
type line struct {
	memory  *semaphore.Weighted
	waiting atomic.Int64
}

func newLine() *line { return &line{memory: semaphore.NewWeighted(budget)} }

// enter waits until there is memory for a body of this size. The caller then reads the body, and calls
// leave when it no longer needs it. enter fails if the line is full or the wait is too long.
func (l *line) enter(ctx context.Context, size int64) (leave func(), err error) {
	if l.waiting.Add(1) > maxWaiting {
		l.waiting.Add(-1)
		return nil, errLine
	}
	defer l.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, lineTime)
	defer cancel()
	weight := min(budget, perByte*size)
	if err := l.memory.Acquire(ctx, weight); err != nil {
		return nil, errLine
	}
	return func() { l.memory.Release(weight) }, nil
}
