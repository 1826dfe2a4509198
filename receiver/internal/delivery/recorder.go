package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// maxRecords bounds what is remembered while the store fails. Beyond it the
// oldest is given up: its message stays in state sending in the store, and the
// provider is asked about it at the next start.
const maxRecords = 100_000

// recorder repeats what the store could not do, in order, until it can.
type recorder struct {
	logger *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex
	records []func(context.Context) error
}

func newRecorder(logger *slog.Logger) *recorder {
	return &recorder{logger: logger, wake: make(chan struct{}, 1)}
}

// later has something recorded as soon as the store works.
func (r *recorder) later(record func(context.Context) error) {
	r.mu.Lock()
	if len(r.records) == maxRecords {
		r.records = r.records[1:]
	}
	r.records = append(r.records, record)
	r.mu.Unlock()
	signal(r.wake)
}

// run records until the context ends, and tries once more then.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			if err := r.flush(context.WithoutCancel(ctx)); err != nil {
				r.logger.Error("stopping with outcomes unrecorded: the provider is asked for them at the next start", "err", err)
			}
			return
		case <-r.wake:
		}
		for r.flush(ctx) != nil && ctx.Err() == nil {
			sleep(ctx, storeRetry)
		}
	}
}

// settle waits until nothing is left to record, or for so long.
func (r *recorder) settle(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil && r.pending() > 0 {
		sleep(ctx, 50*time.Millisecond)
	}
}

func (r *recorder) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.records)
}

// flush records what there is, up to the first failure.
func (r *recorder) flush(ctx context.Context) error {
	for {
		r.mu.Lock()
		if len(r.records) == 0 {
			r.mu.Unlock()
			return nil
		}
		record := r.records[0]
		r.records = r.records[1:]
		r.mu.Unlock()
		if err := record(ctx); err != nil {
			r.mu.Lock()
			r.records = slices.Insert(r.records, 0, record)
			r.mu.Unlock()
			return err
		}
	}
}
