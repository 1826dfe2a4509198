package oncall

import (
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// Answers to one number are limited, so that two machines cannot talk to each other
// for ever; those to what is no command, which a machine would send, more so.
const (
	answersPer10Minutes = 15
	answersPerDay       = 100
	unclearPerHour      = 6
	unclearPerDay       = 20
)

// limiter remembers what was answered within a day.
type limiter struct {
	mu       sync.Mutex
	answered map[e164.Number][]answeredAt
}

type answeredAt struct {
	at      time.Time
	unclear bool
}

// allows reports whether a number may be answered once more.
func (l *limiter) allows(number e164.Number, v verb, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The one that was so many answers ago must be older than the time in which no
	// more are allowed.
	var all, unclear []time.Time
	for _, a := range l.answered[number] {
		all = append(all, a.at)
		if a.unclear {
			unclear = append(unclear, a.at)
		}
	}
	fewer := func(at []time.Time, most int, within time.Duration) bool {
		return len(at) < most || now.Sub(at[len(at)-most]) >= within
	}
	return fewer(all, answersPer10Minutes, 10*time.Minute) && fewer(all, answersPerDay, 24*time.Hour) &&
		(v != verbUnknown || fewer(unclear, unclearPerHour, time.Hour) && fewer(unclear, unclearPerDay, 24*time.Hour))
}

// count notes an answer to a number, and forgets those of a day ago.
func (l *limiter) count(number e164.Number, v verb, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := slices.DeleteFunc(l.answered[number], func(a answeredAt) bool { return now.Sub(a.at) >= 24*time.Hour })
	l.answered[number] = append(recent, answeredAt{now, v == verbUnknown})
}
