// Package group commits writes together. A sync takes far longer than the
// writes before it, so everything that arrives during one is committed by the
// next as one transaction: under load many webhooks share a sync, alone one
// waits for no other.
package group

import (
	"context"
	"errors"
	"sync"
)

// maxBatch bounds the writes that share a transaction, and so the time that the
// first of them waits for the last.
const maxBatch = 512

// ErrClosed is what a write gets after Close.
var ErrClosed = errors.New("the outbox is closed")

// Options are what New needs. W is what is written: a store's own type.
type Options[W any] struct {
	// Transaction writes everything in one transaction and commits it. It may get the same
	// work twice: once with others, and again alone if one of those failed.
	Transaction func([]W) error
	// Alone says whether a failure of several is one of their own, so that each
	// is tried alone; nil: always.
	Alone func(error) bool
}

// Writer is one goroutine that commits. It is safe for concurrent use.
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

// New makes a Writer, to be ended by Close.
func New[W any](o Options[W]) *Writer[W] {
	if o.Alone == nil {
		o.Alone = func(error) bool { return true }
	}
	w := &Writer[W]{Options: o, writes: make(chan write[W], maxBatch), done: make(chan struct{})}
	go w.run()
	return w
}

// Do writes work in a transaction and returns once that is on disk. If the context ends before,
// the work may be done all the same.
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

// commit commits a batch. Where one write fails, each is tried alone, so that
// it fails alone too.
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

// Close waits for the writes that were handed over.
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
