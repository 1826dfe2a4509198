package spool

import "time"

// WasStopped makes the spool notice that the process was stopped until now.
func (s *Spool) WasStopped() {
	s.pulse.stopped.Store(int64(time.Since(s.pulse.base)))
}
