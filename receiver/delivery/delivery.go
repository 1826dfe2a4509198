// Package delivery takes messages from the outbox to the provider, and the
// provider's word on them back.
//
// One goroutine, Run, decides what goes next (see schedule): messages of one
// recipient and group in their order, the same text to the same number never
// within the provider's flood window, nothing while the account is refused. A
// bounded number of attempts run beside it (see attempt). What the provider
// took is followed by its callbacks (see Receive) and, where none comes, by
// asking (see poller) until a final status is known.
//
// An attempt is marked in the store before its request is written. After a
// crash, or an answer that leaves the outcome open, the provider is asked by
// the message's id before anything is sent again.
package delivery

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

const (
	// accountRetry is how often a refused account is tried again.
	accountRetry = time.Minute
	// storeRetry is how often the store is tried again.
	storeRetry = time.Second
	// loadBatch is how many messages of earlier runs are read at a time.
	loadBatch = 1000
	// recentIDs is how many messages are remembered of which no hint is needed.
	recentIDs = 4096
	// heldTexts is how many texts of waiting messages are kept in memory.
	heldTexts = 2000
)

// Gateway sends. *textinghouse.Client is one.
type Gateway interface {
	Send(context.Context, textinghouse.SMS) (apiID string, err error)
	Status(ctx context.Context, apiID string) (textinghouse.Status, error)
	StatusByClientID(ctx context.Context, clientID string) (textinghouse.Status, error)
}

// Settings can be changed while Run runs.
type Settings struct {
	Gateway     Gateway
	SenderID    string        // "" for a number that can be replied to
	Timeout     time.Duration // of the gateway's requests
	Concurrency int           // requests that send at the same time
	// MaxPerSecond bounds what is sent; 0: nothing does.
	MaxPerSecond int
	Limits       map[string][]Limit // of each receiver
	DailyBudget  int                // segments, beyond which what is not critical is told in digests; 0: none
	Callbacks    Callbacks          // without a token, statuses are asked for sooner
}

// Options are what New needs. The zero value of each field but Store works.
type Options struct {
	Store      outbox.Store
	Shared     outbox.Shared         // Store, where several processes use it; nil: this one is alone
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is measured
	IDs        *outbox.IDs           // of a process, so that what is newer has the greater one; nil: of its own
	// OnFinal is told of every message that reaches a final state, from
	// whatever goroutine brought it there. It must not block.
	OnFinal func(outbox.Message)
	// Reply takes in a text from a phone, and says what became of it. An error
	// means that it could not be stored. Nil: phones are not listened to.
	Reply func(context.Context, textinghouse.Reply) (outcome string, err error)
	// Pages is needed where entries have pages.
	Pages Pages
}

// Pages knows pages. An oncall.OnCall is one.
type Pages interface {
	// Merge makes the page of an entry that was sent without the store fit what is
	// stored by then; nil where it is needless.
	Merge(context.Context, outbox.Page) (*outbox.Page, error)
	// Past and Recorded are told of the page of an entry: that it was sent without the
	// store, and that it is recorded.
	Past(outbox.Page)
	Recorded(outbox.Page)
	// Undelivered is told of a message that did not arrive, as some process found.
	Undelivered(ctx context.Context, id string)
}

// Delivery sends what is in an outbox.
type Delivery struct {
	store    outbox.Store
	shared   outbox.Shared // the store, where several processes use it; nil otherwise
	leading  atomic.Bool   // this process is the one that sends
	logger   *slog.Logger
	metrics  *metrics
	onFinal  func(outbox.Message)
	reply    func(context.Context, textinghouse.Reply) (string, error)
	pages    Pages
	settings atomic.Pointer[Settings]

	poller   *poller
	recorder *recorder
	recent   *lru.Cache[string, struct{}] // ids that were handed over lately
	loading  sync.Mutex
	ids      *outbox.IDs
	late     late

	mu      sync.Mutex
	inbox   []outbox.Message // handed over, not yet scheduled
	loaded  bool             // all messages of earlier runs are in the inbox, or were
	refusal string           // why the account is refused, "" while it is not

	wake     chan struct{} // the inbox has something
	emptied  chan struct{} // the inbox was scheduled
	settled  chan result   // attempts that ended
	changed  chan struct{} // the settings are new
	waiting  atomic.Int64  // messages that are not sent yet
	oldest   atomic.Int64  // when the oldest of them came in, Unix ms, 0 without one
	queue    *schedule     // Run's alone, as are the fields below
	known    map[string]*job
	ages     ages // of known, with some that are gone
	running  int
	heldText int
}

// New makes a Delivery. Configure must be called before Run.
func New(o Options) *Delivery {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.IDs == nil {
		o.IDs = outbox.NewIDs()
	}
	if o.OnFinal == nil {
		o.OnFinal = func(outbox.Message) {}
	}
	if o.Reply == nil {
		o.Reply = func(context.Context, textinghouse.Reply) (string, error) { return "ignored", nil }
	}
	d := &Delivery{
		store:   o.Store,
		shared:  o.Shared,
		logger:  o.Logger,
		onFinal: o.OnFinal,
		reply:   o.Reply,
		pages:   o.Pages,
		wake:    make(chan struct{}, 1),
		emptied: make(chan struct{}, 1),
		settled: make(chan result),
		changed: make(chan struct{}, 1),
		ids:     o.IDs,
		late:    late{tells: make(map[e164.Number]*tally)},
	}
	d.recent, _ = lru.New[string, struct{}](recentIDs) // an error only for a size below 1
	d.leading.Store(o.Shared == nil)
	d.forget()
	d.metrics = newMetrics(o.Registerer, d)
	d.poller = newPoller(d)
	d.recorder = newRecorder(d.logger)
	return d
}

// Configure sets or replaces the settings. An account that is refused is tried
// again at once, as its password may be new.
func (d *Delivery) Configure(s Settings) {
	d.settings.Store(&s)
	signal(d.changed)
}

// Handover gives messages that the store holds to Run, to be sent or, where the
// provider has them already, followed. It never blocks. Where another process is
// the one that sends, that one finds them in the store.
func (d *Delivery) Handover(ms ...outbox.Message) {
	if !d.leading.Load() {
		return
	}
	d.mu.Lock()
	for _, m := range ms {
		d.recent.Add(m.ID, struct{}{})
		switch m.State {
		case outbox.Queued, outbox.Sending:
			d.inbox = append(d.inbox, m)
		case outbox.Accepted:
			d.poller.add(m)
			d.inbox = append(d.inbox, m)
		}
	}
	d.mu.Unlock()
	signal(d.wake)
}

// Refusal says why the provider refuses the whole account, "" while it does not.
func (d *Delivery) Refusal() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refusal
}

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
			d.setLimits()
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
		if len(j.fold) > 0 {
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
	others := r.job.fold
	r.job.fold = nil
	if !r.again.IsZero() {
		d.queue.again(r.job, r.again, now)
		for _, j := range others {
			d.queue.again(j, r.again, now)
		}
		return
	}
	if r.folded {
		d.queue.charge(r.job.lane.to, now) // for the digest
	}
	if !r.taken.IsZero() && r.late {
		d.toldLate(r.job.lane.to)
	}
	for _, j := range append(others, r.job) {
		d.queue.done(j, r.taken, now)
		delete(d.known, j.id)
		if j.message != nil {
			d.heldText--
		}
	}
	d.measure()
}

func (d *Delivery) setLimits() {
	s := d.settings.Load()
	d.queue.limits = s.Limits
	d.queue.budget.daily = s.DailyBudget
	d.queue.pause = 0
	if s.MaxPerSecond > 0 {
		d.queue.pause = time.Second / time.Duration(s.MaxPerSecond)
	}
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

// measure updates what the gauges show.
func (d *Delivery) measure() {
	for len(d.ages) > 0 && d.known[d.ages[0]] == nil {
		heap.Pop(&d.ages)
	}
	var oldest int64
	if len(d.ages) > 0 {
		oldest = outbox.MadeAt(d.ages[0]).UnixMilli()
	}
	d.waiting.Store(int64(len(d.known)))
	d.oldest.Store(oldest)
}

// ages is a heap of message ids, which sort by age.
type ages []string

func (a ages) Len() int           { return len(a) }
func (a ages) Less(i, j int) bool { return a[i] < a[j] }
func (a ages) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *ages) Push(x any)        { *a = append(*a, x.(string)) }
func (a *ages) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// apply makes a change in the store and tells those who follow the message.
func (d *Delivery) apply(ctx context.Context, c outbox.Change) (outbox.Message, bool, error) {
	m, applied, err := d.store.Apply(ctx, c)
	if err != nil || !applied {
		return m, applied, err
	}
	switch {
	case c.To == "":
		return m, true, nil
	case m.State.Final():
		d.ended(m, c)
		return m, true, nil
	case m.State == outbox.Accepted && d.leading.Load():
		d.poller.add(m)
	}
	d.metrics.changed(m, c)
	return m, true, nil
}

// ended tells those who follow a message that it has reached a final state.
func (d *Delivery) ended(m outbox.Message, c outbox.Change) {
	d.metrics.changed(m, c)
	d.poller.remove(m.ID)
	d.logFinal(m, c)
	d.onFinal(m)
}

func (d *Delivery) logFinal(m outbox.Message, c outbox.Change) {
	level := slog.LevelInfo
	if m.State != outbox.Delivered && m.State != outbox.Superseded {
		level = slog.LevelWarn
	}
	d.logger.Log(context.Background(), level, "message "+string(m.State), "id", m.ID, "to", m.To, "receiver", m.Receiver,
		"after", c.At.Sub(m.CreatedAt).Round(time.Millisecond), "detail", c.Detail)
}

// signal wakes whoever waits on a channel of length one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits for a while, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// describe is a duration as people read it in an event.
func describe(d time.Duration) string { return fmt.Sprint(d.Round(100 * time.Millisecond)) }
