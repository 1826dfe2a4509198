package loop_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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
			loop.Repeat(ctx, bell, func() time.Duration {
				if at = append(at, time.Since(begin)); len(at) == 1 {
					bell.Ring()
					bell.Ring() // while the loop is busy both are one ring
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
			t.Errorf("it ran at %v, want %v", at, want)
		}
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		loop.Sleep(t.Context(), time.Hour)
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("it slept for %v", passed)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		loop.Sleep(ctx, time.Hour)
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("after the context ended it slept until %v", passed)
		}
	})
}
