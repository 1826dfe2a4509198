package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// TestGrace: after trouble with the database, messages that were made before it wait until the open
// messages were read, and for three seconds more. A database in trouble again and again holds them up
// for half a minute at most.
func TestGrace(t *testing.T) {
	start := time.Date(2026, 11, 28, 2, 10, 5, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	type event struct {
		at   float64
		read bool // otherwise trouble
	}
	brief := []event{{10, false}, {10, true}}
	outage := []event{{10, false}, {30, false}, {49, false}, {50, true}}
	var again []event // every two seconds
	for s := 10.0; s <= 40; s += 2 {
		again = append(again, event{s, false}, event{s + 1, true})
	}
	for name, tc := range map[string]struct {
		events    []event
		made, now float64
		waits     bool
	}{
		"no trouble":                        {nil, 5, 10, false},
		"made before the trouble":           {brief, 5, 12.9, true},
		"three seconds later":               {brief, 5, 13, false},
		"made after the trouble":            {brief, 10.1, 12, false},
		"young":                             {brief, 9.5, 10.4, false},
		"no longer young":                   {brief, 9.5, 10.5, true},
		"the messages are not read yet":     {brief[:1], 5, 20, true},
		"for half a minute":                 {brief[:1], 5, 40, false},
		"a long outage is over":             {outage, 5, 52.9, true},
		"three seconds after a long outage": {outage, 5, 53, false},
		"trouble again and again":           {again[:30], 5, 39.9, true},
		"after half a minute of that":       {again, 5, 41.5, false},
		"a new trouble after that":          {append(slices.Clone(again), event{50, false}), 45, 51, true},
		"the database's clock was set back": {brief, 5, -100, false},
		"a message from the future":         {brief, 500, 11, false},
	} {
		t.Run(name, func(t *testing.T) {
			var g grace
			for _, e := range tc.events {
				if e.read {
					g.read(at(e.at))
				} else {
					g.begin(at(e.at))
				}
			}
			if got := g.holds(outbox.FirstID(at(tc.made)), at(tc.now)); got != tc.waits {
				t.Errorf("a message made at %v waits at %v: %t, want %t", tc.made, tc.now, got, tc.waits)
			}
		})
	}
}
