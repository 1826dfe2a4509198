package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// leadRetry is how often leading is tried again after it failed or ended.
	leadRetry = time.Second
	// missedGap is how often the leader looks for messages without a hint.
	missedGap = queue.LateFor / 2
	// loadBatch is how many messages of earlier terms are read at a time.
	loadBatch = 500
	// recentIDs is how many messages are remembered as handed over: hints about them are ignored.
	recentIDs = 4096
	// sentRecipients is how many recipients are remembered with their messages of earlier runs.
	sentRecipients = 1000
)

// leader makes this process send what is in the store, but only while it holds the lease, so that
// no other replica does.
type leader struct {
	shared  bool
	spool   *spool.Spool
	logger  *slog.Logger
	metrics *metrics
	pages   Pages
	d       *Delivery
	recent  *lru.Cache[string, struct{}] // IDs that were handed over lately
	loading sync.Mutex
	lease   atomic.Pointer[outbox.Lease] // nil: none
	term    atomic.Int64                 // of the last lease
	grace   grace
	missed  loop.Bell   // the database was in trouble: messages may have been missed
	damaged atomic.Bool // it was logged that messages cannot be read because the store is damaged
}

func newLeader(d *Delivery, o Options) *leader {
	l := &leader{shared: o.Shared, spool: o.Spool, logger: o.Logger, metrics: d.metrics, pages: o.Pages, d: d, missed: loop.NewBell()}
	l.recent, _ = lru.New[string, struct{}](recentIDs) // fails only for a size below 1
	return l
}

// run leads whenever the store grants a lease, until the context ends. If the store is not shared, it
// only reads what earlier runs left.
func (l *leader) run(ctx context.Context) {
	if !l.shared {
		l.begin(ctx)
		return
	}
	failing, again := false, false
	for ; ctx.Err() == nil; loop.Sleep(ctx, leadRetry) {
		l.metrics.leads.Inc()
		away := l.spool.Trouble() != nil // it failed before this attempt to lead
		lease, release, err := l.spool.Lead(ctx)
		if err != nil {
			if !failing && ctx.Err() == nil {
				l.logger.Error("cannot try to become leader; retrying", "err", err)
			}
			failing = true
			continue
		}
		if failing || again || away {
			l.grace.begin(l.spool.Now())
		}
		failing, again = false, true
		l.lead(lease)
		if ctx.Err() == nil {
			l.logger.Error("this process no longer leads", "why", context.Cause(lease))
		}
		release()
	}
}

// lead leads until the lease ends.
func (l *leader) lead(lease outbox.Lease) {
	l.term.Store(lease.Term())
	l.lease.Store(&lease)
	defer l.lease.Store(nil)
	l.logger.Info("this process leads")
	select {
	case <-l.spool.WriteFailed(): // before this term, see run
	default:
	}
	l.recent.Purge() // what it sent without the database must be followed, too
	l.d.sender.begin(l.spool.Now())
	l.d.sender.attempts.sent.Purge()
	l.d.sender.attempts.notices.forget()
	l.d.leading.Store(true)
	l.metrics.leading.Set(1)
	stop := context.AfterFunc(lease, func() { l.d.leading.Store(false) })
	l.begin(lease)
	l.follow(lease)
	stop()
	l.d.leading.Store(false)
	l.metrics.leading.Set(0)
	l.d.sender.resign()
	l.d.poller.forget()
}

// maySend reports whether this process may send a message in the store at this moment.
func (l *leader) maySend(id string) bool {
	if !l.shared {
		return true
	}
	lease := l.lease.Load()
	return lease != nil && (*lease).Valid() && !l.grace.holds(id, l.spool.Now())
}

// admit returns the messages that were not handed over before. A message may come several times:
// after it was stored here, by a hint, and when open messages are read. It may even have been sent
// meanwhile.
func (l *leader) admit(ms ...outbox.Message) []outbox.Message {
	known := func(m outbox.Message) bool {
		before, _ := l.recent.ContainsOrAdd(m.ID, struct{}{})
		return before
	}
	first := slices.IndexFunc(ms, known)
	if first < 0 {
		return ms
	}
	admitted := slices.Clone(ms[:first])
	for _, m := range ms[first+1:] {
		if !known(m) {
			admitted = append(admitted, m)
		}
	}
	return admitted
}

// forget makes admit return these messages again.
func (l *leader) forget(ids []string) {
	for _, id := range ids {
		l.recent.Remove(id)
	}
}

// begin reads what earlier terms left: first the messages that the provider has, so that no older
// message of a lane is sent after them.
func (l *leader) begin(ctx context.Context) {
	l.insist(ctx, l.loadAccepted)
	l.load(ctx)
}

// load reads the open messages in the store, which earlier terms left or other replicas added.
func (l *leader) load(ctx context.Context) {
	l.loading.Lock()
	defer l.loading.Unlock()
	if l.insist(ctx, l.loadOnce) {
		l.d.sender.loaded()
		l.grace.read(l.spool.Now())
	}
}

// insist calls read until it succeeds or the context ends, and reports whether it succeeded. If a part
// of the store is damaged, a retry does not help, and what read could read must do.
func (l *leader) insist(ctx context.Context, read func(context.Context) error) bool {
	for ctx.Err() == nil {
		err := read(ctx)
		damaged := errors.Is(err, outbox.ErrDamaged)
		if damaged && !l.damaged.Swap(true) {
			l.logger.Error("the outbox is damaged: some messages cannot be read, and are not sent; restore a backup", "err", err)
		}
		if err == nil || damaged {
			return true
		}
		if ctx.Err() != nil {
			break
		}
		l.logger.Error("cannot read the open messages; trying again", "err", err)
		l.grace.begin(l.spool.Now())
		loop.Sleep(ctx, storeRetry)
	}
	return false
}

// loadAccepted reads the accepted messages, which the provider has and which are not final.
func (l *leader) loadAccepted(ctx context.Context) error {
	q := outbox.Query{State: outbox.Accepted, Limit: loadBatch}
	for {
		ms, err := l.spool.List(ctx, q)
		if errors.Is(err, outbox.ErrDamaged) {
			return l.findAccepted(ctx)
		}
		if err != nil {
			return err
		}
		l.d.sender.take(queue.Loaded, ms)
		if len(ms) < q.Limit {
			return nil
		}
		q.Before = ms[len(ms)-1].ID
	}
}

// findAccepted reads the accepted messages that Open can read, if a damaged part of the store keeps List
// from listing them.
func (l *leader) findAccepted(ctx context.Context) error {
	for m, err := range l.spool.Open(ctx) {
		if err != nil {
			return err
		}
		if m.State == outbox.Accepted {
			l.d.sender.take(queue.Loaded, []outbox.Message{m})
		}
	}
	return nil
}

func (l *leader) loadOnce(ctx context.Context) error {
	l.metrics.reads.Inc()
	loaded := 0
	for m, err := range l.spool.Open(ctx) {
		if err != nil {
			return err
		}
		m.Rewind(l.spool.Now())
		if m.SupersededBy != "" { // it may be queued already, and the hint of the newer one was lost
			newer := m
			newer.ID, newer.State = m.SupersededBy, outbox.Accepted
			l.d.sender.take(queue.Loaded, []outbox.Message{newer})
		}
		admitted := l.admit(m)
		if len(admitted) == 0 {
			continue
		}
		if m.Unreadable() {
			l.logger.Error("the history of a message cannot be read; the message is sent or followed without it", "id", m.ID)
		}
		l.d.take(queue.Loaded, admitted)
		if loaded++; loaded%loadBatch == 0 { // wait until the sender has queued the batch
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-l.d.sender.emptied:
			}
		}
	}
	return nil
}

// follow adds the messages that other replicas stored, and stops following those that they ended,
// until the lease ends.
func (l *leader) follow(lease context.Context) {
	var looking sync.WaitGroup
	looking.Go(func() { l.look(lease) })
	defer looking.Wait()
	for lease.Err() == nil {
		err := l.spool.Listen(lease, func() { l.load(lease) }, func(h outbox.Hint) { l.hinted(lease, h) })
		l.grace.begin(l.spool.Now())
		if lease.Err() == nil {
			l.logger.Warn("hints from the database ended; listening again", "err", err)
			loop.Sleep(lease, leadRetry)
		}
	}
}

// look reads the open messages every missedGap, and when messages may have been missed, until the lease
// ends. While writes fail and are repeated, it reads no sooner than that.
func (l *leader) look(lease context.Context) {
	loaded, gap := l.spool.Now(), missedGap
	for lease.Err() == nil {
		select {
		case <-lease.Done():
		case <-time.After(gap):
		case <-l.missed:
		case <-l.spool.WriteFailed():
			l.grace.begin(l.spool.Now())
		}
		now := l.spool.Now()
		gap = storeRetry
		if waits, _ := l.spool.Backlog(); waits == 0 || l.spool.Trouble() == nil || now.Sub(loaded).Abs() >= missedGap {
			l.load(lease)
			loaded, gap = now, missedGap
		}
	}
}

// trouble must be called when the database is in trouble: other replicas may be sending without it.
func (l *leader) trouble() {
	if l.d.leading.Load() {
		l.grace.begin(l.spool.Now())
		l.missed.Ring()
	}
}

func (l *leader) hinted(ctx context.Context, h outbox.Hint) {
	if h.Ended {
		l.d.poller.remove(h.ID)
		if h.Undelivered && l.pages != nil {
			l.pages.Undelivered(ctx, h.ID)
		}
		return
	}
	if l.recent.Contains(h.ID) {
		return
	}
	m, err := l.spool.Get(ctx, h.ID)
	switch {
	case err == nil:
		l.d.Handover(false, m)
	case !errors.Is(err, outbox.ErrNotFound):
		l.trouble()
	}
}
