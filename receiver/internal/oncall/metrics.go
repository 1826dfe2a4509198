package oncall

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// collectTimeout bounds the reading of pages for a scrape.
const collectTimeout = 2 * time.Second

type metrics struct {
	escalations  *prometheus.CounterVec
	acknowledged prometheus.Histogram
	replies      *prometheus.CounterVec
	unconfirmed  prometheus.Counter
	acts         *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, spool *spool.Spool) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		escalations: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_escalations_total", Help: "Steps of escalations that were taken.",
		}, []string{"receiver"}),
		acknowledged: f.NewHistogram(prometheus.HistogramOpts{
			Name: "smspager_page_acknowledged_seconds", Help: "Time from the opening of a page to its acknowledgement.",
			Buckets: []float64{10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600},
		}),
		replies: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_replies_total", Help: "Replies by command and outcome.",
		}, []string{"command", "outcome"}),
		acts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_acts_total", Help: "Actions on pages other than by reply (console, link, API, command line), by command and outcome.",
		}, []string{"command", "outcome"}),
		unconfirmed: f.NewCounter(prometheus.CounterOpts{
			Name: "smspager_replies_unconfirmed_total", Help: "Replies without a confirmation because their number reached its limit.",
		}),
	}
	reg.MustRegister(collector{spool})
	return m
}

// collector collects the current pages.
type collector struct{ spool *spool.Spool }

var pagesDesc = prometheus.NewDesc("smspager_pages", "Current pages by state.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- pagesDesc
}

// Collect implements prometheus.Collector. If the pages cannot be read, they are left out.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	counts, err := c.spool.CountPages(ctx)
	if err != nil {
		return
	}
	for _, state := range outbox.PageStates() {
		if state.Current() {
			ch <- prometheus.MustNewConstMetric(pagesDesc, prometheus.GaugeValue, float64(counts[state]), string(state))
		}
	}
}
