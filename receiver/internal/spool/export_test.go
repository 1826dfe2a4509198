package spool

import "time"

// WasStopped has the spool notice that the process has just been stopped.
func (s *Spool) WasStopped() {
	s.pulse.last.Store(int64(time.Since(s.pulse.base) - stoppedFor))
	s.pulse.beat()
}
