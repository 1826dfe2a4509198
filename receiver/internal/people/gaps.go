package people

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// gapsAhead is how far gaps of rotas are looked for, and gapsFor how long what was found counts.
	gapsAhead = 14 * 24 * time.Hour
	gapsFor   = time.Minute
)

// gaps remembers when nobody is on duty next.
type gaps struct {
	mu     sync.Mutex
	found  map[string]time.Time // by rota; absent: no gap
	roster *Roster              // that they are of
	at     time.Time
}

// NextGaps returns when the first gap begins in the next two weeks, of each rota that has one; now, if
// nobody is on duty now.
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

var nextGapDesc = prometheus.NewDesc("smspager_rota_next_gap_timestamp_seconds", "When nobody is on duty next by a rota; 0: it has no gap in the next two weeks.", []string{"rota"}, nil)

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
