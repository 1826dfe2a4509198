package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// creditInterval is how often the credit is read.
const creditInterval = 5 * time.Minute

// recoverInterval is how often an endpoint that failed is tried.
const recoverInterval = 10 * time.Second

// Watch proves the chain: it sends to the provider's free test number through
// the same outbox as a page, measures until the receipt is there, and reads the
// account's credit.
type Watch struct {
	logger  *slog.Logger
	ids     *outbox.IDs
	metrics watchMetrics
	changed chan struct{}

	onCredit func(context.Context, textinghouse.Credit, time.Time)

	mu       sync.Mutex
	interval time.Duration // between probes, 0 for none
	credit   Account
}

// Account has a credit. *textinghouse.Client is one.
type Account interface {
	Credit(context.Context) (textinghouse.Credit, error)
	Recover(context.Context) // of endpoints that failed
}

type watchMetrics struct {
	probes      *prometheus.CounterVec
	duration    prometheus.Gauge
	lastSuccess prometheus.Gauge
	credit      prometheus.Gauge
	creditRead  prometheus.Gauge
}

// NewWatch makes a Watch for a Delivery, whose OnFinal must call Final. onCredit is
// told of each reading of the credit; it may be nil.
func NewWatch(reg prometheus.Registerer, logger *slog.Logger, onCredit func(context.Context, textinghouse.Credit, time.Time)) *Watch {
	if onCredit == nil {
		onCredit = func(context.Context, textinghouse.Credit, time.Time) {}
	}
	f := promauto.With(reg)
	w := &Watch{
		logger: logger, ids: outbox.NewIDs(), changed: make(chan struct{}, 1), onCredit: onCredit,
		metrics: watchMetrics{
			probes: f.NewCounterVec(prometheus.CounterOpts{
				Name: "smspager_probes_total", Help: "Test messages to 999, by the state they ended in.",
			}, []string{"state"}),
			duration: f.NewGauge(prometheus.GaugeOpts{
				Name: "smspager_probe_duration_seconds", Help: "How long the last delivered test message took, from the outbox to its receipt.",
			}),
			lastSuccess: f.NewGauge(prometheus.GaugeOpts{
				Name: "smspager_probe_last_success_timestamp_seconds", Help: "When a test message was last delivered.",
			}),
			credit: f.NewGauge(prometheus.GaugeOpts{
				Name: "smspager_credit", Help: "The account's credit, in the provider's unit, when it was last read.",
			}),
			creditRead: f.NewGauge(prometheus.GaugeOpts{
				Name: "smspager_credit_last_read_timestamp_seconds", Help: "When the credit was last read.",
			}),
		},
	}
	for _, s := range []outbox.State{outbox.Delivered, outbox.Failed, outbox.Expired, outbox.Unknown} {
		w.metrics.probes.WithLabelValues(string(s))
	}
	return w
}

// Configure sets or replaces the account and the time between probes, 0 for none.
func (w *Watch) Configure(account Account, interval time.Duration) {
	w.mu.Lock()
	w.credit, w.interval = account, interval
	w.mu.Unlock()
	signal(w.changed)
}

// Run probes and reads the credit until the context ends.
func (w *Watch) Run(ctx context.Context, d *Delivery) {
	credit := time.NewTicker(creditInterval)
	defer credit.Stop()
	probe := time.NewTicker(time.Hour)
	defer probe.Stop()
	var recovering sync.WaitGroup
	defer recovering.Wait()
	recovering.Go(func() { w.recover(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
			w.mu.Lock()
			interval := w.interval
			w.mu.Unlock()
			probe.Stop()
			if interval > 0 {
				probe.Reset(interval)
				w.probe(ctx, d, interval)
			}
			w.readCredit(ctx)
		case <-credit.C:
			w.readCredit(ctx)
		case <-probe.C:
			w.mu.Lock()
			interval := w.interval
			w.mu.Unlock()
			if interval > 0 {
				w.probe(ctx, d, interval)
			}
		}
	}
}

// recover has endpoints that failed tried, until the context ends.
func (w *Watch) recover(ctx context.Context) {
	ticker := time.NewTicker(recoverInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		account := w.credit
		w.mu.Unlock()
		if account != nil {
			account.Recover(ctx)
		}
	}
}

// probe sends one test message. A probe that could not be sent before the next
// is due is given up.
func (w *Watch) probe(ctx context.Context, d *Delivery, interval time.Duration) {
	now := time.Now()
	m := outbox.Message{
		ID: w.ids.New(now), To: e164.Test, Receiver: outbox.ProbeReceiver, GroupKey: outbox.ProbeReceiver,
		Encoding: "gsm7", Segments: 1, State: outbox.Queued, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(interval),
		Events: []outbox.Event{{At: now, Type: outbox.EventQueued}},
	}
	m.Text = "smspager probe " + m.ID
	probe := func(context.Context) (*outbox.Entry, error) { return &outbox.Entry{Messages: []outbox.Message{m}}, nil }
	if _, err := d.spool.Commit(ctx, spool.Strict, probe); err != nil {
		w.metrics.probes.WithLabelValues(string(outbox.Failed)).Inc()
		w.logger.Error("cannot store a probe", "err", err)
	}
}

// Final takes in the end of a message; those that are no probes are passed over.
func (w *Watch) Final(m outbox.Message) {
	if m.Receiver != outbox.ProbeReceiver {
		return
	}
	w.metrics.probes.WithLabelValues(string(m.State)).Inc()
	if m.State == outbox.Delivered {
		w.metrics.duration.Set(m.UpdatedAt.Sub(m.CreatedAt).Seconds())
		w.metrics.lastSuccess.Set(float64(m.UpdatedAt.UnixMilli()) / 1000)
	}
}

func (w *Watch) readCredit(ctx context.Context) {
	w.mu.Lock()
	account := w.credit
	w.mu.Unlock()
	credit, err := account.Credit(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.logger.Warn("cannot read the credit", "err", err)
		}
		return
	}
	w.metrics.credit.Set(float64(credit))
	w.metrics.creditRead.SetToCurrentTime()
	w.onCredit(ctx, credit, time.Now())
}
