// Package delivery takes messages from the spool to the provider, and statuses from the
// provider back to the spool. It is the only sender.
//
// The sender's goroutine decides with the queue which message goes next; a bounded number
// of attempts run beside it (see attempt.go). An accepted message is followed by callbacks
// (see Receive) and, without them, by asking the provider (see poller), until its final
// status is known. Each change of a message goes to the spool, which stores it later.
//
// Of several replicas, the leader sends what is in the store (see leader). Each replica
// sends what it could not store itself.
package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

// Gateway is the provider's API. *textinghouse.Client implements it.
type Gateway interface {
	Send(context.Context, textinghouse.SMS) (apiID string, err error)
	Status(ctx context.Context, apiID string) (textinghouse.Status, error)
	StatusByClientID(ctx context.Context, clientID string) (textinghouse.Status, error)
	// Guards reports whether the provider's flood rule would refuse a message that was tried
	// recently, if the provider has accepted it but getstatus does not know it yet.
	Guards(clientID string) bool
}

// Limit is a token bucket per recipient.
type Limit = queue.Limit

// Settings can be changed while Run runs.
type Settings struct {
	Gateway     Gateway
	SenderID    string        // "" for a number that can be replied to
	Timeout     time.Duration // of the gateway's requests
	Concurrency int           // messages that are sent at the same time
	// MaxPerSecond limits how many messages are sent in a second; 0: any number.
	MaxPerSecond int
	Limits       map[string][]Limit // by receiver
	Severities   *templating.SeverityOrder
	Links        link.Links // fills in the links of texts
	DailyBudget  int        // segments after which all but critical messages go into digests; 0: none
	Callbacks    bool       // the provider calls back; if not, it is asked for statuses sooner
}

// Options are the options of New.
type Options struct {
	// Spool must call Handover, Withdraw and Changed.
	Spool      *spool.Spool
	Shared     bool // several replicas use the store
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is measured
	IDs        *outbox.IDs           // shared by the process, so that newer things have greater IDs
	// OnFinal is called for every message that reaches a final state, from any goroutine.
	// It must not block.
	OnFinal func(outbox.Message)
	Pages   Pages // nil: entries have no pages
}

// Pages knows pages. An oncall.OnCall implements it.
type Pages interface {
	// Needless returns the reason to drop a message that has waited, "" to send it.
	Needless(context.Context, outbox.Message) string
	// Undelivered is called for a message that did not arrive, as another replica found out.
	Undelivered(ctx context.Context, id string)
}

// Delivery sends what the spool hands over.
type Delivery struct {
	spool    *spool.Spool
	logger   *slog.Logger
	metrics  *metrics
	onFinal  func(outbox.Message)
	settings atomic.Pointer[Settings]
	leading  atomic.Bool // this process sends what is in the store

	sender *sender
	leader *leader
	poller *poller
}

// New returns a Delivery. Configure must be called before Run.
func New(o Options) *Delivery {
	d := &Delivery{spool: o.Spool, logger: o.Logger, onFinal: o.OnFinal}
	d.leading.Store(!o.Shared)
	d.poller = newPoller(d)
	notices := newNotices(o, d.settings.Load)
	d.sender = &sender{
		d: d, spool: o.Spool, logger: o.Logger,
		queue: queue.NewQueue(o.Spool.Now(), o.Shared),
		wake:  loop.NewBell(), emptied: loop.NewBell(), changed: loop.NewBell(), settled: make(chan queue.Result), clocks: readClocks(o.Spool.Now),
	}
	d.metrics = newMetrics(o.Registerer, d)
	d.sender.metrics = d.metrics
	d.sender.attempts = &attempts{d: d, spool: o.Spool, logger: o.Logger, metrics: d.metrics, pages: o.Pages, notices: notices}
	d.sender.attempts.sent, _ = lru.New[e164.Number, map[group]string](sentRecipients) // fails only for a size below 1
	d.leader = newLeader(d, o)
	return d
}

// Configure sets or replaces the settings. A refused account is tried again immediately: its
// password may be new.
func (d *Delivery) Configure(s Settings) {
	d.settings.Store(&s)
	d.sender.accountReplaced()
}

// Handover adds messages to send or, if the provider already has them, to follow. Only the leader
// sends those in the store; direct messages are not there. Handover never blocks. The messages must
// not be changed afterwards.
func (d *Delivery) Handover(direct bool, ms ...outbox.Message) {
	switch {
	case direct: // even if known: it may have failed the last time
		d.leader.admit(ms...)
		d.take(queue.Direct, ms)
	case d.leading.Load():
		d.take(queue.New, d.leader.admit(ms...))
	}
}

// take passes messages to the sender, and accepted ones to the poller as well.
func (d *Delivery) take(from queue.Origin, ms []outbox.Message) {
	for _, m := range ms {
		if m.State == outbox.Accepted {
			d.poller.add(m)
		}
	}
	d.sender.take(from, ms)
}

// Withdraw takes back messages that another replica may send.
func (d *Delivery) Withdraw(ids []string) {
	d.leader.forget(ids)
	d.sender.withdraw(ids)
}

// Run sends until the context ends. Then it starts nothing new, lets running requests finish,
// and returns once all of its goroutines have ended. It may be called once.
func (d *Delivery) Run(ctx context.Context) {
	var background sync.WaitGroup
	background.Go(func() { d.poller.run(ctx) })
	background.Go(func() { d.leader.run(ctx) })
	d.sender.run(ctx)
	background.Wait()
}

// maySend reports whether this process may send a message at this moment.
func (d *Delivery) maySend(id string) bool { return d.leader.maySend(id) || d.spool.Direct(id) }

// term returns the term in which this process decides about a message, 0 if no other process can.
func (d *Delivery) term(id string) int64 {
	if d.spool.Direct(id) {
		return 0
	}
	return d.leader.term.Load()
}

// record makes a change to a message that the caller does not have.
func (d *Delivery) record(ctx context.Context, c outbox.Change) {
	if _, err := d.spool.Record(ctx, c, nil); err != nil {
		d.logger.Error("cannot record a change of a message", "id", c.ID, "event", c.Event, "err", err)
	}
}

// Changed must be called for every change that was made to a message. It updates the metrics, the
// notices and the poller, and calls OnFinal for a final state.
func (d *Delivery) Changed(m outbox.Message, c outbox.Change) {
	if c.To == "" {
		return
	}
	d.metrics.changed(m, c)
	if m.State == outbox.Accepted {
		d.sender.attempts.notices.sent(&m)
	}
	switch {
	case m.State.Final():
		d.poller.remove(m.ID)
		d.logFinal(m, c)
		d.onFinal(m)
	case m.State == outbox.Accepted && d.leading.Load():
		d.poller.add(m)
	}
}

func (d *Delivery) logFinal(m outbox.Message, c outbox.Change) {
	level := slog.LevelInfo
	if m.State != outbox.Delivered && m.State != outbox.Superseded {
		level = slog.LevelWarn
	}
	if !d.logger.Enabled(context.Background(), level) {
		return
	}
	d.logger.Log(context.Background(), level, "message "+string(m.State), "id", m.ID, "to", m.To, "receiver", m.Receiver,
		"after", c.At.Sub(m.CreatedAt).Round(time.Millisecond), "detail", c.Detail)
}

// describe formats a duration for people who read an event.
func describe(d time.Duration) string { return fmt.Sprint(d.Round(100 * time.Millisecond)) }
