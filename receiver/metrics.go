package receiver

import (
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/textinghouse"
)

type metrics struct {
	client atomic.Pointer[textinghouse.Client]

	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	callbacks  *prometheus.CounterVec
	reloadOK   prometheus.Gauge
	reloadOKAt prometheus.Gauge
	zones      *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_provider_requests_total", Help: "Requests to the provider, by command, endpoint and outcome: ok, an error code, or the kind of failure.",
		}, []string{"command", "endpoint", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "smspager_provider_request_duration_seconds", Help: "Time until the provider responded.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"command"}),
		callbacks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_callbacks_total", Help: "Callbacks from the provider, receipts (dlr) and replies (mo), by outcome.",
		}, []string{"kind", "outcome"}),
		reloadOK: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_config_last_reload_successful", Help: "1 if the last load of the configuration succeeded.",
		}),
		reloadOKAt: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_config_last_reload_success_timestamp_seconds", Help: "Time of the last successful load of the configuration.",
		}),
		zones: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_tzdata_info", Help: "1 for the release of the time zone data in use, and the folder it is in, or program for the copy in smspager.",
		}, []string{"release", "source"}),
	}
	m.reloaded(nil)
	reg.MustRegister(endpoints{m})
	return m
}

// endpoints collects the health of the provider's endpoints.
type endpoints struct{ *metrics }

var endpointUp = prometheus.NewDesc("smspager_endpoint_up", "1 if the last request to the provider's endpoint did not fail.", []string{"endpoint"}, nil)

func (e endpoints) Describe(ch chan<- *prometheus.Desc) { ch <- endpointUp }

func (e endpoints) Collect(ch chan<- prometheus.Metric) {
	client := e.client.Load()
	if client == nil {
		return
	}
	seen := make(map[string]bool)
	for _, h := range client.Endpoints() {
		if seen[h.Endpoint] { // two paths on one host
			continue
		}
		seen[h.Endpoint] = true
		up := 0.0
		if h.Up {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(endpointUp, prometheus.GaugeValue, up, h.Endpoint)
	}
}

func (m *metrics) observe(e textinghouse.Exchange) {
	m.requests.WithLabelValues(e.Command, e.Endpoint, e.Outcome).Inc()
	m.duration.WithLabelValues(e.Command).Observe(e.Duration.Seconds())
}

// noteZones reports the time zone data that a configuration was read with.
func (m *metrics) noteZones(logger *slog.Logger) {
	zones := zoneinfo.InUse()
	m.zones.Reset()
	m.zones.WithLabelValues(zones.Release, zones.Source).Set(1)
	logger.Info("time zone data", "release", zones.Release, "from", zones.Source)
	if old := zones.Outdated(); old != "" {
		logger.Warn(old)
	}
}

func (m *metrics) reloaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadOKAt.SetToCurrentTime()
}
