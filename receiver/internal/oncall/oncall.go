// Package oncall makes an on-call system of a pager: it opens a page for each group of alerts that
// somebody must respond to, and escalates the page until somebody acknowledges it.
//
// Each type owns one task, its data and its loop; [OnCall] only puts them together:
//
//   - notifications decide what a notification does to the page of its group, see [OnCall.Turn];
//   - escalation takes the steps that are due;
//   - replies carry out what phones ask for, see [OnCall.Reply];
//   - silences ask Alertmanager for what replies want, and report the outcome.
//
// The life of a page is in the folder page, the meaning of a reply in the folder command; both are
// pure. All that is to be done is in the outbox, with a time: a step is stored in one entry with its
// messages, guarded by the page's version. So it is taken once, whatever crashes and however many
// processes there are.
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
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

// clientTimeout bounds a request to Alertmanager.
const clientTimeout = 10 * time.Second

// Spool keeps pages, marks and messages. A spool.Spool is one.
type Spool interface {
	Now() time.Time // the clock of all stored times
	Commit(context.Context, spool.Policy, spool.Build) (outbox.Added, error)
	Try(context.Context, spool.Policy, outbox.Entry) (outbox.Added, error)
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
	Get(ctx context.Context, id string) (outbox.Message, error)
	List(context.Context, outbox.Query) ([]outbox.Message, error)
	FindAPIID(ctx context.Context, apiID string) (id string, err error)
	Page(ctx context.Context, id string) (outbox.Page, error)
	Pages(context.Context, outbox.PageQuery) ([]outbox.Page, error)
	CountPages(context.Context) (map[outbox.PageState]int, error)
}

// Render makes the text of a notification; the receiver sets the budget's segments if there are none.
type Render func(n templating.Notification, b templating.Budget) templating.Rendering

// Options are what New needs. Spool, People and Notices are required.
type Options struct {
	Spool      Spool
	People     *people.Directory
	Notices    *people.Notices
	Shared     bool                  // other processes use the store, too
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is measured
	Transport  http.RoundTripper     // of requests to Alertmanager; nil: the network
}

// OnCall is the on-call system of a configuration. It is safe for concurrent use.
type OnCall struct {
	tools
	transport     http.RoundTripper // nil: the network
	notifications *notifications
	escalation    *escalation
	replies       *replies
	silences      *silences
}

// settings hold a configuration and what was built from it.
type settings struct {
	cfg       *config.Config
	receivers map[string]*config.Receiver
	plans     map[string]*page.Plan // of receivers
	order     *templating.SeverityOrder
	render    map[string]Render      // of receivers
	silencer  *alertmanager.Silencer // nil: silences are not set up
	links     link.Links
}

// plan returns what the receiver of a page wants. If it is not configured, Alertmanager is only asked
// whether the page is over; nil: it cannot be asked either.
func (s *settings) plan(receiver string) *page.Plan {
	if s.receivers[receiver] == nil && s.silencer != nil {
		return &page.Plan{Pages: true, Asks: true}
	}
	return s.plans[receiver]
}

// tools are what the types of this package work with. Their own data is in themselves.
type tools struct {
	settings *atomic.Pointer[settings]
	spool    Spool
	pages    *pages
	people   *people.Directory
	texts    *texts
	asking   *asking
	logger   *slog.Logger
	metrics  *metrics
	gap      time.Duration // between reads of the store
	wake     loop.Bell     // pages may be due
}

// New returns an OnCall. Configure must be called before anything else.
func New(o Options) *OnCall {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	current := new(atomic.Pointer[settings])
	t := tools{
		settings: current, spool: o.Spool, people: o.People,
		pages:  &pages{spool: o.Spool, settings: current, logger: o.Logger},
		texts:  &texts{people: o.People, notices: o.Notices, settings: current},
		asking: newAsking(func() *alertmanager.Silencer { return current.Load().silencer }, o.Spool.Now),
		logger: o.Logger, metrics: newMetrics(o.Registerer, o.Spool), gap: spool.Gap(o.Shared), wake: loop.NewBell(),
	}
	e := &escalation{tools: t, rounds: loop.Rounds(o.Registerer, "escalation"), again: make(map[string]bool), failures: make(map[string]*failure)}
	s := &silences{tools: t, rounds: loop.Rounds(o.Registerer, "silences"), changed: loop.NewBell()}
	return &OnCall{
		tools: t, transport: o.Transport, notifications: &notifications{t}, escalation: e, silences: s,
		replies: &replies{tools: t, escalation: e, silences: s},
	}
}

// Configure sets or replaces the configuration. render makes the texts of each receiver, and links what
// they end with if the receiver has links.
func (o *OnCall) Configure(cfg *config.Config, render map[string]Render, links link.Links) {
	s := &settings{
		cfg: cfg, links: links, render: render, receivers: make(map[string]*config.Receiver), plans: make(map[string]*page.Plan),
		order: cfg.Severities.SeverityOrder(), silencer: alertmanager.Of(cfg.Alertmanager, o.transport, clientTimeout),
	}
	for i := range cfg.Receivers {
		r := &cfg.Receivers[i]
		plan := &page.Plan{Pages: r.Pages(), Asks: s.silencer != nil, NoReceipt: r.NoReceipt, Repeat: r.Repeat}
		for _, step := range r.Escalate {
			plan.Steps = append(plan.Steps, page.Step{After: step.After, To: step.To})
		}
		s.receivers[r.Name], s.plans[r.Name] = r, plan
	}
	o.settings.Store(s)
	o.escalation.reviewAllSoon()
}

// Run does what is due until the context ends, and returns when all of its goroutines have.
func (o *OnCall) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { o.escalation.run(ctx) })
	running.Go(func() { o.silences.run(ctx) })
	running.Wait()
}

// Turn decides what a notification does to the page of its group, and who gets a message about it. to
// are the recipients that the receiver and the labels of alerts name; if the receiver has no pages,
// they are all there is.
//
// If what it was decided from changes before it is stored, storing gives outbox.ErrConflict and Turn
// must be asked again. If the store cannot be read, Turn decides as if there was no page; Merge
// corrects that when it is stored.
func (o *OnCall) Turn(ctx context.Context, receiver string, n *templating.Notification, to []outbox.Person, at time.Time) (outbox.Turn, error) {
	return o.notifications.turn(ctx, receiver, n, to, at)
}

// Fires reports whether Alertmanager lists a firing alert of a notification and does not hold it back. It
// must know if all Alertmanagers respond, and none was started a moment ago.
func (o *OnCall) Fires(ctx context.Context, n *templating.Notification) (fires, known bool) {
	return o.asking.fires(ctx, n)
}

// Committed takes in an entry that was stored, or is kept to be stored: its pages may be due.
func (o *OnCall) Committed(e *outbox.Entry) {
	if len(e.AllPages()) > 0 {
		o.wake.Ring()
	}
}

// Merge makes a page that was built while the store could not be read fit the stored one, nil if there
// is none: what was done in between is kept, and what was done to the page made is added. taken says
// that another page has its code. It returns nil if there is nothing to store.
func (o *OnCall) Merge(ctx context.Context, stored *outbox.Page, made outbox.Page, taken bool) (*outbox.Page, error) {
	switch {
	case stored == nil && !made.State.Current():
		return nil, nil
	case stored == nil:
		made.Version = 0
		if !taken {
			return &made, nil
		}
		var err error
		made.Code, err = o.pages.drawCode(ctx, made.OpenedAt)
		return &made, err
	}
	other, err := o.pages.read(made)
	if err != nil {
		return nil, err
	}
	base, err := o.pages.read(*stored)
	if err != nil {
		return nil, err
	}
	other.Events = made.Events
	base.Merge(other)
	base.Schedule(o.pages.plan(made.Receiver))
	return base.Stored(), nil
}

// Reply takes in a text from a phone and carries out what it asks for, once, however often the
// callback comes. After an error nothing was done, and the callback should be repeated.
func (o *OnCall) Reply(ctx context.Context, r textinghouse.Reply) (Outcome, error) {
	return o.replies.take(ctx, r)
}

// Final takes in a message that has reached its final state. If it did not arrive, the escalation of
// its page may go on immediately.
func (o *OnCall) Final(m outbox.Message) { o.escalation.final(m) }

// Undelivered takes in the id of a message that some process found not to have arrived.
func (o *OnCall) Undelivered(ctx context.Context, id string) {
	if m, err := o.spool.Get(ctx, id); err == nil {
		o.Final(m)
	}
}

// Needless returns the reason to drop a queued message, or "" to send it: its recipient wants no more
// texts, or its page is held or over.
func (o *OnCall) Needless(ctx context.Context, m outbox.Message) string {
	switch {
	case people.AskedFor(&m):
		return ""
	case o.people.Stopped(m.To):
		return "its recipient wants no more texts"
	case m.PageID == "":
		return ""
	}
	p, err := o.spool.Page(ctx, m.PageID)
	ended := p.UpdatedAt
	for _, e := range p.Events {
		if e.Type == outbox.PageEventResolved || e.Type == outbox.PageEventExpired {
			ended = e.At
		}
	}
	switch {
	case err != nil: // rather sent in vain than missing
		return ""
	case !p.State.Current() && m.CreatedAt.Before(ended):
		return "the page is " + string(p.State)
	case p.State.Current() && p.State != outbox.PageOpen && m.CreatedAt.Before(p.AcknowledgedAt):
		return p.AcknowledgedBy + " has the page"
	}
	return ""
}
