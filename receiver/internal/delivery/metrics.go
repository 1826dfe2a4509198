package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

type metrics struct {
	states   *prometheus.CounterVec
	segments *prometheus.CounterVec
	accepted prometheus.Histogram
	ended    *prometheus.HistogramVec
	refused  prometheus.Gauge
	leading  prometheus.Gauge
	digests  prometheus.Counter
	doubles  prometheus.Counter
	sends    prometheus.Counter // rounds of the sender
	polls    prometheus.Counter // rounds of the poller
	leads    prometheus.Counter // rounds of the leader, each of which tries to lead
	reads    prometheus.Counter // how often the leader has read the open messages
}

func newMetrics(reg prometheus.Registerer, d *Delivery) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		sends: loop.Rounds(reg, "sender"), polls: loop.Rounds(reg, "poller"), leads: loop.Rounds(reg, "leader"), reads: loop.Rounds(reg, "open messages"),
		states: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_messages_total", Help: "Messages that the provider accepted, and messages by the state they ended in.",
		}, []string{"state"}),
		segments: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_segments_total", Help: "Segments of accepted messages. The provider bills them, except for those of probes to 999.",
		}, []string{"encoding"}),
		accepted: f.NewHistogram(prometheus.HistogramOpts{
			Name: "smspager_message_accepted_seconds", Help: "Time from a webhook to the provider's acceptance of a message.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600},
		}),
		ended: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "smspager_message_ended_seconds", Help: "Time from a webhook to a message's final state, by state.",
			Buckets: []float64{.1, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 1800, 3600, 86400},
		}, []string{"state"}),
		refused: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_account_refused", Help: "1 while the provider refuses the whole account (authentication, credit), and nothing is sent.",
		}),
		digests: f.NewCounter(prometheus.CounterOpts{
			Name: "smspager_digests_total", Help: "Digests: messages that replace others held by a recipient's limits.",
		}),
		doubles: f.NewCounter(prometheus.CounterOpts{
			Name: "smspager_messages_possibly_twice_total", Help: "Messages sent again although the provider could not be asked about the previous attempt.",
		}),
		leading: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_leading", Help: "1 while this process is the leader; always 1 without replicas.",
		}),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smspager_messages_waiting", Help: "Messages that the provider does not have yet.",
	}, func() float64 { return float64(d.sender.waiting.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smspager_oldest_waiting_seconds", Help: "How long a message has waited at most that the provider does not have yet. Limits and quiet hours do not count as waiting.",
	}, func() float64 {
		oldest := d.sender.oldest.Load()
		if oldest == 0 {
			return 0
		}
		return max(0, d.spool.Now().Sub(time.UnixMilli(oldest)).Seconds())
	})
	if d.leading.Load() {
		m.leading.Set(1)
	}
	for _, s := range outbox.States() {
		if s == outbox.Accepted || s.Final() {
			m.states.WithLabelValues(string(s))
		}
	}
	return m
}

// changed counts a message that a change brought into an accepted or final state.
func (m *metrics) changed(msg outbox.Message, c outbox.Change) {
	switch {
	case msg.State == outbox.Accepted:
		m.segments.WithLabelValues(msg.Encoding).Add(float64(msg.Segments))
		m.accepted.Observe(c.At.Sub(msg.CreatedAt).Seconds())
	case msg.State.Final():
		m.ended.WithLabelValues(string(msg.State)).Observe(c.At.Sub(msg.CreatedAt).Seconds())
	default:
		return
	}
	m.states.WithLabelValues(string(msg.State)).Inc()
}
