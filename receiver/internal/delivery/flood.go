package delivery

import "time"

// floodWindow is how long the provider refuses the same text to the same
// number after it took it (error 350; seed, 4.3). A little is added for clocks
// that differ and for the way there.
const floodWindow = 10*time.Second + 250*time.Millisecond

// flood keeps one text to one number from being sent twice within the window.
type flood struct {
	holder  *job      // is being sent, or may have been taken
	free    time.Time // end of the window of what was taken
	waiting []*job
}

type ending struct {
	key uint64
	at  time.Time
}

// enterFlood lets a job have its text and number to itself, or makes it wait.
func (s *schedule) enterFlood(j *job, now time.Time) bool {
	f := s.floods[j.flood]
	switch {
	case f == nil:
		f = &flood{}
		s.floods[j.flood] = f
	case f.holder == j:
		return true
	case f.holder != nil:
		f.waiting = append(f.waiting, j)
		return false
	case now.Before(f.free) && !j.doubt:
		s.wait(j, f.free)
		return false
	}
	f.holder = j
	return true
}

// leaveFlood gives the text and number free from a time on.
func (s *schedule) leaveFlood(j *job, free, now time.Time) {
	f := s.floods[j.flood]
	if f == nil || f.holder != j {
		return
	}
	f.holder = nil
	if free.After(f.free) {
		f.free = free
	}
	for _, w := range f.waiting {
		s.wait(w, f.free)
	}
	f.waiting = nil
	if f.free.After(now) {
		s.ending = append(s.ending, ending{j.flood, f.free})
	} else {
		delete(s.floods, j.flood)
	}
}

// endFloods forgets the windows that are over.
func (s *schedule) endFloods(now time.Time) {
	for len(s.ending) > 0 && !s.ending[0].at.After(now) {
		key := s.ending[0].key
		if f := s.floods[key]; f != nil && f.holder == nil && !f.free.After(now) {
			delete(s.floods, key)
		}
		s.ending = s.ending[1:]
	}
}
