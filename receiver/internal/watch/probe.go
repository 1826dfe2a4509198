package watch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// probe measures the whole chain: it sends a message to the provider's test number through the
// outbox, like a page, and waits for the receipt.
type probe struct {
	*Options
	interval atomic.Int64 // a time.Duration; 0: no probes
	changed  loop.Bell
	rounds   prometheus.Counter
	seen     *seen

	ended       *prometheus.CounterVec
	duration    prometheus.Gauge
	lastSuccess prometheus.Gauge
}

func newProbe(o *Options, last *seen) *probe {
	f := promauto.With(o.Registerer)
	p := &probe{
		Options: o, seen: last, changed: loop.NewBell(),
		rounds: loop.Rounds(o.Registerer, "probe"),
		ended: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_probes_total", Help: "Probes by their final state.",
		}, []string{"state"}),
		duration: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_probe_duration_seconds", Help: "How long the last delivered probe took, from the outbox to its receipt.",
		}),
		lastSuccess: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_probe_last_success_timestamp_seconds", Help: "When a probe was last delivered or, if that is later, when probe.interval was set; 0 without probes.",
		}),
	}
	for _, s := range []outbox.State{outbox.Delivered, outbox.Failed, outbox.Expired, outbox.Unknown} {
		p.ended.WithLabelValues(string(s))
	}
	return p
}

func (p *probe) configure(interval time.Duration) {
	if p.interval.Swap(int64(interval)) != int64(interval) {
		p.seen.mu.Lock()
		p.seen.since = p.Spool.Now()
		p.show()
		p.seen.mu.Unlock()
	}
	p.changed.Ring()
}

// run sends a probe at the start, after each change of the configuration, and once every interval.
func (p *probe) run(ctx context.Context) {
	loop.Repeat(ctx, p.rounds, p.changed, func() time.Duration {
		interval := time.Duration(p.interval.Load())
		if interval == 0 {
			return time.Hour
		}
		p.send(ctx, interval)
		return interval
	})
}

// send stores a probe. It expires when the next one is due.
func (p *probe) send(ctx context.Context, interval time.Duration) {
	now := p.Spool.Now()
	m := outbox.Message{
		ID: p.Alarm.NewID(now), To: e164.Test, Receiver: outbox.ProbeReceiver, GroupKey: outbox.ProbeReceiver,
		Encoding: "gsm7", Segments: 1, State: outbox.Queued, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(interval),
		Events: []outbox.Event{{At: now, Type: outbox.EventQueued}},
	}
	m.Text = "smspager probe " + m.ID
	if _, err := p.Spool.Try(ctx, spool.Strict, outbox.Entry{SeenAt: now, Messages: []outbox.Message{m}}); err != nil {
		p.ended.WithLabelValues(string(outbox.Failed)).Inc()
		p.Logger.Error("cannot store a probe", "err", err)
	}
}

func (p *probe) final(m outbox.Message) {
	if m.Receiver != outbox.ProbeReceiver {
		return
	}
	p.ended.WithLabelValues(string(m.State)).Inc()
	if m.State == outbox.Delivered {
		p.seen.mu.Lock()
		p.seen.probe, p.seen.probeTook = m, m.UpdatedAt.Sub(m.CreatedAt)
		p.show()
		p.seen.mu.Unlock()
		p.duration.Set(m.UpdatedAt.Sub(m.CreatedAt).Seconds())
	}
}

// show sets the metric that shows since when probes are missing. seen must be locked.
func (p *probe) show() {
	at := time.UnixMilli(0)
	if p.interval.Load() > 0 {
		at = latest(p.seen.probe.UpdatedAt, p.seen.since)
	}
	p.lastSuccess.Set(float64(at.UnixMilli()) / 1000)
}
