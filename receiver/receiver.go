// Package receiver is smspager as a library. It accepts Alertmanager's notifications, stores
// messages, sends them as SMS through TextingHouse, and follows each one until it is delivered.
//
// # Embedding
//
// [New] assembles the parts, [Receiver.Handler] serves HTTP, and [Receiver.Run] sends until its
// context ends:
//
//	cfg, err := receiver.LoadConfig("smspager.yml")
//	…
//	r, err := receiver.New(cfg, receiver.Options{Logger: logger})
//	…
//	go http.ListenAndServe(":9879", r.Handler())
//	err = r.Run(ctx)
//
// A program without a webhook calls [Receiver.Notify]. A program that embeds Alertmanager's
// pipeline uses package notifier. A [config.Config] is read from a file or written in Go. Two
// receivers in one process share nothing.
//
// # Stability
//
// Until v1, an exported name may change in a minor release; CHANGELOG.md lists each
// change. This includes the types that this package exports from packages under internal/.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/internal/logs"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/console"
	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/oncall"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/phone"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/internal/watch"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/postgres"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

// Receiver accepts notifications and sends messages.
type Receiver struct {
	logger     *slog.Logger
	refusals   *slog.Logger // for refused requests; rate limited, because strangers can make them
	gatherer   prometheus.Gatherer
	unregister func() // unregisters the metrics
	metrics    *metrics
	load       func() (*config.Config, error)
	transport  http.RoundTripper // nil: the default transports

	spool    *spool.Spool
	intake   *intake.Intake
	people   *people.Directory
	oncall   *oncall.OnCall
	delivery *delivery.Delivery
	watch    *watch.Watch
	pruned   prometheus.Counter
	access   access.Control
	api      *api.API
	console  *console.Console
	phone    *phone.Handler
	history  history
	prefix   string // the path of the private handlers; "": the root
	base     string // the path by which browsers reach the private handlers

	configuring sync.Mutex
	cfg         *config.Config
	callbacks   atomic.Pointer[http.Handler] // replaced with each configuration
	began       atomic.Bool                  // Run or Close was called
	running     atomic.Bool
	stop        sync.Once
	stopErr     error
}

// New resolves the configuration, opens the outbox and returns a Receiver. The caller must Run or
// Close it. If the disk is full or the database is down, so that the outbox cannot be opened now,
// the Receiver tries again, and sends pages meanwhile. It is an error if another process uses the
// outbox, or if the configuration is faulty (see [config.Config.Resolve]).
func New(cfg *config.Config, o Options) (*Receiver, error) {
	cfg, err := cfg.Resolve(checkStorage)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	_, several := o.Store.(outbox.Shared)
	shared := several || o.Store == nil && cfg.Storage.PostgresURL != ""
	own := prometheus.NewRegistry()
	r := &Receiver{logger: o.Logger, refusals: logs.Limit(o.Logger), load: o.Load, transport: o.Transport, cfg: cfg, metrics: newMetrics(own), pruned: loop.Rounds(own, "retention")}
	ids := outbox.NewIDs()
	r.spool, err = spool.New(r.spoolOptions(o, shared, ids, own))
	if err != nil {
		return nil, err
	}
	notices := people.NewNotices(ids)
	r.people = people.New(people.Options{
		Spool: r.spool, Notices: notices, Shared: shared, Logger: o.Logger, Registerer: own, Transport: o.Transport,
	})
	r.oncall = oncall.New(oncall.Options{
		Spool: r.spool, People: r.people, Notices: notices, Shared: shared, Logger: o.Logger, Registerer: own, Transport: o.Transport,
	})
	r.watch = watch.New(watch.Options{
		Spool: r.spool, People: r.people, Alarm: notices, Shared: shared, Logger: o.Logger, Registerer: own,
		Transport: o.Transport, Healthy: r.healthy,
	})
	r.delivery = delivery.New(delivery.Options{
		Spool: r.spool, Shared: shared, Logger: o.Logger, Registerer: own, IDs: ids, Pages: r.oncall,
		OnFinal: func(m outbox.Message) {
			r.watch.Final(m)
			r.oncall.Final(m)
		},
	})
	if err := r.openDoors(o, own); err != nil {
		return nil, errors.Join(err, r.spool.Close())
	}
	r.intake = intake.New(intake.Options{Spool: r.spool, OnCall: rooms{r.people, r.oncall, r.watch}, Shared: shared, Logger: o.Logger, Registerer: own, IDs: ids})
	if err := r.join(own, o); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.configure(cfg); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// spoolOptions returns the options of the spool, which connect it to delivery, oncall and the API.
func (r *Receiver) spoolOptions(o Options, shared bool, ids *outbox.IDs, own *prometheus.Registry) spool.Options {
	storage := r.cfg.Storage
	return spool.Options{
		IDs: ids, Open: func(ctx context.Context) (outbox.Store, error) { return o.open(ctx, storage) }, Shared: shared, Logger: o.Logger, Registerer: own,
		Handover: func(direct bool, ms ...outbox.Message) { r.delivery.Handover(direct, ms...) },
		Withdraw: func(ids []string) { r.delivery.Withdraw(ids) },
		Changed: func(m outbox.Message, c outbox.Change) {
			r.delivery.Changed(m, c)
			r.api.Wake()
		},
		Committed: func(e *outbox.Entry) {
			r.oncall.Committed(e)
			r.api.Wake()
		},
		Merge: func(ctx context.Context, stored *outbox.Page, made outbox.Page, codeTaken bool) (*outbox.Page, error) {
			return r.oncall.Merge(ctx, stored, made, codeTaken)
		},
	}
}

// rooms combines the parts that intake consults.
type rooms struct {
	*people.Directory
	*oncall.OnCall
	*watch.Watch
}

// Run sends until the context ends. Then it refuses new notifications, so that Alertmanager retries
// them, lets running requests finish, and closes the outbox. A Receiver runs once: a second call is
// an error.
func (r *Receiver) Run(ctx context.Context) error {
	if r.began.Swap(true) {
		return errors.New("the receiver has run or is closed; create another one with New")
	}
	r.configuring.Lock()
	retention := r.cfg.Storage.Retention // a reload cannot change it
	r.configuring.Unlock()
	var background sync.WaitGroup
	background.Go(func() { r.people.Run(ctx) })
	background.Go(func() { r.watch.Run(ctx) })
	background.Go(func() { r.oncall.Run(ctx) })
	background.Go(func() { r.retain(ctx, retention) })
	background.Go(func() {
		<-ctx.Done()
		r.intake.Stop()
		r.api.Close()
		r.running.Store(false)
	})
	r.running.Store(true)
	r.delivery.Run(ctx)
	background.Wait()
	return r.Close()
}

// retain deletes what ended longer ago than retention, until the context ends. It goes in small steps
// with pauses, so that webhooks wait little for it (BenchmarkPrune in outbox/sqlite).
func (r *Receiver) retain(ctx context.Context, retention time.Duration) {
	const interval, batch, pause = time.Hour, 25, 50 * time.Millisecond
	total := 0
	loop.Repeat(ctx, r.pruned, nil, func() time.Duration {
		n, err := r.spool.Prune(ctx, r.spool.Now().Add(-retention), batch)
		switch total += n; {
		case err != nil && ctx.Err() == nil:
			r.logger.Error("cannot delete old messages; trying again later", "err", err)
		case n == batch:
			return pause
		case total > 0:
			r.logger.Info("deleted old messages, pages and replies", "at_least", total, "retention", retention)
		}
		total = 0
		return interval
	})
}

// Close closes the outbox of a Receiver that does not Run.
func (r *Receiver) Close() error {
	r.began.Store(true)
	r.stop.Do(func() {
		r.unregister()
		r.intake.Stop()
		r.stopErr = r.spool.Close()
	})
	return r.stopErr
}

// Notify handles a notification as the webhook does. name is the receiver's name as in the
// configuration, or as Alertmanager writes it, with regular expression characters escaped. Notify
// returns when the messages are on disk, or accepted by the provider if the outbox cannot be
// written. If it returns an error, nothing was accepted, and the caller should retry unless it is
// an [*UnknownReceiverError].
func (r *Receiver) Notify(ctx context.Context, name string, n templating.Notification) (Result, error) {
	return r.intake.Notify(ctx, name, n)
}

// Reload applies the configuration that Options.Load reads. If that fails, the old one stays in
// force.
func (r *Receiver) Reload() error {
	if r.load == nil {
		return errors.New("reload: Options.Load is nil")
	}
	cfg, err := r.load()
	if err == nil {
		err = r.Apply(cfg)
	}
	r.metrics.reloaded(err)
	if err != nil {
		r.history.loaded(err, r.spool.Now())
		r.logger.Error("configuration not reloaded; the old one stays in force", "err", err)
		return err
	}
	r.logger.Info("configuration reloaded")
	return nil
}

// Apply resolves and applies a configuration. If that fails, the old one stays in force. Its
// storage must equal the old one's.
func (r *Receiver) Apply(cfg *config.Config) error {
	cfg, err := cfg.Resolve(checkStorage)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	r.configuring.Lock()
	defer r.configuring.Unlock()
	if cfg.Storage != r.cfg.Storage {
		return errors.New("a reload cannot change storage; restart smspager")
	}
	return r.configure(cfg)
}

// configure applies a resolved configuration to all parts. If it fails, nothing has changed.
func (r *Receiver) configure(cfg *config.Config) error {
	all := cfg.WithContacts()
	_, receivers, err := compile(all)
	if err != nil {
		return err
	}
	account := cfg.TextingHouse.ClientOptions()
	account.Transport = r.transport
	account.Observe = func(x textinghouse.Exchange) {
		r.metrics.observe(x)
		r.delivery.Observe(x)
	}
	client, err := textinghouse.NewClient(account)
	if err != nil {
		return err
	}
	render := make(map[string]oncall.Render)
	for i := range receivers {
		render[receivers[i].Name] = receivers[i].Render
	}
	r.access.Configure(cfg)
	r.api.Reconnect()
	r.console.Configure(cfg)
	r.people.Configure(cfg)
	r.oncall.Configure(all, render, linksOf(cfg))
	r.intake.Configure(intake.Settings{
		Receivers: receivers, Severities: cfg.Severities.SeverityOrder(), Token: cfg.Webhook.Token, MaxBodyBytes: cfg.Webhook.MaxBodyBytes,
	})
	limits := make(map[string][]delivery.Limit)
	for _, rc := range all.Receivers {
		for _, l := range rc.Limits {
			limits[rc.Name] = append(limits[rc.Name], delivery.Limit(l))
		}
	}
	r.delivery.Configure(delivery.Settings{
		Limits: limits, Severities: cfg.Severities.SeverityOrder(), DailyBudget: cfg.Credit.DailyBudget, MaxPerSecond: cfg.TextingHouse.MaxPerSecond,
		Links: linksOf(cfg), Gateway: client, SenderID: cfg.TextingHouse.SenderID, Timeout: cfg.TextingHouse.Timeout, Concurrency: cfg.TextingHouse.Concurrency,
		Callbacks: cfg.TextingHouse.CallbackToken != "",
	})
	callbacks := r.newCallbacks(cfg)
	r.callbacks.Store(&callbacks)
	r.watch.Configure(cfg, client)
	r.phone.Configure(cfg, linksOf(cfg))
	r.metrics.client.Store(client)
	r.history.loaded(nil, r.spool.Now())
	r.cfg = cfg
	r.metrics.noteZones(r.logger)
	return nil
}

// newCallbacks returns the handler of the provider's callbacks for a configuration.
func (r *Receiver) newCallbacks(cfg *config.Config) http.Handler {
	return textinghouse.NewHandler(textinghouse.HandlerOptions{
		Token: cfg.TextingHouse.CallbackToken.Reveal(), Networks: cfg.TextingHouse.CallbackNetworks,
		Receipt: func(ctx context.Context, receipt textinghouse.Receipt) (string, error) {
			outcome, err := r.delivery.Receive(ctx, receipt)
			return string(outcome), err
		},
		Reply: func(ctx context.Context, reply textinghouse.Reply) (string, error) {
			outcome, err := r.oncall.Reply(ctx, reply)
			return string(outcome), err
		},
		Observe: func(kind, outcome string) { r.metrics.callbacks.WithLabelValues(kind, outcome).Inc() },
		Logger:  r.refusals,
	})
}

// healthy returns an error if the outbox cannot be written, the provider refuses the account, or no
// endpoint works.
func (r *Receiver) healthy() error {
	if err := r.spool.Trouble(); err != nil {
		return fmt.Errorf("the outbox cannot be written: %w", err)
	}
	if refusal := r.delivery.Refusal(); refusal != "" {
		return fmt.Errorf("the provider refuses the account: %s", refusal)
	}
	if !r.reachable() {
		return errors.New("no endpoint of the provider works")
	}
	return nil
}

// reachable reports whether an endpoint of the provider works.
func (r *Receiver) reachable() bool {
	s := status.Status{Endpoints: r.endpoints()}
	return s.Reachable()
}

// LoadConfig reads a configuration file and runs all of its checks, those of the templates
// included. The error is a [config.Errors] with every fault, unless the file cannot be read.
func LoadConfig(path string) (*config.Config, error) {
	return config.Load(path, checkTemplates, checkStorage)
}

// checkStorage is the config.Check of the database's URL.
func checkStorage(cfg *config.Config, report func(path string, err error)) {
	if cfg.Storage.PostgresURL == "" {
		return
	}
	if err := postgres.CheckURL(cfg.Storage.PostgresURL.Reveal()); err != nil {
		report("storage", err)
	}
}
