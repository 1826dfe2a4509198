package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

const phone = "+33639980001"

// fake is a store in memory, a sender, a directory of people, and an account at the provider.
type fake struct {
	outbox.Store
	spool   *spool.Spool
	mu      sync.Mutex
	err     error // the error that the store returns
	marks   []outbox.Mark
	stored  []string // texts handed over after they were stored
	sentNow []string // texts sent although the store failed
	credit  textinghouse.Credit
}

func (f *fake) Add(_ context.Context, e outbox.Entry) (outbox.Added, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return outbox.Added{}, f.err
	}
	for _, m := range e.Marks {
		at := slices.IndexFunc(f.marks, func(old outbox.Mark) bool { return old.Kind == m.Kind && old.Name == m.Name })
		if at < 0 && m.Version != 0 || at >= 0 && f.marks[at].Version != m.Version {
			return outbox.Added{}, outbox.ErrConflict
		}
		m.Version++
		switch {
		case at < 0:
			f.marks = append(f.marks, m)
		case m.Doc == nil:
			f.marks = slices.Delete(f.marks, at, at+1)
		default:
			f.marks[at] = m
		}
	}
	return outbox.Added{}, nil
}

func (f *fake) Marks(_ context.Context, kind string) ([]outbox.Mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.marks), func(m outbox.Mark) bool { return m.Kind != kind }), f.err
}

func (f *fake) MarksAfter(_ context.Context, at time.Time) ([]outbox.Mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.marks), func(m outbox.Mark) bool { return !m.At.After(at) }), f.err
}

func (f *fake) Pages(context.Context, outbox.PageQuery) ([]outbox.Page, error) { return nil, nil }
func (f *fake) Close() error                                                   { return nil }

func (f *fake) handover(direct bool, ms ...outbox.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range ms {
		if !direct {
			f.stored = append(f.stored, m.Text)
			continue
		}
		f.sentNow = append(f.sentNow, m.Text)
		go f.spool.Record(context.Background(), outbox.ProviderAccepted(m.ID, "", time.Now(), ""), nil)
	}
}

func (f *fake) People([]config.Recipient, []string, time.Time) []outbox.Person {
	return []outbox.Person{{Name: "alice", Number: phone}}
}

func (f *fake) Credit(context.Context) (textinghouse.Credit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.credit, nil
}

func (f *fake) Recover(context.Context) {}

func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// took returns the texts of a list, and empties the list.
func (f *fake) took(list *[]string) string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	texts := strings.Join(*list, "\n")
	*list = nil
	return texts
}

// run runs a Watch on a fake until stop is called or the test ends.
func run(t *testing.T, f *fake, cfg *config.Config, o Options) (w *Watch, stop func()) {
	var err error
	f.spool, err = spool.New(spool.Options{Open: func(context.Context) (outbox.Store, error) { return f, nil }, Handover: f.handover})
	if err != nil {
		t.Fatal(err)
	}
	o.Spool, o.People, o.Alarm, o.Logger = f.spool, f, people.NewNotices(outbox.NewIDs()), slog.New(slog.DiscardHandler)
	w = New(o)
	if cfg.Alive.Interval == 0 {
		cfg.Alive.Interval = time.Minute
	}
	w.Configure(cfg, f)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := f.spool.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	synctest.Wait()
	return w, stop
}

func beat(w *Watch) {
	n := &templating.Notification{}
	n.Status = "firing"
	w.Beat(context.Background(), "watchdog", n, time.Now())
}

var watchdog = &config.Config{Heartbeats: []config.Heartbeat{{Name: "eu", Receiver: "watchdog", Timeout: 10 * time.Minute}}}

// TestBeatFromTheFuture: a beat stored while the clock was ahead counts as received now.
func TestBeatFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, then := &fake{}, time.Now().Add(3*time.Hour)
		f.marks = []outbox.Mark{beatMarks.Set(mark.Mark[beatState]{Name: "eu", Value: beatState{SinceAt: then.Add(-time.Hour), LastAt: then}}, then)}
		w, _ := run(t, f, watchdog, Options{})
		time.Sleep(9 * time.Minute)
		beat(w)
		time.Sleep(9 * time.Minute)
		if got := f.took(&f.stored); got != "" {
			t.Errorf("while it beats: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := f.took(&f.stored); !strings.HasPrefix(got, "DEAD heartbeat eu: silent for 10m") {
			t.Errorf("when its beats are missing: %q", got)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		reg := prometheus.NewRegistry()
		w, _ := run(t, f, watchdog, Options{Registerer: reg})
		time.Sleep(19 * time.Minute) // it has never been received: twice the timeout
		if got := f.took(&f.stored); got != "" {
			t.Errorf("after 19 minutes: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := f.took(&f.stored); got != "DEAD heartbeat eu: never seen for 20m. Alerts may not arrive." {
			t.Errorf("after 21 minutes: %q", got)
		}
		beat(w)
		if got := f.took(&f.stored); got != "ALIVE heartbeat eu: it was seen for the first time." {
			t.Errorf("the first beat: %q", got)
		}
		time.Sleep(9 * time.Minute)
		beat(w)
		time.Sleep(9 * time.Minute)
		if got := f.took(&f.stored); got != "" {
			t.Errorf("while it beats: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := f.took(&f.stored); !strings.HasPrefix(got, "DEAD heartbeat eu: silent for 10m, last at 00:30 UTC.") {
			t.Errorf("when its beats are missing: %q", got)
		}
		time.Sleep(time.Hour)
		if got := f.took(&f.stored); got != "" {
			t.Errorf("once more: %q", got)
		}
		beat(w)
		if got := f.took(&f.stored); !strings.HasPrefix(got, "ALIVE heartbeat eu: it was silent for 1h11m.") {
			t.Errorf("when they are back: %q", got)
		}
	})
}

// TestHeartbeatWithoutStore: a dead heartbeat is reported once although the store fails.
func TestHeartbeatWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		w, _ := run(t, f, watchdog, Options{})
		beat(w)
		f.fail(errors.New("disk full"))
		time.Sleep(11 * time.Minute)
		if got := f.took(&f.sentNow); !strings.HasPrefix(got, "DEAD heartbeat eu: silent for 10m") || strings.Contains(got, "\n") {
			t.Errorf("without the store: %q", got)
		}
		f.fail(nil)
		time.Sleep(time.Minute)
		if got := f.took(&f.stored) + f.took(&f.sentNow); got != "" {
			t.Errorf("when the store is back: %q", got)
		}
		beat(w)
		if got := f.took(&f.stored); !strings.HasPrefix(got, "ALIVE heartbeat eu: it was silent for 12m") {
			t.Errorf("when its beats are back: %q", got)
		}
	})
}

// TestOwnDowntime: beats that were due while smspager was down are not missing.
func TestOwnDowntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		w, stop := run(t, f, watchdog, Options{})
		beat(w)
		stop()
		time.Sleep(time.Hour)
		run(t, f, watchdog, Options{})
		time.Sleep(9 * time.Minute)
		if got := f.took(&f.stored); got != "" {
			t.Errorf("after 9 minutes: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := f.took(&f.stored); !strings.HasSuffix(got, " smspager itself was down from 00:00 to 01:00 UTC.") {
			t.Errorf("after 11 minutes: %q", got)
		}
	})
}

func TestDeadman(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		var mu sync.Mutex
		healthy, reachable := true, true
		set := func(h, r bool) { mu.Lock(); healthy, reachable = h, r; mu.Unlock() }
		run(t, &fake{}, &config.Config{Alive: config.Alive{URL: "https://elsewhere/secret", Interval: time.Minute}}, Options{
			Registerer: reg,
			Healthy: func() error {
				mu.Lock()
				defer mu.Unlock()
				if !healthy {
					return errors.New("no endpoint works")
				}
				return nil
			},
			Transport: transport(func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				if !reachable {
					return nil, errors.New("no route")
				}
				return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
			}),
		})
		time.Sleep(90 * time.Second)
		set(false, true)
		time.Sleep(time.Minute)
		set(true, false)
		time.Sleep(time.Minute)
		synctest.Wait()
		want := `
			# HELP smspager_alive_calls_total Calls to the dead-man's switch (alive.url): ok, failed, or withheld because smspager or the provider was not healthy.
			# TYPE smspager_alive_calls_total counter
			smspager_alive_calls_total{outcome="failed"} 1
			smspager_alive_calls_total{outcome="ok"} 2
			smspager_alive_calls_total{outcome="withheld"} 1
		`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "smspager_alive_calls_total"); err != nil {
			t.Error(err)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCredit: these readings, one an hour, cause these warnings.
func TestCredit(t *testing.T) {
	guard := &config.Credit{WarnBelow: 100, WarnDays: 10}
	begin := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		credit []float64 // one an hour
		want   string
	}{
		"enough, nothing spent":   {slices.Repeat([]float64{1000}, 100), ""},
		"low":                     {[]float64{101, 99, 98, 97}, "1: below 100"},
		"low, paid, and low":      {[]float64{101, 99, 200, 98}, "1: below 100; 3: below 100"},
		"short, after a day":      {spending(2500, 12, 30), "24: it lasts 7.7 days at the pace of the last week"},
		"long enough":             {spending(25000, 12, 30), ""},
		"payments are no savings": {append(spending(2500, 12, 30), spending(2500, 12, 3)...), "24: it lasts 7.7 days at the pace of the last week"},
	} {
		t.Run(name, func(t *testing.T) {
			var s creditState
			var got []string
			for hour, left := range test.credit {
				warnings, changed := s.read(reading{begin.Add(time.Duration(hour) * time.Hour), left}, guard)
				for _, w := range warnings {
					got = append(got, fmt.Sprintf("%d: %s", hour, w))
				}
				if !changed {
					t.Errorf("the reading at hour %d is not kept", hour)
				}
			}
			if strings.Join(got, "; ") != test.want {
				t.Errorf("the warnings are %q, want %q", got, test.want)
			}
		})
	}
	s := creditState{Readings: []reading{{begin, 1000}}}
	if warnings, changed := s.read(reading{begin.Add(time.Minute), 999}, guard); warnings != nil || changed {
		t.Error("a reading a minute later is worth a write")
	}
}

// spending returns hourly readings of a credit that is spent at a constant rate.
func spending(credit, perHour float64, hours int) (all []float64) {
	for range hours {
		all = append(all, credit)
		credit -= perHour
	}
	return all
}

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := &fake{}
		began := time.Now()
		w, _ := run(t, f, &config.Config{Probe: config.Probe{Interval: time.Minute}}, Options{Registerer: reg})
		since := func() time.Time { return time.Unix(int64(testutil.ToFloat64(w.probe.lastSuccess)), 0) }
		time.Sleep(150 * time.Second)
		if got := since(); !got.Equal(began) {
			t.Errorf("before the first success, the metric has %s", got)
		}
		if got := f.took(&f.stored); strings.Count(got, "smspager probe ") != 3 {
			t.Errorf("in 2.5 minutes there are %q", got)
		}
		w.Final(outbox.Message{Receiver: outbox.ProbeReceiver, State: outbox.Delivered, CreatedAt: time.Now().Add(-2 * time.Second), UpdatedAt: time.Now()})
		w.Final(outbox.Message{Receiver: outbox.ProbeReceiver, State: outbox.Expired})
		w.Final(outbox.Message{Receiver: "oncall", State: outbox.Failed}) // not a probe
		if got := since(); !got.Equal(began.Add(150 * time.Second)) {
			t.Errorf("after a success, the metric has %s", got)
		}
		f.fail(errors.New("disk full"))
		time.Sleep(time.Minute)
		synctest.Wait()
		want := `
			# HELP smspager_probe_duration_seconds How long the last delivered probe took, from the outbox to its receipt.
			# TYPE smspager_probe_duration_seconds gauge
			smspager_probe_duration_seconds 2
			# HELP smspager_probes_total Probes by their final state.
			# TYPE smspager_probes_total counter
			smspager_probes_total{state="delivered"} 1
			smspager_probes_total{state="expired"} 1
			smspager_probes_total{state="failed"} 1
			smspager_probes_total{state="unknown"} 0
		`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "smspager_probe_duration_seconds", "smspager_probes_total"); err != nil {
			t.Error(err)
		}
		w.Configure(&config.Config{Alive: config.Alive{Interval: time.Minute}}, f)
		if got := since(); !got.Equal(time.Unix(0, 0)) {
			t.Errorf("without probes, the metric has %s", got)
		}
	})
}

// TestReload: a heartbeat that a reload adds is expected from then on; one that it removes is forgotten.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{credit: 50}
		w, _ := run(t, f, watchdog, Options{})
		beat(w)
		time.Sleep(5 * time.Minute)
		w.Configure(&config.Config{
			Alive:      config.Alive{Interval: time.Minute},
			Heartbeats: []config.Heartbeat{{Name: "us", Receiver: "watchdog", Timeout: 10 * time.Minute}},
			Credit:     config.Credit{WarnBelow: 100},
		}, f)
		if got := f.took(&f.stored); got != "CREDIT 50 left at TextingHouse, below 100. Without credit nobody is paged." {
			t.Errorf("after the reload: %q", got)
		}
		time.Sleep(19 * time.Minute)
		if got := f.took(&f.stored); got != "" {
			t.Errorf("19 minutes later: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := f.took(&f.stored); got != "DEAD heartbeat us: never seen for 20m. Alerts may not arrive." {
			t.Errorf("21 minutes later: %q", got)
		}
		time.Sleep(time.Hour)
		if marks, err := f.Marks(t.Context(), "heartbeat"); err != nil || len(marks) != 1 || marks[0].Name != "us" {
			t.Errorf("the marks are %+v, %v", marks, err)
		}
	})
}

// TestDatabaseClockSetBack: if the database's clock is set back, a heartbeat is missed no later than without that.
func TestDatabaseClockSetBack(t *testing.T) {
	now := time.Date(2026, 11, 29, 4, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		beat, since time.Time
		want        time.Duration // the deadline, after now
	}{
		"a beat":                    {now.Add(3 * time.Hour), time.Time{}, 5 * time.Minute},
		"a beat a minute ago":       {now.Add(-time.Minute), time.Time{}, 4 * time.Minute},
		"when it was first awaited": {time.Time{}, now.Add(3 * time.Hour), 10 * time.Minute},
	} {
		h := newHeartbeats(&Options{})
		if !tc.beat.IsZero() {
			h.beats["w"] = tc.beat
		}
		if !tc.since.IsZero() {
			h.since["w"] = tc.since
		}
		state := &beatState{SinceAt: now.Add(-time.Hour)}
		if since := h.merge("w", state, now); !state.deadline(since, 5*time.Minute).Equal(now.Add(tc.want)) {
			t.Errorf("%s: the deadline is %v, want %v", name, state.deadline(since, 5*time.Minute).Sub(now), tc.want)
		}
	}
}

// TestReloadedAlive: a reload with a shorter interval does not wait for the end of the old one.
func TestReloadedAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls := 0
		count := func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return calls
		}
		f := &fake{}
		every := func(interval time.Duration) *config.Config {
			return &config.Config{Alive: config.Alive{URL: "https://elsewhere/secret", Interval: interval}}
		}
		w, _ := run(t, f, every(24*time.Hour), Options{
			Healthy: func() error { return nil },
			Transport: transport(func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				calls++
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			}),
		})
		time.Sleep(10 * time.Minute)
		before := count()
		w.Configure(every(time.Minute), f)
		time.Sleep(5*time.Minute + time.Second)
		if n := count() - before; n < 5 {
			t.Errorf("%d calls in five minutes after the reload", n)
		}
	})
}
