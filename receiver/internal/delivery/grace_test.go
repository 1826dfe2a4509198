package delivery

import (
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// TestGrace: after trouble with the database, messages that were made before it wait for three seconds.
// A database in trouble again and again holds them up for half a minute at most.
func TestGrace(t *testing.T) {
	start := time.Date(2026, 11, 28, 2, 10, 5, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	every := func(until float64) (all []float64) {
		for s := 10.0; s <= until; s += 2 {
			all = append(all, s)
		}
		return all
	}
	for name, tc := range map[string]struct {
		trouble   []float64
		made, now float64
		waits     bool
	}{
		"no trouble":                             {nil, 5, 10, false},
		"made before the trouble":                {[]float64{10}, 5, 12.9, true},
		"three seconds later":                    {[]float64{10}, 5, 13, false},
		"made after the trouble":                 {[]float64{10}, 10.1, 12, false},
		"young":                                  {[]float64{10}, 9.5, 10.4, false},
		"no longer young":                        {[]float64{10}, 9.5, 10.5, true},
		"made between two troubles":              {[]float64{10, 12}, 11, 14, true},
		"trouble again and again":                {every(38), 5, 39.9, true},
		"after half a minute of that":            {every(40), 5, 40, false},
		"a new trouble after that":               {append(every(40), 50), 45, 51, true},
		"the database's clock was set back":      {[]float64{10}, 5, -100, false},
		"the database's clock was ahead for one": {[]float64{10}, 500, 11, false},
	} {
		t.Run(name, func(t *testing.T) {
			var g grace
			for _, s := range tc.trouble {
				g.begin(at(s))
			}
			id := outbox.FirstID(at(tc.made))
			if got := g.holds(id, at(tc.now)); got != tc.waits {
				t.Errorf("a message made at %v waits at %v: %t, want %t", tc.made, tc.now, got, tc.waits)
			}
		})
	}
}
