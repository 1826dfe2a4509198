// Package group commits writes together. A sync takes far longer than the writes before it, so
// everything that arrives during one sync is committed by the next, as one transaction. Under load
// many webhooks share a sync; a single webhook waits for no other.
package group

import (
	"context"
	"errors"
	"sync"
)

// maxBatch is the maximum number of writes that share a transaction. It also bounds how long the
// first write waits for the last.
const maxBatch = 512

// ErrClosed is returned for a write after Close.
var ErrClosed = errors.New("the outbox is closed")

// Options are the options of New. W is a store's own type of write.
type Options[W any] struct {
	// Transaction writes everything in one transaction and commits it. It may get the same work
	// twice: with others, and again alone if the first transaction failed.
	Transaction func([]W) error
	// Alone reports whether one write of a batch may have caused the error, so that each write is
	// tried again alone. Nil: always true.
	Alone func(error) bool
}

// Writer commits writes in a goroutine of its own. It is safe for concurrent use.
type Writer[W any] struct {
	Options[W]
	writes chan write[W]
	done   chan struct{} // closed when the goroutine has ended

	mu     sync.RWMutex // held for reading while a write is handed over
	closed bool
}

type write[W any] struct {
	work W
	done chan error
}

// New starts a Writer. The caller must Close it.
func New[W any](o Options[W]) *Writer[W] {
	if o.Alone == nil {
		o.Alone = func(error) bool { return true }
	}
	w := &Writer[W]{Options: o, writes: make(chan write[W], maxBatch), done: make(chan struct{})}
	go w.run()
	return w
}

// Do writes work in a transaction and returns once it is on disk. If the context ends first, the
// work may still be done.
func (w *Writer[W]) Do(ctx context.Context, work W) error {
	wr := write[W]{work: work, done: make(chan error, 1)}
	if err := w.handOver(ctx, wr); err != nil {
		return err
	}
	select {
	case err := <-wr.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Writer[W]) handOver(ctx context.Context, wr write[W]) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.writes <- wr:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Writer[W]) run() {
	defer close(w.done)
	batch := make([]write[W], 0, maxBatch)
	for first := range w.writes {
		batch = append(batch[:0], first)
	fill:
		for len(batch) < maxBatch {
			select {
			case next, ok := <-w.writes:
				if !ok {
					break fill
				}
				batch = append(batch, next)
			default:
				break fill
			}
		}
		w.commit(batch)
	}
}

// commit commits a batch. If that fails, it tries each write alone, so that a bad one fails alone.
func (w *Writer[W]) commit(batch []write[W]) {
	work := make([]W, len(batch))
	for i, wr := range batch {
		work[i] = wr.work
	}
	err := w.Transaction(work)
	alone := err != nil && len(batch) > 1 && w.Alone(err)
	for i, wr := range batch {
		if alone {
			wr.done <- w.Transaction(work[i : i+1])
		} else {
			wr.done <- err
		}
	}
}

// Close waits for the writes that were handed over, and ends the goroutine.
func (w *Writer[W]) Close() {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if !already {
		close(w.writes)
	}
	<-w.done
}
