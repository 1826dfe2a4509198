package delivery

import (
	"context"
	"time"

	"github.com/smspager/smspager/receiver/internal/status"
)

// Report adds to a status which messages wait, why the provider refuses the account, and whether
// this process sends.
func (d *Delivery) Report(s *status.Status) {
	s.Account.Refused = d.Refusal()
	s.Queue.Waiting = int(d.sender.waiting.Load())
	if oldest := d.sender.oldest.Load(); oldest != 0 {
		s.Queue.OldestAt = status.OrNil(time.UnixMilli(oldest))
	}
	s.Leader = status.Leader{Leading: d.leading.Load(), Shared: d.leader.shared}
}

// Responds wakes the sender, and reports whether it makes a round before the context ends.
func (d *Delivery) Responds(ctx context.Context) bool {
	return d.sender.pulse.Responds(ctx, d.sender.wake)
}
