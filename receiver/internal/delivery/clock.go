package delivery

import "time"

const (
	// clockGap is how often the sender reads the clocks.
	clockGap = 5 * time.Second
	// noticedGap is the shortest suspension of the process, and the smallest change of its clock,
	// that is noticed.
	noticedGap = time.Minute
)

// reading holds the times of two clocks: steady is never set, but stops while the machine sleeps;
// wall, the clock of all stored times, keeps running, but may be set.
type reading struct{ steady, wall time.Duration }

// readClocks returns a function that reads both clocks, counted from the call of readClocks.
func readClocks(wall func() time.Time) func() reading {
	began, wallBegan := time.Now(), wall().Round(0)
	return func() reading { return reading{time.Since(began), wall().Round(0).Sub(wallBegan)} }
}

// since returns how long the process was suspended since an earlier reading, which should be
// clockGap ago, and by how much the wall clock ran ahead of the steady one, because the machine
// slept or a clock was set. Differences below noticedGap are 0.
func (r reading) since(before reading) (stood, set time.Duration) {
	steady, wall := r.steady-before.steady, r.wall-before.wall
	if stood = steady - clockGap; stood < noticedGap {
		stood = 0
	}
	if set = wall - steady; set.Abs() < noticedGap {
		set = 0
	}
	return stood, set
}

// checkClocks begins a new term if the process or its machine was suspended, or its clock
// was set: another process may meanwhile have sent what waits here.
func (s *sender) checkClocks(before reading) reading {
	now := s.clocks()
	stood, set := now.since(before)
	if stood == 0 && set == 0 {
		return now
	}
	s.logger.Warn("this process or its machine was suspended, or the clock was set; the provider is asked about waiting messages before they are sent",
		"stood_still", stood, "clock_ahead", set)
	at := s.spool.Now()
	s.queue.Begin(at)
	s.queue.Loaded(at)
	if set != 0 {
		s.queue.Rewind(at)
		s.attempts.rewind(at)
		s.d.poller.rewind(at)
		s.spool.Rewind()
	}
	return now
}

// rewind must be called when the clock was set back: a response that seems to come later than now counts as
// one of now.
func (a *attempts) rewind(now time.Time) {
	if at := a.lastWorked.Load(); at > now.UnixMilli() {
		a.lastWorked.CompareAndSwap(at, now.UnixMilli())
	}
}
