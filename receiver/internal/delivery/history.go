package delivery

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// remember makes the queue count what was sent lately, so that a restart gives nobody a new
// allowance. It reads back twice the longest limit: the first half makes up for what was sent
// before, which the queue does not know. What cannot be read is not counted.
func remember(ctx context.Context, s *spool.Spool, q *queue.Queue, logger *slog.Logger) {
	const page, most = 500, 100_000
	longest := q.Longest()
	if longest == 0 {
		return
	}
	now := s.Now()
	spent, err := s.Segments(ctx, now.UTC().Truncate(24*time.Hour))
	if err != nil {
		logger.Warn("cannot read what was spent today; the budget starts at zero", "err", err)
	}
	since := now.Add(-2 * longest)
	var sent []outbox.Message
	before := ""
	for len(sent) < most {
		ms, err := s.List(ctx, outbox.Query{Before: before, Limit: page})
		if err != nil {
			logger.Warn("cannot read what was sent recently; limits start empty", "err", err)
			break
		}
		for _, m := range ms {
			before = m.ID
			m.Rewind(now)
			if queue.Counts(&m) && !m.AttemptedAt.IsZero() && m.AttemptedAt.After(since) {
				sent = append(sent, m)
			}
		}
		if len(ms) < page || outbox.MadeAt(before).Before(since) {
			break
		}
	}
	slices.SortFunc(sent, func(a, b outbox.Message) int { return a.AttemptedAt.Compare(b.AttemptedAt) })
	q.Remember(sent, since, spent, now)
}
