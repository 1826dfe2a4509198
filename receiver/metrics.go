package receiver

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/textinghouse"
)

type metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	reloadOK   prometheus.Gauge
	reloadOKAt prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_provider_requests_total", Help: "Requests to the provider, by command and outcome: ok, an error code, or what went wrong.",
		}, []string{"command", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "smspager_provider_request_duration_seconds", Help: "How long the provider took to answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"command"}),
		reloadOK: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_config_last_reload_successful", Help: "Whether the last load of the configuration succeeded.",
		}),
		reloadOKAt: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last loaded successfully.",
		}),
	}
	m.reloaded(nil)
	return m
}

// observe counts one exchange with the provider.
func (m *metrics) observe(e textinghouse.Exchange) {
	m.requests.WithLabelValues(e.Command, e.Outcome).Inc()
	m.duration.WithLabelValues(e.Command).Observe(e.Duration.Seconds())
}

func (m *metrics) reloaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadOKAt.SetToCurrentTime()
}
