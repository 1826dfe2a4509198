package loop_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/smspager/smspager/receiver/internal/loop"
)

func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begin, bell := time.Now(), loop.NewBell()
		bell.Ring() // covered by the first call
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			loop.Repeat(ctx, loop.Rounds(nil, "test"), bell, func() time.Duration {
				if at = append(at, time.Since(begin)); len(at) == 1 {
					bell.Ring()
					bell.Ring() // while the loop is busy, both count as one
				}
				return time.Minute
			})
		}()
		time.Sleep(90 * time.Second)
		bell.Ring()
		time.Sleep(61 * time.Second)
		cancel()
		<-done
		bell.Ring() // nobody listens
		if want := []time.Duration{0, 0, time.Minute, 90 * time.Second, 150 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("the loop ran at %v, want %v", at, want)
		}
	})
}

// TestRepeatHasAFloor: a loop cannot spin, whatever it does or returns.
func TestRepeatHasAFloor(t *testing.T) {
	for name, returns := range map[string]time.Duration{"immediately": 0, "in the past": -time.Hour, "woken": time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			bell, rounds := loop.NewBell(), loop.Rounds(prometheus.NewRegistry(), "test")
			n := 0.0
			loop.Repeat(ctx, rounds, bell, func() time.Duration {
				n++
				bell.Ring()
				return returns
			})
			if n < 100 || n > 220 {
				t.Errorf("%s: %v rounds in ten seconds", name, n)
			}
			if counted := testutil.ToFloat64(rounds); counted != n {
				t.Errorf("%s: %v of %v rounds were counted", name, counted, n)
			}
		})
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		loop.Sleep(t.Context(), time.Hour)
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("Sleep took %v", passed)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		loop.Sleep(ctx, time.Hour)
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("after the context ended, Sleep took until %v", passed)
		}
	})
}

// TestPulse: a stuck loop is detected.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pulse loop.Pulse
		bell := loop.NewBell()
		looping, halt := context.WithCancel(t.Context())
		go func() {
			for {
				select {
				case <-looping.Done():
					return
				case <-bell:
					pulse.Beat()
				}
			}
		}()
		runs := func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return pulse.Responds(ctx, bell)
		}
		for range 2 {
			if !runs() {
				t.Error("a running loop counts as stuck")
			}
		}
		halt()
		synctest.Wait()
		if runs() {
			t.Error("a stuck loop counts as running")
		}
	})
}
