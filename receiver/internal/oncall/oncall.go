// Package oncall makes an on-call system of a pager: it knows people, opens a page
// for what wants an answer, and sees to it that somebody answers.
//
// A page is the group of a receiver that wants answers, while it fires (see
// Turn, which intake asks about each notification). It has a code that phones
// answer with, and a history. While nobody answers, it is escalated, step by
// step, and at once where a text did not arrive; an acknowledgement, a silence or
// the end of the alerts stops that.
//
// Phones answer by text (see Reply): they acknowledge, silence in Alertmanager,
// take back, and ask. Everything that is to be done is in the outbox, with a time;
// a step is stored together with the messages that it sends, guarded by the page's
// version. So it is taken once, whatever crashes and however many processes there
// are.
//
// Besides, heartbeats are watched (see Beat), rotas tell who is on duty (see
// Roster), and the credit is guarded (see Credit).
package oncall

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// storeRetry is how often the store is tried again.
	storeRetry = time.Second
	// sharedGap is how often other processes' work is looked for; alone nobody
	// else works.
	sharedGap = 2 * time.Second
	aloneGap  = 10 * time.Minute
	// clientTimeout is of requests to Alertmanager.
	clientTimeout = 10 * time.Second
)

// Store is what on-call reads and writes. An outbox.Store is one.
type Store interface {
	Add(context.Context, outbox.Entry) (outbox.Added, error)
	Get(ctx context.Context, id string) (outbox.Message, error)
	List(context.Context, outbox.Query) ([]outbox.Message, error)
	FindAPIID(ctx context.Context, apiID string) (id string, err error)
	Page(ctx context.Context, id string) (outbox.Page, error)
	Pages(context.Context, outbox.PageQuery) ([]outbox.Page, error)
	CountPages(context.Context) (map[outbox.PageState]int, error)
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// Sender sends what the store has.
type Sender interface {
	Handover(...outbox.Message)
	// SendNow sends an entry past a store that fails, which is recorded later.
	SendNow(context.Context, *outbox.Entry) error
}

// Render makes the text of a notification, with a tail that it must end with.
type Render func(n templating.Notification, tail string) templating.Rendering

// Options are what New needs. Store and Sender are required.
type Options struct {
	Store      Store
	Sender     Sender
	Shared     bool                  // other processes use the store, too
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is measured
	Transport  http.RoundTripper     // of requests to Alertmanager, calendars and the URL of alive; nil: the network
	IDs        *outbox.IDs           // of a process, so that what is newer has the greater one; nil: of its own
	// Healthy says why smspager or the provider is not well; nil: they always are.
	Healthy func() error
}

// OnCall is the on-call system of a configuration.
type OnCall struct {
	store    Store
	sender   Sender
	logger   *slog.Logger
	metrics  *metrics
	client   *http.Client
	healthy  func() error
	ids      *outbox.IDs
	shared   bool
	gap      time.Duration // between looks at the store
	settings atomic.Pointer[settings]
	contacts contacts
	limiter  limiter
	past     past

	wake            chan struct{} // pages may be due
	silencesChanged chan struct{}
	beatsChanged    chan struct{}
	rotasChanged    chan struct{}

	mu           sync.Mutex
	again        map[string]bool          // pages that are to be looked at
	actedPast    map[outbox.Key]time.Time // replies that were acted on past the store
	reviewAll    bool                     // all of them are
	beats        map[string]time.Time
	watchedSince map[string]time.Time // heartbeats; not in here: for ever
	downFrom     time.Time            // when smspager was down last
	downTo       time.Time
}

// settings are a configuration, and what is made of it.
type settings struct {
	cfg       *config.Config
	receivers map[string]*config.Receiver
	render    map[string]Render
	directory *directory
	roster    *Roster
	silencer  *alertmanager.Silencer // nil: there is none
}

// New makes an OnCall. Configure must be called before anything else.
func New(o Options) *OnCall {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.IDs == nil {
		o.IDs = outbox.NewIDs()
	}
	if o.Healthy == nil {
		o.Healthy = func() error { return nil }
	}
	oc := &OnCall{
		store: o.Store, sender: o.Sender, logger: o.Logger, client: &http.Client{Timeout: clientTimeout, Transport: o.Transport}, healthy: o.Healthy, ids: o.IDs, shared: o.Shared, gap: aloneGap,
		wake: make(chan struct{}, 1), silencesChanged: make(chan struct{}, 1), beatsChanged: make(chan struct{}, 1), rotasChanged: make(chan struct{}, 1),
		past:  past{pages: make(map[string]ahead)},
		again: make(map[string]bool), actedPast: make(map[outbox.Key]time.Time), beats: make(map[string]time.Time), watchedSince: make(map[string]time.Time),
		limiter: limiter{replies: make(map[e164.Number][]repliedAt)},
	}
	if o.Shared {
		oc.gap = sharedGap
	}
	oc.metrics = newMetrics(o.Registerer, oc)
	return oc
}

// Configure sets or replaces the configuration. render makes the texts of each
// receiver.
func (o *OnCall) Configure(cfg *config.Config, render map[string]Render) {
	s := &settings{
		cfg: cfg, render: render, receivers: make(map[string]*config.Receiver),
		directory: newDirectory(cfg), roster: NewRoster(cfg, o.client), silencer: o.silencerOf(cfg.Alertmanager),
	}
	for i := range cfg.Receivers {
		s.receivers[cfg.Receivers[i].Name] = &cfg.Receivers[i]
	}
	before := o.settings.Load()
	if before != nil {
		s.roster.inherit(before.roster)
	}
	o.settings.Store(s)
	if before != nil { // a heartbeat that is new is waited for from now on
		o.mu.Lock()
		for _, h := range cfg.Heartbeats {
			known := false
			for _, old := range before.cfg.Heartbeats {
				known = known || old.Name == h.Name
			}
			if !known {
				o.watchedSince[h.Name] = time.Now()
			}
		}
		o.mu.Unlock()
	}
	o.metrics.beatUp.Reset()
	o.metrics.beatLast.Reset()
	signal(o.beatsChanged)
	signal(o.rotasChanged)
	o.reviewSoon()
}

// reviewSoon has all pages looked at.
func (o *OnCall) reviewSoon() {
	o.mu.Lock()
	o.reviewAll = true
	o.mu.Unlock()
	signal(o.wake)
}

// Run does what on-call has to do until the context ends, and returns when all of
// its goroutines have.
func (o *OnCall) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { o.runContacts(ctx) })
	running.Go(func() { o.runRotas(ctx) })
	running.Go(func() { o.runPages(ctx) })
	running.Go(func() { o.runSilences(ctx) })
	began := make(chan struct{})
	running.Go(func() { o.runAlive(ctx, began) })
	running.Go(func() { o.runHeartbeats(ctx, began) })
	running.Go(func() { o.runCheck(ctx) })
}

// runContacts keeps what is known of contacts up to date, until the context ends.
func (o *OnCall) runContacts(ctx context.Context) {
	for ctx.Err() == nil {
		wait := o.gap
		if o.loadContacts(ctx) != nil {
			wait = storeRetry
		}
		sleep(ctx, wait)
	}
}

// repeating does something at once, then whenever it is woken or the time has passed
// that it returned, until the context ends.
func repeating(ctx context.Context, wake <-chan struct{}, do func() time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		timer.Reset(do())
	}
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
