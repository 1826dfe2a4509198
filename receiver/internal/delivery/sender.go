package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// sender owns the queue. Only its goroutine uses the queue; others leave messages and news in
// the inbox.
type sender struct {
	d        *Delivery
	spool    *spool.Spool
	logger   *slog.Logger
	metrics  *metrics
	attempts *attempts
	pulse    loop.Pulse

	mu      sync.Mutex
	inbox   inbox
	account account

	wake    loop.Bell         // the inbox has something
	emptied loop.Bell         // the inbox was taken
	changed loop.Bell         // the settings are new
	settled chan queue.Result // attempts that ended
	waiting atomic.Int64      // messages that are not sent yet
	oldest  atomic.Int64      // since when the first of them that is not held has waited, Unix ms, 0 without one

	queue      *queue.Queue   // used only by the goroutine
	running    int            // attempts that run; used only by the goroutine
	background sync.WaitGroup // goroutines that the sender has started
	clocks     func() reading
}

// inbox holds what waits for the sender's goroutine.
type inbox struct {
	resigned  bool      // another replica may lead: only direct messages stay
	withdrawn []string  // IDs of messages that this process must not send
	term      time.Time // a new term has begun; zero: none
	arrivals  []arrival
	loaded    bool            // all messages of earlier terms have arrived
	account   func(time.Time) // the queue's Block or Unblock; nil: no news of the account
}

type arrival struct {
	from queue.Origin
	*outbox.Message
}

// take leaves messages in the inbox. They must not be changed afterwards.
func (s *sender) take(from queue.Origin, ms []outbox.Message) {
	s.leave(func(in *inbox) {
		for i := range ms {
			if m := &ms[i]; !m.State.Final() || m.WasAccepted() {
				in.arrivals = append(in.arrivals, arrival{from, m})
			}
		}
	})
}

func (s *sender) withdraw(ids []string) {
	s.leave(func(in *inbox) {
		in.arrivals = slices.DeleteFunc(in.arrivals, func(a arrival) bool { return slices.Contains(ids, a.ID) })
		in.withdrawn = append(in.withdrawn, ids...)
	})
}

func (s *sender) begin(term time.Time) { s.leave(func(in *inbox) { in.term = term }) }

func (s *sender) loaded() { s.leave(func(in *inbox) { in.loaded = true }) }

func (s *sender) resign() {
	s.leave(func(in *inbox) {
		direct := slices.DeleteFunc(in.arrivals, func(a arrival) bool { return a.from != queue.Direct })
		*in = inbox{resigned: true, withdrawn: in.withdrawn, arrivals: direct, account: in.account}
	})
}

func (s *sender) leave(put func(*inbox)) {
	s.mu.Lock()
	put(&s.inbox)
	s.mu.Unlock()
	s.wake.Ring()
}

// run sends until the context ends.
func (s *sender) run(ctx context.Context) {
	// Requests may outlive ctx by their timeout and a second.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	s.configure()
	remember(ctx, s.spool, s.queue, s.logger)
	look := time.NewTicker(clockGap)
	defer look.Stop()
	seen := s.clocks()
	for ctx.Err() == nil {
		s.metrics.sends.Inc()
		s.pulse.Beat()
		timer.Reset(s.dispatch(work))
		s.measure()
		s.noteHolds(work)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
			s.takeInbox()
		case r := <-s.settled:
			s.settle(r)
		case <-s.changed:
			if s.configure() {
				remember(ctx, s.spool, s.queue, s.logger)
			}
			s.accountWorks()
		case <-look.C:
			seen = s.checkClocks(seen)
		case <-sweep.C:
			s.queue.Sweep(s.spool.Now())
		}
	}
	grace := time.AfterFunc(s.d.settings.Load().Timeout+time.Second, cancel)
	defer grace.Stop()
	for s.running > 0 {
		s.settle(<-s.settled)
	}
	s.background.Wait()
}

// configure passes the settings to the queue, and reports whether what was sent lately must be counted
// again.
func (s *sender) configure() (recount bool) {
	settings := s.d.settings.Load()
	q := queue.Settings{Limits: settings.Limits, Severities: settings.Severities, DailyBudget: settings.DailyBudget}
	if settings.MaxPerSecond > 0 {
		q.Pause = time.Second / time.Duration(settings.MaxPerSecond)
	}
	return s.queue.Configure(q, s.spool.Now())
}

func (s *sender) takeInbox() {
	s.mu.Lock()
	in := s.inbox
	s.inbox = inbox{}
	s.mu.Unlock()
	s.emptied.Ring()
	now := s.spool.Now()
	if in.account != nil {
		in.account(now)
	}
	if in.resigned {
		s.queue.Keep(s.spool.Direct, now)
	}
	if len(in.withdrawn) > 0 {
		s.queue.Keep(func(id string) bool { return !slices.Contains(in.withdrawn, id) }, now)
	}
	if !in.term.IsZero() {
		s.queue.Begin(in.term)
	}
	for _, a := range in.arrivals {
		if a.WasAccepted() {
			s.queue.Sent(*a.Message, now)
		} else {
			s.queue.Add(*a.Message, a.from, now)
		}
	}
	if in.loaded {
		s.queue.Loaded(now)
	}
}

// dispatch starts what can be started, and returns the time until more can.
func (s *sender) dispatch(work context.Context) time.Duration {
	settings := s.d.settings.Load()
	for s.running < settings.Concurrency {
		now := s.spool.Now()
		run, due := s.queue.Next(now)
		if run.Do == queue.Nothing {
			if due.IsZero() {
				return time.Hour
			}
			return due.Sub(now)
		}
		s.running++
		go func() { s.settled <- s.attempts.do(work, *settings, run) }()
	}
	return time.Hour // a running attempt will end before that
}

// settle passes the result of an attempt to the queue.
func (s *sender) settle(r queue.Result) {
	s.running--
	if !s.d.leading.Load() && !s.spool.Direct(r.Run.ID) {
		r.Again = time.Time{} // another replica continues with the message
	}
	s.queue.Settle(r, s.spool.Now())
}

// noteHolds records what messages wait for: their history, and the timeline of a page, must show why a phone
// was silent.
func (s *sender) noteHolds(ctx context.Context) {
	holds := s.queue.Holds()
	if len(holds) == 0 {
		return
	}
	now := s.spool.Now()
	s.background.Go(func() {
		for _, h := range holds {
			why := "beyond the limits of its recipient, until "
			if h.Quiet {
				why = "in the quiet hours of its recipient, until "
			}
			s.d.record(ctx, outbox.Held(h.ID, now, why+h.Until.UTC().Format("15:04:05 MST")))
		}
	})
}

// measure updates the values of the gauges.
func (s *sender) measure() {
	var oldest int64
	if since := s.queue.Oldest(); !since.IsZero() {
		oldest = since.UnixMilli()
	}
	s.waiting.Store(int64(s.queue.Len()))
	s.oldest.Store(oldest)
}
