package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// settled is how long everything must work after a webhook for its latency to be measured.
const settled = time.Second

// aftermath is how long the effects of a fault may last, by part: a new leader takes 6 seconds, and a request
// to which the provider does not respond lasts until its timeout.
var aftermath = map[part]time.Duration{process: 7 * time.Second, database: 7 * time.Second, clock: 7 * time.Second, account: time.Minute, provider: 2 * time.Second}

// calm records when each part was broken.
type calm struct {
	mu  sync.Mutex
	all map[part][]span
}

// broken records that a part is broken until end is called.
func (c *calm) broken(p part) (end func()) {
	began := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[part][]span)
	}
	i := len(c.all[p])
	c.all[p] = append(c.all[p], span{from: began, to: began.Add(time.Hour)})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all[p][i].to = time.Now()
	}
}

// works reports whether parts worked from a time until settled after it. If entirely is true, the
// aftermath of earlier faults must have been over, too; that of an account's faults always must.
func (c *calm) works(at time.Time, entirely bool, parts ...part) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(parts, func(p part) bool {
		return slices.ContainsFunc(c.all[p], func(s span) bool {
			to := s.to
			if entirely || p == account {
				to = to.Add(aftermath[p])
			}
			return to.After(at) && s.from.Before(at.Add(settled))
		})
	})
}

// isFelt reports whether one of these parts was broken between two times, or shortly before.
func (c *calm) isFelt(from, to time.Time, shortly time.Duration, parts ...part) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(parts, func(p part) bool {
		return slices.ContainsFunc(c.all[p], func(s span) bool { return !s.from.After(to) && s.to.Add(shortly).After(from) })
	})
}

// latencies holds times from webhooks to the requests that send their messages.
type latencies []time.Duration

func (l latencies) String() string {
	if len(l) == 0 {
		return "none"
	}
	slices.Sort(l)
	return fmt.Sprintf("%d pages, p50 %s, p99 %s, max %s", len(l), l.at(0.5), l.at(0.99), l.at(1))
}

func (l latencies) at(quantile float64) time.Duration {
	return l[min(len(l)-1, int(quantile*float64(len(l))))].Round(time.Millisecond / 10)
}
