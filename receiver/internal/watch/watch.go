// Package watch checks that pages would arrive: heartbeats from Alertmanager, probes to the
// provider's free test number, the account's credit, and smspager's own uptime. While all is well,
// it calls an external dead-man's switch.
package watch

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// People knows who receives an alarm.
type People interface {
	People(to []config.Recipient, severities []string, at time.Time) []outbox.Person
}

// Alarm builds the messages of an alarm.
type Alarm interface {
	Alarm(to []outbox.Person, group string, at time.Time, text string) []outbox.Message
	NewID(at time.Time) string
}

// Options are the options of New.
type Options struct {
	Spool      *spool.Spool
	People     People
	Alarm      Alarm
	Shared     bool // other processes use the store too
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is measured
	Transport  http.RoundTripper     // carries the calls to the dead-man's switch; nil: the default transport
	Healthy    func() error          // returns why smspager or the provider is not healthy
}

// Watch runs all checks. It is safe for concurrent use.
type Watch struct {
	heartbeats *heartbeats
	uptime     *uptime
	deadman    *deadman
	probe      *probe
	account    *account
	seen       *seen
}

// New returns a Watch. Configure must be called before anything else.
func New(o Options) *Watch {
	h, last := newHeartbeats(&o), &seen{}
	return &Watch{
		seen:       last,
		heartbeats: h, uptime: &uptime{Options: &o, heartbeats: h, rounds: loop.Rounds(o.Registerer, "uptime")},
		deadman: newDeadman(&o), probe: newProbe(&o, last), account: newAccount(&o, last),
	}
}

// Configure sets or replaces the configuration and the account at the provider.
func (w *Watch) Configure(cfg *config.Config, account Account) {
	w.heartbeats.configure(cfg.Heartbeats)
	w.deadman.configure(cfg.Alive)
	w.probe.configure(cfg.Probe.Interval)
	w.account.configure(account, cfg.Credit)
}

// Run runs the checks until the context ends. It returns when all of its goroutines have ended.
func (w *Watch) Run(ctx context.Context) {
	began := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { w.uptime.run(ctx, began) })
	running.Go(func() { w.heartbeats.run(ctx, began) })
	running.Go(func() { w.deadman.run(ctx) })
	running.Go(func() { w.probe.run(ctx) })
	running.Go(func() { w.account.run(ctx) })
	running.Go(func() { w.account.recover(ctx) })
	running.Wait()
}

// Beat handles a notification that may be a beat: one to a heartbeat's receiver with a firing alert
// that its matchers match. It reports whether the receiver has a heartbeat.
func (w *Watch) Beat(ctx context.Context, receiver string, n *templating.Notification, at time.Time) bool {
	return w.heartbeats.beat(ctx, receiver, n, at)
}

// Final handles a message that has reached its final state. Only probes matter here.
func (w *Watch) Final(m outbox.Message) { w.probe.final(m) }

func latest(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }

// span formats a duration in two units.
func span(d time.Duration) string { return cmp.Or(templating.Duration(d), "0s") }
