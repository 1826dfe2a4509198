package outboxtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

func testDuplicate(t *testing.T, s outbox.Store) {
	seen := func(key byte, second int, window time.Duration) outbox.Added {
		t.Helper()
		a, err := s.Add(context.Background(), outbox.Entry{
			Key: outbox.Key{key}, SeenAt: epoch.Add(time.Duration(second) * time.Second), Window: window,
			Messages: []outbox.Message{NewMessage(second, "999"), NewMessage(second, "+33612345678")},
		})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := seen(1, 0, 10*time.Minute)
	again := seen(1, 599, 10*time.Minute)
	if first.Duplicate || !again.Duplicate || !slices.Equal(first.IDs, again.IDs) {
		t.Errorf("the first gives %+v, its repeat %+v", first, again)
	}
	if other := seen(2, 1, 10*time.Minute); other.Duplicate {
		t.Error("another notification counts as a repeat")
	}
	if repeat := seen(1, 599, time.Minute); repeat.Duplicate {
		t.Error("a repeat after its own, shorter window counts as a duplicate")
	}
	if later := seen(1, 700, 10*time.Minute); !later.Duplicate {
		t.Error("the window does not start anew with the repeat that was sent")
	}
	ms, err := s.List(context.Background(), outbox.Query{Limit: 100})
	if err != nil || len(ms) != 6 {
		t.Errorf("%d messages are stored (%v), want 6", len(ms), err)
	}
	for range 2 {
		if a, err := s.Add(context.Background(), outbox.Entry{SeenAt: epoch, Window: time.Hour}); err != nil || a.Duplicate {
			t.Errorf("a notification without a key gives %+v, %v", a, err)
		}
	}
}

// testLatestState: an entry is a duplicate if it equals the latest state of its key, or if it is a
// late copy of the state before that, from a sender that has sent neither.
func testLatestState(t *testing.T, s outbox.Store) {
	minute := 10 * time.Minute
	n := 0
	for _, step := range []struct {
		key, state byte
		source     string
		intended   bool
		at         time.Duration
		original   int // the step that it repeats; 0: it is new
	}{
		{1, 'A', "eu1", false, 0, 0},
		{1, 'A', "eu2", false, time.Second, 1},
		{2, 'A', "eu1", false, time.Second, 0},
		{1, 'B', "eu1", false, time.Minute, 0},
		{1, 'A', "eu1", false, time.Minute + time.Second, 0},    // A, B, A
		{1, 'A', "eu3", false, time.Minute + 2*time.Second, 5},  // its twin
		{1, 'B', "eu2", false, time.Minute + 3*time.Second, 5},  // B's late twin
		{1, 'B', "eu3", false, time.Minute + 4*time.Second, 0},  // its sender has sent A already
		{1, 'A', "eu4", false, time.Minute + 35*time.Second, 0}, // too late for a twin
		{1, 'B', "eu5", true, time.Minute + 36*time.Second, 0},  // repeated on purpose
		{1, 'A', "", false, time.Minute + 37*time.Second, 0},    // without a source
		{1, 'A', "eu1", false, 2*minute + 2*time.Second, 0},     // its window is over
		{1, 'C', "eu1", false, 2*minute + 3*time.Second, 0},
		{1, 'B', "eu9", false, 2*minute + 4*time.Second, 0}, // two states ago
		{2, 'A', "eu1", false, minute, 3},
	} {
		n++
		e := outbox.Entry{
			Key: outbox.Key{step.key}, State: outbox.Key{step.state}, Source: step.source, Intended: step.intended, SeenAt: epoch.Add(step.at), Window: minute,
			Messages: []outbox.Message{NewMessage(n, "999")},
		}
		e.Messages[0].ID = outbox.FirstID(epoch.Add(time.Duration(n) * time.Second)) // an ID that later steps can compute
		want := outbox.Added{Duplicate: step.original > 0, IDs: e.IDs()}
		if step.original > 0 {
			want.IDs = []string{outbox.FirstID(epoch.Add(time.Duration(step.original) * time.Second))}
		}
		if step.source == "eu2" && step.state == 'B' { // a late copy of the state before step 5
			want.LateAfter = epoch.Add(time.Minute + time.Second)
		}
		if got, err := s.Add(context.Background(), e); err != nil || got.Duplicate != want.Duplicate || !got.LateAfter.Equal(want.LateAfter) || !slices.Equal(got.IDs, want.IDs) {
			t.Errorf("step %d gives %+v, %v, want %+v", n, got, err, want)
		}
	}
}

func testClockSetBack(t *testing.T, s outbox.Store) {
	for _, step := range []struct {
		at        time.Duration
		duplicate bool
	}{{0, false}, {-5 * time.Second, true}, {-11 * time.Minute, false}, {-10 * time.Minute, true}} {
		a, err := s.Add(context.Background(), outbox.Entry{Key: outbox.Key{1}, SeenAt: epoch.Add(step.at), Window: 10 * time.Minute})
		if err != nil || a.Duplicate != step.duplicate {
			t.Errorf("at %s: %+v, %v, want duplicate %v", step.at, a, err, step.duplicate)
		}
	}
}

func testConcurrentDuplicate(t *testing.T, s outbox.Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var stored int
	for range 32 {
		wg.Go(func() {
			a, err := s.Add(context.Background(), outbox.Entry{
				Key: outbox.Key{1}, SeenAt: epoch, Window: time.Minute, Messages: []outbox.Message{NewMessage(0, "999")},
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if !a.Duplicate {
				stored++
			}
		})
	}
	wg.Wait()
	if stored != 1 {
		t.Errorf("%d of 32 were stored, want 1", stored)
	}
}

func testBadRowFailsAlone(t *testing.T, s outbox.Store) {
	existing := NewMessage(0, "999")
	add(t, s, existing)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			fresh := NewMessage(i, "999")
			ms := []outbox.Message{fresh}
			if i%8 == 0 {
				ms = append(ms, existing) // its ID exists
			}
			_, err := s.Add(context.Background(), outbox.Entry{SeenAt: epoch, Messages: ms})
			if errors.Is(err, outbox.ErrConflict) != (i%8 == 0) || err != nil && i%8 != 0 {
				t.Errorf("notification %d: %v", i, err)
			}
			if _, found := s.Get(context.Background(), fresh.ID); (found != nil) != (err != nil) {
				t.Errorf("notification %d: added with %v, but read with %v", i, err, found)
			}
		})
	}
	wg.Wait()
}

// BenchmarkAdd stores b.N notifications of one message each, from several clients simultaneously.
func BenchmarkAdd(b *testing.B, s outbox.Store, clients int) {
	Concurrently(b, clients, func(i int) error {
		_, err := s.Add(context.Background(), outbox.Entry{
			Key: outbox.Key{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24), 1}, SeenAt: time.Now(), Window: time.Minute,
			Messages: []outbox.Message{NewMessage(i%1e6, "999")},
		})
		return err
	})
}

// Concurrently calls do b.N times, from several clients simultaneously.
func Concurrently(b *testing.B, clients int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	errs := make(chan error, clients)
	b.ResetTimer()
	for range clients {
		go func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					errs <- nil
					return
				}
				if err := do(int(i)); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}
