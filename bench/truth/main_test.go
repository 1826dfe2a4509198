package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/alertmanagertest"
	"github.com/smspager/smspager/internal/realpart"
)

// TestTruth: in a short run nothing is wrong.
func TestTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 seconds")
	}
	if _, err := alertmanagertest.Built(); err != nil {
		realpart.Missing(t, err)
	}
	if err := run(context.Background(), options{duration: 20 * time.Second, seed: 1, out: t.Output()}); err != nil {
		t.Error(err)
	}
}

// TestUnknown: unknown reports when the judge must not expect a page to end.
func TestUnknown(t *testing.T) {
	now := time.Now()
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	const long = 1000
	for name, test := range map[string]struct {
		started  [2]int // seconds ago; 0: it is down
		someDown int
		bothDown int
		seen     int
		want     bool
	}{
		"both run for long":                 {[2]int{long, long}, long, long, long, false},
		"both are down":                     {[2]int{0, 0}, 0, 0, 10, true},
		"both were down a moment ago":       {[2]int{3, 3}, 4, 4, 2, true},
		"both were started, and report it":  {[2]int{100, 99}, 101, 101, 20, false},
		"both were started, and do not":     {[2]int{100, 99}, 101, 101, 110, true},
		"both were started two minutes ago": {[2]int{130, 130}, 131, 131, long, false},
		"one was down when they were asked": {[2]int{100, 40}, 41, long, 20, true},
		"one runs for long":                 {[2]int{long, 5}, 6, long, 20, false},
		"the other one is down":             {[2]int{100, 0}, 0, long, 20, true},
		"the one that runs longer is down":  {[2]int{0, 130}, 0, long, 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{verdict: newVerdict()}
			w.someDown, w.bothDown = ago(test.someDown), ago(test.bothDown)
			for i, started := range test.started {
				if w.started[i] = ago(started); started == 0 {
					w.started[i], w.down[i] = ago(long), now.Add(time.Second)
				}
			}
			doc := fmt.Appendf(nil, `{"alerts":[{"state":"firing","notified":%q,"listed":{"a":%q}},{"state":"gone","notified":%q}]}`, ago(long).Format(time.RFC3339), ago(test.seen).Format(time.RFC3339), ago(long).Format(time.RFC3339))
			var d document
			if err := json.Unmarshal(doc, &d); err != nil {
				t.Fatal(err)
			}
			if got := w.unknown(&d, now); got != test.want {
				t.Errorf("unknown: %t", got)
			}
		})
	}
}
