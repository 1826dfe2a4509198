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
	// storeRetry is how often the store is tried again.
	storeRetry = time.Second
	// recentIDs is how many messages are remembered of which no hint is needed.
	recentIDs = 4096
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
	Callbacks    bool               // the provider calls back; if not, it is asked for statuses sooner
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
	// Needless says why a message that has waited need not be sent any more, "" if it
	// must: somebody has the page that it tells of, or its recipient wants no texts.
	Needless(context.Context, outbox.Message) string
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
	pages    Pages
	settings atomic.Pointer[Settings]

	poller   *poller
	recorder *recorder
	recent   *lru.Cache[string, struct{}] // ids that were handed over lately
	loading  sync.Mutex
	ids      *outbox.IDs
	late     late
	lanes    lanes

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
	d := &Delivery{
		store:   o.Store,
		shared:  o.Shared,
		logger:  o.Logger,
		onFinal: o.OnFinal,
		pages:   o.Pages,
		wake:    make(chan struct{}, 1),
		emptied: make(chan struct{}, 1),
		settled: make(chan result),
		changed: make(chan struct{}, 1),
		ids:     o.IDs,
		lanes:   lanes{used: make(map[[3]string]*track)},
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
