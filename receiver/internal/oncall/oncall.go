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
	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/commit"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/people"
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
	People     *people.Directory
	Notices    *people.Notices
	Shared     bool                  // other processes use the store, too
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is measured
	Transport  http.RoundTripper     // of requests to Alertmanager; nil: the network
}

// OnCall is the on-call system of a configuration.
type OnCall struct {
	store    Store
	sender   Sender
	logger   *slog.Logger
	metrics  *metrics
	client   *http.Client
	outbox   *commit.Outbox
	people   *people.Directory
	notices  *people.Notices
	shared   bool
	gap      time.Duration // between looks at the store
	settings atomic.Pointer[settings]
	limit    command.Limit
	past     past

	wake            loop.Bell // pages may be due
	silencesChanged loop.Bell

	mu        sync.Mutex
	again     map[string]bool          // pages that are to be looked at
	reviewAll bool                     // all of them are
	actedPast map[outbox.Key]time.Time // replies that were acted on past the store
}

// settings are a configuration, and what is made of it.
type settings struct {
	cfg       *config.Config
	receivers map[string]*config.Receiver
	render    map[string]Render
	silencer  *alertmanager.Silencer // nil: there is none
}

// New makes an OnCall. Configure must be called before anything else.
func New(o Options) *OnCall {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	oc := &OnCall{
		store: o.Store, sender: o.Sender, outbox: &commit.Outbox{Store: o.Store, Sender: o.Sender}, people: o.People, notices: o.Notices,
		logger: o.Logger, client: &http.Client{Timeout: clientTimeout, Transport: o.Transport}, shared: o.Shared, gap: aloneGap,
		wake: loop.NewBell(), silencesChanged: loop.NewBell(),
		past:  past{pages: make(map[string]ahead)},
		again: make(map[string]bool), actedPast: make(map[outbox.Key]time.Time),
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
		silencer: o.silencerOf(cfg.Alertmanager),
	}
	for i := range cfg.Receivers {
		s.receivers[cfg.Receivers[i].Name] = &cfg.Receivers[i]
	}
	o.settings.Store(s)
	o.reviewSoon()
}

// reviewSoon has all pages looked at.
func (o *OnCall) reviewSoon() {
	o.mu.Lock()
	o.reviewAll = true
	o.mu.Unlock()
	o.wake.Ring()
}

// Run does what on-call has to do until the context ends, and returns when all of
// its goroutines have.
func (o *OnCall) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { o.runPages(ctx) })
	running.Go(func() { o.runSilences(ctx) })
}
