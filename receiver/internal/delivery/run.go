package delivery

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// accountRetry is how often a refused account is tried again.
	accountRetry = time.Minute
	// loadBatch is how many messages of earlier runs are read at a time.
	loadBatch = 500
	// heldTexts is how many texts of waiting messages are kept in memory.
	heldTexts = 500
)

// Run sends until the context ends. Then it starts nothing new, lets the
// requests under way finish, and returns when all of its goroutines have. It
// may be called once.
func (d *Delivery) Run(ctx context.Context) error {
	if d.settings.Load() == nil {
		return errors.New("delivery: Run before Configure")
	}
	var background sync.WaitGroup
	background.Go(func() { d.recorder.run(ctx) })
	defer background.Wait()
	if d.shared == nil {
		d.send(ctx)
		return nil
	}
	d.takeTurns(ctx)
	return nil
}

// send sends what the store holds until the context ends.
func (d *Delivery) send(ctx context.Context) {
	// Requests outlive ctx by the time that one may take, and a little.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { d.poller.run(ctx) })
	background.Go(func() {
		d.recorder.settle(ctx, directGrace)
		d.load(ctx)
		if d.shared != nil {
			d.follow(ctx)
		}
	})

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	d.setLimits()
	d.remember(ctx)
	for ctx.Err() == nil {
		timer.Reset(d.dispatch(work))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-d.wake:
			d.takeInbox()
		case r := <-d.settled:
			d.settle(r)
		case <-d.changed:
			if before := d.queue.everyLimit; d.setLimits() && before != nil {
				d.queue.forgetLimits()
				d.remember(ctx)
			}
			d.accountWorks()
		case now := <-sweep.C:
			d.queue.forgetPeople(now)
			d.queue.forgetPassed(now)
		}
	}

	grace := time.AfterFunc(d.settings.Load().Timeout+time.Second, cancel)
	defer grace.Stop()
	for d.running > 0 {
		d.settle(<-d.settled)
	}
	background.Wait()
}

// load reads what is open in the store: left by earlier runs, or added by other
// processes.
func (d *Delivery) load(ctx context.Context) {
	d.loading.Lock()
	defer d.loading.Unlock()
	for ctx.Err() == nil {
		err := d.loadOnce(ctx)
		if err == nil {
			d.mu.Lock()
			d.loaded = true
			d.mu.Unlock()
			signal(d.wake)
			return
		}
		if ctx.Err() != nil {
			return
		}
		d.logger.Error("cannot read the open messages; trying again", "err", err)
		sleep(ctx, storeRetry)
	}
}

func (d *Delivery) loadOnce(ctx context.Context) error {
	loaded := 0
	for m, err := range d.store.Open(ctx) {
		if err != nil {
			return err
		}
		if d.recent.Contains(m.ID) { // it is known, or has ended since it was read
			continue
		}
		d.Handover(m)
		if loaded++; loaded%loadBatch == 0 { // no faster than it is scheduled
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-d.emptied:
			}
		}
	}
	return nil
}

// takeInbox schedules what was handed over.
func (d *Delivery) takeInbox() {
	d.mu.Lock()
	ms, loaded := d.inbox, d.loaded
	d.inbox, d.loaded = nil, false
	d.mu.Unlock()
	signal(d.emptied)
	now := time.Now()
	for _, m := range ms {
		if m.State == outbox.Accepted {
			d.queue.sent(d.queue.newJob(m, false).lane, m.ID, now)
			continue
		}
		if d.known[m.ID] != nil {
			continue
		}
		keep := d.heldText < heldTexts
		if keep {
			d.heldText++
		}
		j := d.queue.newJob(m, keep)
		d.known[m.ID] = j
		heap.Push(&d.ages, m.ID)
		d.queue.add(j, now)
	}
	if loaded {
		d.queue.loaded(now)
	}
	d.measure()
}

// dispatch starts what can be started, and returns the time until more can.
func (d *Delivery) dispatch(work context.Context) time.Duration {
	settings := d.settings.Load()
	defer func() { d.noteHolds(time.Now()) }()
	for d.running < settings.Concurrency {
		now := time.Now()
		j, due := d.queue.next(now)
		if j == nil {
			if due.IsZero() {
				return time.Hour
			}
			return due.Sub(now)
		}
		d.running++
		if j.folds {
			go func() { d.settled <- d.fold(work, append([]*job{j}, j.fold...)) }()
			continue
		}
		go func() { d.settled <- d.attempt(work, *settings, j) }()
	}
	return time.Hour // a result comes first
}

// settle takes in what became of an attempt.
func (d *Delivery) settle(r result) {
	d.running--
	now := time.Now()
	switch {
	case r.refused != nil:
		r.job.parked = true
		d.accountRefused(r.refused, now)
	case r.answered:
		d.accountWorks()
	}
	others, folded := r.job.fold, r.job.folds
	r.job.fold, r.job.folds = nil, false
	switch {
	case r.again.IsZero():
	case folded:
		d.queue.foldAgain(append(others, r.job), r.again, now)
		return
	default:
		d.queue.again(r.job, r.again, now)
		return
	}
	if r.folded {
		d.queue.charge(r.job.lane.to, now, true) // for the digest
	}
	if !r.taken.IsZero() && r.late {
		d.toldLate(r.job.lane.to)
	}
	for _, j := range append(others, r.job) {
		if j == r.alone {
			d.queue.again(j, now, now)
			continue
		}
		d.queue.done(j, r.taken, now)
		delete(d.known, j.id)
		if j.message != nil {
			d.heldText--
		}
	}
	d.measure()
}

// setLimits takes the settings, and reports whether limits are others than before.
func (d *Delivery) setLimits() (changed bool) {
	s := d.settings.Load()
	before := d.queue.everyLimit
	d.queue.limits, d.queue.everyLimit = s.Limits, nil
	for _, limits := range s.Limits {
		for _, l := range limits {
			if !slices.Contains(d.queue.everyLimit, l) {
				d.queue.everyLimit = append(d.queue.everyLimit, l)
			}
		}
	}
	d.queue.budget.daily = s.DailyBudget
	d.queue.pause = 0
	if s.MaxPerSecond > 0 {
		d.queue.pause = time.Second / time.Duration(s.MaxPerSecond)
	}
	return len(before) != len(d.queue.everyLimit) || slices.ContainsFunc(before, func(l Limit) bool { return !slices.Contains(d.queue.everyLimit, l) })
}

func (d *Delivery) accountRefused(err error, now time.Time) {
	d.mu.Lock()
	first := d.refusal == ""
	d.refusal = err.Error()
	d.mu.Unlock()
	d.queue.block(now.Add(accountRetry))
	d.metrics.refused.Set(1)
	if first {
		d.logger.Error("the provider refuses the whole account: nothing is sent until this is mended; messages are kept", "err", err, "retry", accountRetry)
	}
}

// accountWorks lets everything that waited for the account go.
func (d *Delivery) accountWorks() {
	d.mu.Lock()
	was := d.refusal
	d.refusal = ""
	d.mu.Unlock()
	if was == "" {
		return
	}
	d.queue.unblock(time.Now())
	d.metrics.refused.Set(0)
	d.logger.Info("sending resumes after the account was refused", "was", was)
}
