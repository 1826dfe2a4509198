package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// budget is how much memory all requests with large bodies may take, in bytes.
	budget = 64 << 20
	// smallBody is how large a body is that does not wait. Few are larger: it holds about a
	// hundred alerts.
	smallBody = 64 << 10
	// perByte is how much memory a byte of a body takes once it is decoded and rendered.
	perByte = 4
	// mostWaiting is how many requests wait for the budget, and lineTime for how long.
	mostWaiting = 256
	lineTime    = 10 * time.Second
	retryAfter  = "5" // seconds
)

var errLine = errors.New("too many large requests are being handled; try again later, and set max_alerts in Alertmanager's webhook_configs")

// line is where requests with large bodies wait for memory, first come, first served. Others
// pass, and a request in the line has been read only as far as a small one.
type line struct {
	memory  *semaphore.Weighted
	waiting atomic.Int64
}

func newLine() *line { return &line{memory: semaphore.NewWeighted(budget)} }

// enter waits until there is memory for a request's body of up to most bytes. The caller then reads
// r.Body, and calls leave when it no longer needs the body. It fails if the line is full or the
// wait is too long.
func (l *line) enter(r *http.Request, most int64) (leave func(), err error) {
	head, err := io.ReadAll(io.LimitReader(r.Body, smallBody))
	rest := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), rest}
	if err != nil || len(head) < smallBody {
		return func() {}, nil // who reads the body finds the error again
	}
	if r.ContentLength >= 0 {
		most = min(most, r.ContentLength)
	}
	if l.waiting.Add(1) > mostWaiting {
		l.waiting.Add(-1)
		return nil, errLine
	}
	defer l.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(r.Context(), lineTime)
	defer cancel()
	weight := min(budget, perByte*most)
	if err := l.memory.Acquire(ctx, weight); err != nil {
		return nil, errLine
	}
	return func() { l.memory.Release(weight) }, nil
}
