package people

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	gaps        *prometheus.CounterVec
	zonesDiffer *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer, d *Directory) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		gaps: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_rota_gaps_total", Help: "Times that a rota was to be paged while nobody was on duty.",
		}, []string{"rota"}),
		zonesDiffer: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "smspager_rota_zone_differences", Help: "Time zones that the calendar of a rota defines differently from the time zone data, for a moment in the next eight weeks.",
		}, []string{"rota"}),
	}
	reg.MustRegister(collector{d})
	return m
}

// collector collects the states of contacts, the gaps of rotas, and when their calendars were read.
type collector struct{ *Directory }

var (
	contactsDesc = prometheus.NewDesc("smspager_contact", "1 for the state that a contact is in: verified, unverified or stopped.", []string{"contact", "state"}, nil)
	lastReadDesc = prometheus.NewDesc("smspager_rota_last_read_timestamp_seconds", "When the calendar of a rota was last read; until then, when it was configured.", []string{"rota"}, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- contactsDesc
	ch <- nextGapDesc
	ch <- lastReadDesc
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	if c.settings.Load() == nil {
		return
	}
	for _, s := range c.Contacts() {
		ch <- prometheus.MustNewConstMetric(contactsDesc, prometheus.GaugeValue, 1, s.Name, s.State())
	}
	c.collectGaps(ch)
	for _, rota := range c.Roster().duties {
		if rota.Turns.Start != "" {
			continue
		}
		rota.mu.Lock()
		at := cmp.Or(rota.readAt, rota.since)
		rota.mu.Unlock()
		ch <- prometheus.MustNewConstMetric(lastReadDesc, prometheus.GaugeValue, float64(at.Unix()), rota.Name)
	}
}
