package delivery

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

const (
	// firstPoll is how long the poller waits for a receipt before it asks the provider.
	firstPoll = time.Minute
	// firstPollAlone is the same if no callbacks are set up.
	firstPollAlone = 5 * time.Second
	// maxPollGap is the longest pause between two questions; the pause grows with age.
	maxPollGap = 6 * time.Hour
	// minPollGap is the shortest pause.
	minPollGap = time.Second
	// pollFor is how long after acceptance the poller waits for a final status.
	pollFor = 72 * time.Hour
	// pollers is how many questions are asked at the same time.
	pollers = 4
)

// poller asks for the statuses that no callback brought. When it asks depends
// only on when the provider accepted the message, so that a restart asks nothing twice.
//
// Before each question it reads the message again: if the message has a final state, the
// poller stops following it instead of asking, even if it was added after it ended.
type poller struct {
	d    *Delivery
	wake loop.Bell

	mu    sync.Mutex
	polls map[string]*poll
	queue pollHeap
}

// poll is a message that is followed because its final status is not known.
type poll struct {
	id       string
	accepted time.Time
	due      time.Time
}

func newPoller(d *Delivery) *poller {
	return &poller{d: d, wake: loop.NewBell(), polls: make(map[string]*poll)}
}

// add follows a message, unless it is followed already.
func (p *poller) add(m outbox.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.polls[m.ID] != nil {
		return
	}
	q := &poll{id: m.ID, accepted: m.AcceptedAt}
	p.polls[m.ID] = q
	p.push(q)
}

// forget stops following all messages.
func (p *poller) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.polls)
	p.queue = nil
}

// remove stops following a message.
func (p *poller) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.polls, id) // next drops it from the queue
}

// rewind must be called when the clock was set back.
func (p *poller) rewind(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.queue {
		p.plan(q, now)
	}
	heap.Init(&p.queue)
	p.wake.Ring()
}

// plan sets when to ask next.
func (p *poller) plan(q *poll, now time.Time) {
	if q.accepted.After(now) { // by another clock, or one that was set back
		q.accepted = now
	}
	first := firstPollAlone
	if s := p.d.settings.Load(); s != nil && s.Callbacks {
		first = firstPoll
	}
	q.due = nextPoll(q.accepted, now, first)
}

func (p *poller) push(q *poll) {
	p.plan(q, p.d.spool.Now())
	heap.Push(&p.queue, q)
	if p.queue[0] == q {
		p.wake.Ring()
	}
}

// nextPoll returns when to ask next about a message that was accepted at a time, at least
// minPollGap from now. Each gap is half of the message's age, between first and maxPollGap.
func nextPoll(accepted, now time.Time, first time.Duration) time.Time {
	if now.Sub(accepted).Abs() > 2*pollFor { // a clock was wrong
		accepted = now
	}
	at := accepted.Add(first)
	for at.Sub(now) < minPollGap {
		at = at.Add(min(max(first, at.Sub(accepted)/2), maxPollGap))
	}
	return at
}

// run asks until the context ends.
func (p *poller) run(ctx context.Context) {
	slots := make(chan struct{}, pollers)
	var asking sync.WaitGroup
	defer asking.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p.d.metrics.polls.Inc()
		q, wait := p.next(p.d.spool.Now())
		if q == nil {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-p.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		asking.Go(func() {
			p.ask(ctx, q)
			<-slots
		})
	}
}

// next removes and returns a poll that is due, or returns how long until one is.
func (p *poller) next(now time.Time) (*poll, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 {
		q := p.queue[0]
		switch {
		case p.polls[q.id] != q:
			heap.Pop(&p.queue)
		case q.due.After(now):
			return nil, q.due.Sub(now)
		default:
			heap.Pop(&p.queue)
			return q, 0
		}
	}
	return nil, time.Hour
}

// ask asks for the status of one message.
func (p *poller) ask(ctx context.Context, q *poll) {
	m, err := p.d.spool.Get(ctx, q.id)
	if errors.Is(err, outbox.ErrNotFound) || err == nil && m.State.Final() {
		p.remove(q.id)
		return
	}
	s := p.d.settings.Load()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	var status textinghouse.Status
	if m.APIID != "" {
		status, err = s.Gateway.Status(ctx, m.APIID)
	} else {
		status, err = s.Gateway.StatusByClientID(ctx, q.id)
	}
	now := p.d.spool.Now()
	switch {
	case err == nil && status.Known():
		p.d.record(ctx, statusChange(q.id, "", status, now, "getstatus"))
	case err == nil:
		p.d.logger.Warn("getstatus gives an unknown status; asking again later", "id", q.id, "status", int(status))
	default:
		p.d.logger.Warn("cannot ask for a status; asking again later", "id", q.id, "err", err)
	}
	if (err != nil || !status.Final()) && now.Sub(q.accepted) >= pollFor {
		p.d.record(ctx, outbox.OutcomeUnknown(q.id, now, "no final status within "+describe(pollFor)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.polls[q.id] == q {
		p.push(q)
	}
}

// pollHeap orders polls by due time.
type pollHeap []*poll

func (h pollHeap) Len() int           { return len(h) }
func (h pollHeap) Less(a, b int) bool { return h[a].due.Before(h[b].due) }
func (h pollHeap) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *pollHeap) Push(x any)        { *h = append(*h, x.(*poll)) }
func (h *pollHeap) Pop() any {
	old := *h
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return q
}
