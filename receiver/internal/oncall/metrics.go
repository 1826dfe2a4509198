package oncall

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/outbox"
)

// collectTimeout bounds the reading of pages for a scrape.
const collectTimeout = 2 * time.Second

type metrics struct {
	escalations  *prometheus.CounterVec
	acknowledged prometheus.Histogram
	replies      *prometheus.CounterVec
	unanswered   prometheus.Counter
	gaps         *prometheus.CounterVec
	rotaRead     *prometheus.GaugeVec
	beatLast     *prometheus.GaugeVec
	beatUp       *prometheus.GaugeVec
	aliveCalls   *prometheus.CounterVec
	creditLeft   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, o *OnCall) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		escalations: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_escalations_total", Help: "Steps of escalations that were taken.",
		}, []string{"receiver"}),
		acknowledged: f.NewHistogram(prometheus.HistogramOpts{
			Name: "smspager_page_acknowledged_seconds", Help: "Time from the opening of a page until somebody acknowledged it.",
			Buckets: []float64{10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600},
		}),
		replies: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_replies_total", Help: "Texts from phones, by command and by what became of them.",
		}, []string{"command", "outcome"}),
		unanswered: f.NewCounter(prometheus.CounterOpts{
			Name: "smspager_replies_unanswered_total", Help: "Texts from phones that were not answered, as their number had been answered often enough.",
		}),
		gaps: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_rota_gaps_total", Help: "How often somebody was to be paged by a rota while nobody was on duty.",
		}, []string{"rota"}),
		rotaRead: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_rota_last_read_timestamp_seconds", Help: "When the calendar of a rota was last read.",
		}, []string{"rota"}),
		beatLast: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_heartbeat_last_seen_timestamp_seconds", Help: "When a heartbeat was last seen, 0 before it was.",
		}, []string{"heartbeat"}),
		beatUp: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_heartbeat_up", Help: "1 while a heartbeat is not silent for too long.",
		}, []string{"heartbeat"}),
		aliveCalls: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_alive_calls_total", Help: "Calls to the URL of alive: ok, failed, and withheld as not all was well.",
		}, []string{"outcome"}),
		creditLeft: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_credit_left_seconds", Help: "How long the credit lasts at the pace of the last week; 0 before it is known.",
		}),
	}
	if reg != nil {
		reg.MustRegister(collector{o})
	}
	return m
}

// beat shows what is known of a heartbeat.
func (m *metrics) beat(name string, s beatState) {
	up := 1.0
	if !s.DeadAt.IsZero() {
		up = 0
	}
	m.beatUp.WithLabelValues(name).Set(up)
	last := 0.0
	if !s.LastAt.IsZero() {
		last = float64(s.LastAt.UnixMilli()) / 1000
	}
	m.beatLast.WithLabelValues(name).Set(last)
}

// collector collects the contacts, and the pages that are current.
type collector struct{ *OnCall }

var (
	contactsDesc = prometheus.NewDesc("smspager_contact", "1 for the state that a contact is in: verified, unverified or stopped.", []string{"contact", "state"}, nil)
	pagesDesc    = prometheus.NewDesc("smspager_pages", "Pages that are not over, by state.", []string{"state"}, nil)
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- contactsDesc
	ch <- pagesDesc
}

// Collect implements prometheus.Collector. Pages that cannot be read are left out.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	if c.settings.Load() == nil {
		return
	}
	for _, s := range c.Contacts() {
		ch <- prometheus.MustNewConstMetric(contactsDesc, prometheus.GaugeValue, 1, s.Name, s.State())
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	counts, err := c.store.CountPages(ctx)
	if err != nil {
		return
	}
	for _, state := range outbox.PageStates() {
		if state.Current() {
			ch <- prometheus.MustNewConstMetric(pagesDesc, prometheus.GaugeValue, float64(counts[state]), string(state))
		}
	}
}
