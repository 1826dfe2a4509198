package outbox

import (
	"context"
	"log/slog"
	"time"
)

// Pruning goes in small steps with pauses, so that webhooks wait little for it (BenchmarkPrune in
// outbox/sqlite).
const (
	pruneInterval = time.Hour
	pruneBatch    = 100
	prunePause    = 50 * time.Millisecond
)

// Pruner is the part of a [Store] that deletes.
type Pruner interface {
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Retain deletes messages in a final state once they are older than retention, until the context
// ends. now reads the clock that the stored times come from.
func Retain(ctx context.Context, store Pruner, now func() time.Time, retention time.Duration, logger *slog.Logger) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	total := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		n, err := store.Prune(ctx, now().Add(-retention), pruneBatch)
		switch total += n; {
		case err != nil && ctx.Err() == nil:
			logger.Error("cannot delete old messages; trying again later", "err", err)
		case n == pruneBatch:
			timer.Reset(prunePause)
			continue
		case total > 0:
			logger.Info("deleted old messages", "count", total, "retention", retention)
		}
		total = 0
		timer.Reset(pruneInterval)
	}
}
