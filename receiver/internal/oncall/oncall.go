// Package oncall makes an on-call system of a pager: it opens a page for each group of alerts that
// somebody must respond to, and escalates the page until somebody acknowledges it.
//
// Each type owns one task, its data and its loop; [OnCall] only puts them together:
//
//   - notifications decide what a notification does to the page of its group, see [OnCall.Decide];
//   - escalation takes the steps that are due;
//   - replies carry out what phones ask for, see [OnCall.Reply];
//   - silences ask Alertmanager for the silences that replies want, and report the outcome.
//
// The life of a page is in package page, the meaning of a reply in package command; both are pure.
// Everything that is due later is in the outbox, with its time. A step is stored in one entry with its
// messages, guarded by the page's version, so it is taken once, even after a crash or with several
// replicas.
package oncall

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
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

// Render renders the text of a notification. If the budget has no segments, those of the receiver apply.
type Render func(n templating.Notification, b templating.Budget) templating.Rendering

// Options holds the arguments of New.
type Options struct {
	Spool      *spool.Spool
	People     *people.Directory
	Notices    *people.Notices
	Shared     bool // other replicas use the store, too
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Transport  http.RoundTripper // for requests to Alertmanager; nil: the network
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

// settings holds a configuration and the values built from it.
type settings struct {
	cfg       *config.Config
	receivers map[string]*config.Receiver
	plans     map[string]*page.Plan // by receiver
	order     *templating.SeverityOrder
	render    map[string]Render      // by receiver
	silencer  *alertmanager.Silencer // nil: silences are not set up
	links     link.Links
}

// plan returns the plan of a receiver. The plan of a receiver that is not configured only asks
// Alertmanager whether the page is over; it is nil if Alertmanager cannot be asked.
func (s *settings) plan(receiver string) *page.Plan {
	if s.receivers[receiver] == nil && s.silencer != nil {
		return &page.Plan{Pages: true, Asks: true}
	}
	return s.plans[receiver]
}

// tools holds what the types of this package share.
type tools struct {
	settings *atomic.Pointer[settings]
	spool    *spool.Spool
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
	current := new(atomic.Pointer[settings])
	stored := &pages{spool: o.Spool, settings: current, logger: o.Logger}
	t := tools{
		settings: current, spool: o.Spool, people: o.People, pages: stored,
		texts:  &texts{people: o.People, notices: o.Notices, settings: current},
		asking: newAsking(func() *alertmanager.Silencer { return current.Load().silencer }, stored, o.Spool.Now),
		logger: o.Logger, metrics: newMetrics(o.Registerer, o.Spool), gap: spool.Gap(o.Shared), wake: loop.NewBell(),
	}
	e := &escalation{tools: t, rounds: loop.Rounds(o.Registerer, "escalation"), toReview: make(map[string]bool), failures: make(map[string]*failure)}
	s := &silences{tools: t, rounds: loop.Rounds(o.Registerer, "silences"), changed: loop.NewBell()}
	return &OnCall{
		tools: t, transport: o.Transport, notifications: &notifications{t}, escalation: e, silences: s,
		replies: &replies{tools: t, escalation: e, silences: s},
	}
}

// Configure sets or replaces the configuration. render holds the Render of each receiver. links makes
// the links at the end of texts, if the receiver has links.
func (o *OnCall) Configure(cfg *config.Config, render map[string]Render, links link.Links) {
	s := &settings{
		cfg: cfg, links: links, render: render, receivers: make(map[string]*config.Receiver), plans: make(map[string]*page.Plan),
		order: cfg.Severities.SeverityOrder(), silencer: alertmanager.Of(cfg.Alertmanager, o.transport, clientTimeout, o.spool.Now),
	}
	for i := range cfg.Receivers {
		r := &cfg.Receivers[i]
		plan := &page.Plan{Pages: r.Pages(), Asks: s.silencer != nil, NoReceipt: r.NoReceipt, Repeat: r.Repeat}
		for _, step := range r.Escalate {
			to := make([]string, len(step.Recipients))
			for i, recipient := range step.Recipients {
				to[i] = recipient.String()
			}
			plan.Steps = append(plan.Steps, page.Step{After: step.After, To: to})
		}
		s.receivers[r.Name], s.plans[r.Name] = r, plan
	}
	o.settings.Store(s)
	o.escalation.reviewAllSoon()
}

// Plan returns the plan of a receiver's pages. It is nil if the receiver is not configured and
// Alertmanager cannot be asked.
func (o *OnCall) Plan(receiver string) *page.Plan { return o.pages.plan(receiver) }

// Run does what is due until the context ends, and returns when all of its goroutines have ended.
func (o *OnCall) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { o.escalation.run(ctx) })
	running.Go(func() { o.silences.run(ctx) })
	running.Wait()
}

// Decide returns what a notification does to the page of its group, and who gets a message about it. to
// are the recipients from the receiver and from the labels of alerts. If the receiver has no pages, Decide
// returns them unchanged.
//
// If a page changes between Decide and the storing of its result, storing returns outbox.ErrConflict, and
// the caller must call Decide again. If the store cannot be read, Decide returns its result as if there were no page;
// Merge corrects that when the result is stored.
func (o *OnCall) Decide(ctx context.Context, receiver string, n *templating.Notification, to []outbox.Person, at time.Time) (outbox.PageUpdate, error) {
	return o.notifications.decide(ctx, receiver, n, to, at)
}

// Fires reports whether Alertmanager lists a firing alert of a notification that is not suppressed. known
// reports whether its alerts must have ended if none fires: all Alertmanagers responded, list none of them,
// none has just started, one of them sent the notification, and it left out no alerts.
func (o *OnCall) Fires(ctx context.Context, n *templating.Notification) (fires, known bool) {
	return o.asking.fires(ctx, n)
}

// Has reports whether current pages have all firing alerts of a notification. It is also true if the receiver has
// no pages, if they cannot be read, or if no Alertmanager is asked, so that only notifications end alerts.
func (o *OnCall) Has(ctx context.Context, receiver string, n *templating.Notification) bool {
	s := o.settings.Load()
	r := s.receivers[receiver]
	return r == nil || !r.Pages() || s.silencer == nil || o.pages.have(ctx, receiver, n)
}

// Committed handles an entry that is stored, or held to be stored later: its pages and watches may be due.
func (o *OnCall) Committed(e *outbox.Entry) {
	if len(e.AllPages()) > 0 {
		o.wake.Ring()
	}
	if slices.ContainsFunc(e.Marks, func(m outbox.Mark) bool { return m.Kind == string(silenceMarks) && m.Version == 0 }) {
		o.silences.changed.Ring()
	}
}

// Merge merges a page made while the store failed into the stored page, which is nil if there is none.
// The result keeps the stored page's changes and adds those of made. codeTaken reports whether another page
// has made's code. Merge returns nil if there is nothing to store.
func (o *OnCall) Merge(ctx context.Context, stored *outbox.Page, made outbox.Page, codeTaken bool) (*outbox.Page, error) {
	switch {
	case stored == nil && !made.State.Current():
		return nil, nil
	case stored == nil:
		made.Version = 0
		if !codeTaken {
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

// Reply carries out what a text from a phone asks for, once, even if its callback is repeated. After an
// error nothing was done, and the callback should be repeated.
func (o *OnCall) Reply(ctx context.Context, r textinghouse.Reply) (Outcome, error) {
	return o.replies.take(ctx, r)
}

// Final handles a message that has reached its final state. If the message was not delivered, the next
// step of its page may be due immediately.
func (o *OnCall) Final(m outbox.Message) { o.escalation.final(m) }

// Undelivered is Final for the id of a message that any replica has recorded as not delivered.
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
	case err != nil: // a needless message is better than a missing one
		return ""
	case !p.State.Current() && m.CreatedAt.Before(ended):
		return "the page is " + string(p.State)
	case p.State.Current() && p.State != outbox.PageOpen && m.CreatedAt.Before(p.AcknowledgedAt):
		return p.AcknowledgedBy + " has the page"
	}
	return ""
}
