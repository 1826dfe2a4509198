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

// Work writes within a transaction T. It may be run twice: once with others,
// and again alone when one of those failed.
type Work[T any] func(context.Context, T) error

// Options are what New needs.
type Options[T any] struct {
	// Transaction runs all work in one transaction and commits it.
	Transaction func([]Work[T]) error
	// Alone says whether a failure of several is one of their own, so that each
	// is tried alone; nil: always.
	Alone func(error) bool
}

// Writer is one goroutine that commits. It is safe for concurrent use.
type Writer[T any] struct {
	Options[T]
	writes chan write[T]
	done   chan struct{} // closed when the goroutine has ended

	mu     sync.RWMutex // held for reading while a write is handed over
	closed bool
}

type write[T any] struct {
	work Work[T]
	done chan error
}

// New makes a Writer, to be ended by Close.
func New[T any](o Options[T]) *Writer[T] {
	if o.Alone == nil {
		o.Alone = func(error) bool { return true }
	}
	w := &Writer[T]{Options: o, writes: make(chan write[T], maxBatch), done: make(chan struct{})}
	go w.run()
	return w
}

// Do runs work in a transaction and returns once that is on disk. If the context ends before,
// the work may be done all the same.
func (w *Writer[T]) Do(ctx context.Context, work Work[T]) error {
	wr := write[T]{work: work, done: make(chan error, 1)}
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

func (w *Writer[T]) handOver(ctx context.Context, wr write[T]) error {
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

func (w *Writer[T]) run() {
	defer close(w.done)
	batch := make([]write[T], 0, maxBatch)
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
func (w *Writer[T]) commit(batch []write[T]) {
	work := make([]Work[T], len(batch))
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
func (w *Writer[T]) Close() {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if !already {
		close(w.writes)
	}
	<-w.done
}
