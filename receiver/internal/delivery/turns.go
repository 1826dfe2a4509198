package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// leadRetry is how often leading is tried again after the database failed.
	leadRetry = time.Second
	// missedGap is how often the leader looks for messages of which no hint came.
	missedGap = 15 * time.Second
	// directGrace is how long other processes have, once the database is back,
	// to record what they sent without it, before older messages are sent.
	directGrace = 2 * storeRetry
)

// takeTurns sends while this process is the leader of those that share the
// store, until the context ends.
func (d *Delivery) takeTurns(ctx context.Context) {
	failing, again := false, false
	for ctx.Err() == nil {
		lease, release, err := d.shared.Lead(ctx)
		if err != nil {
			if !failing && ctx.Err() == nil {
				d.logger.Error("cannot ask the database who sends; trying again", "err", err)
			}
			failing = true
			sleep(ctx, leadRetry)
			continue
		}
		if failing || again {
			sleep(lease, directGrace)
		}
		failing, again = false, true
		d.logger.Info("this process sends")
		d.leading.Store(true)
		d.metrics.leading.Set(1)
		d.send(lease)
		d.leading.Store(false)
		d.metrics.leading.Set(0)
		d.forget()
		if ctx.Err() == nil {
			d.logger.Error("this process no longer sends", "why", context.Cause(lease))
		}
		release()
	}
}

// follow takes in what other processes added, and lets go of what they ended,
// until the lease ends.
func (d *Delivery) follow(lease context.Context) {
	var looking sync.WaitGroup
	looking.Go(func() {
		for lease.Err() == nil {
			sleep(lease, missedGap)
			d.load(lease)
		}
	})
	defer looking.Wait()
	for lease.Err() == nil {
		err := d.shared.Listen(lease, func() { d.load(lease) }, func(h outbox.Hint) { d.hinted(lease, h) })
		if lease.Err() == nil {
			d.logger.Warn("hints from the database have ended; asking for them again", "err", err)
			sleep(lease, leadRetry)
		}
	}
}

func (d *Delivery) hinted(ctx context.Context, h outbox.Hint) {
	if h.Ended {
		d.poller.remove(h.ID)
		if h.Undelivered && d.pages != nil {
			d.pages.Undelivered(ctx, h.ID)
		}
		return
	}
	if d.recent.Contains(h.ID) {
		return
	}
	m, err := d.store.Get(ctx, h.ID)
	if err != nil {
		return // found later, by load
	}
	d.Handover(m)
}

// forget drops everything that was to be sent: another process may send it now.
func (d *Delivery) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inbox, d.refusal, d.loaded = nil, "", false
	d.queue, d.known, d.ages, d.heldText = newSchedule(d.shared != nil), make(map[string]*job), nil, 0
	d.waiting.Store(0)
	d.oldest.Store(0)
	if d.poller != nil {
		d.poller.forget()
	}
	d.recent.Purge()
}
