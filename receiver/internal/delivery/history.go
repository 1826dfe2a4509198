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

// maxRemembered is how many messages remember reads: nothing is sent meanwhile.
const maxRemembered = 2000

// remember makes the queue count what was sent lately, so that a restart gives nobody a new
// allowance. It reads back twice the longest limit: the first half makes up for what was sent
// before, which the queue does not know. What cannot be read is not counted.
func remember(ctx context.Context, s *spool.Spool, q *queue.Queue, logger *slog.Logger) {
	longest := q.Longest()
	if longest == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*listPatience)
	defer cancel()
	now := s.Now()
	spent, err := s.Segments(ctx, now.UTC().Truncate(24*time.Hour))
	if err != nil {
		logger.Warn("cannot read what was spent today; the budget starts at zero", "err", err)
	}
	ms, err := s.List(ctx, outbox.Query{Limit: maxRemembered})
	if err != nil {
		logger.Warn("cannot read what was sent recently; limits start empty", "err", err)
	}
	since := now.Add(-2 * longest)
	if len(ms) == maxRemembered {
		if oldest := outbox.MadeAt(ms[len(ms)-1].ID); oldest.After(since) {
			since = oldest
		}
	}
	var sent []outbox.Message
	for _, m := range ms {
		m.Rewind(now)
		if queue.Counts(&m) && !m.AttemptedAt.IsZero() && !m.AttemptedAt.Before(since) {
			sent = append(sent, m)
		}
	}
	slices.SortFunc(sent, func(a, b outbox.Message) int { return a.AttemptedAt.Compare(b.AttemptedAt) })
	q.Remember(sent, since, spent, now)
}
