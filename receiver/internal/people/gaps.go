package people

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// gapsAhead is how far ahead gaps of rotas are searched for; gapsFor is how long the result is reused.
	gapsAhead = 14 * 24 * time.Hour
	gapsFor   = time.Minute
)

// gaps caches when the next gap of each rota begins.
type gaps struct {
	mu     sync.Mutex
	found  map[string]time.Time // by rota; absent if it has no gap
	roster *Roster              // the roster that was searched
	at     time.Time
}

// NextGaps returns, for each rota with a gap in the next two weeks, when the first one begins. If
// nobody is on duty now, that is now.
func (d *Directory) NextGaps(now time.Time) map[string]time.Time {
	g := &d.nextGaps
	g.mu.Lock()
	defer g.mu.Unlock()
	roster := d.Roster()
	if age := now.Sub(g.at); g.roster == roster && age >= 0 && age < gapsFor {
		return g.found
	}
	g.found, g.roster, g.at = make(map[string]time.Time), roster, now
	for _, name := range roster.Rotas() {
		for _, span := range roster.Timeline(name, now, now.Add(gapsAhead)) {
			if span.Gap {
				g.found[name] = span.Start
				break
			}
		}
	}
	return g.found
}

var nextGapDesc = prometheus.NewDesc("smspager_rota_next_gap_timestamp_seconds", "When the next gap of a rota begins; 0 if there is none in the next two weeks.", []string{"rota"}, nil)

func (d *Directory) collectGaps(ch chan<- prometheus.Metric) {
	found := d.NextGaps(d.spool.Now())
	for _, name := range d.Roster().Rotas() {
		at := 0.0
		if gap, ok := found[name]; ok {
			at = float64(gap.Unix())
		}
		ch <- prometheus.MustNewConstMetric(nextGapDesc, prometheus.GaugeValue, at, name)
	}
}
