package oncall

import (
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// Answers to one number are limited, so that two machines cannot talk to each other
// for ever; those to what is no command, which a machine would send, more so. So is
// what others are told of its commands.
const (
	answersPer10Minutes = 15
	answersPerDay       = 100
	unclearPerHour      = 6
	unclearPerDay       = 20
	toldPer10Minutes    = 40
	toldPerDay          = 300
)

// limiter remembers the replies of a day.
type limiter struct {
	mu      sync.Mutex
	replies map[e164.Number][]repliedAt
}

type repliedAt struct {
	at       time.Time
	unclear  bool
	answered bool
}

// allows reports whether a reply of a number may be answered, and whether others may
// be told of it.
func (l *limiter) allows(number e164.Number, v verb, now time.Time) (answer, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The one that was so many ago must be older than the time in which no more are
	// allowed.
	var all, answered, unclear []time.Time
	for _, r := range l.replies[number] {
		all = append(all, r.at)
		if r.answered {
			answered = append(answered, r.at)
		}
		if r.answered && r.unclear {
			unclear = append(unclear, r.at)
		}
	}
	fewer := func(at []time.Time, most int, within time.Duration) bool {
		return len(at) < most || now.Sub(at[len(at)-most]) >= within
	}
	answer = fewer(answered, answersPer10Minutes, 10*time.Minute) && fewer(answered, answersPerDay, 24*time.Hour) &&
		(v != verbUnknown || fewer(unclear, unclearPerHour, time.Hour) && fewer(unclear, unclearPerDay, 24*time.Hour))
	return answer, fewer(all, toldPer10Minutes, 10*time.Minute) && fewer(all, toldPerDay, 24*time.Hour)
}

// count notes a reply of a number, and forgets those of a day ago.
func (l *limiter) count(number e164.Number, v verb, answered bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := slices.DeleteFunc(l.replies[number], func(r repliedAt) bool { return now.Sub(r.at) >= 24*time.Hour })
	const most = 1000 // no limit looks further back
	recent = append(recent, repliedAt{now, v == verbUnknown, answered})
	l.replies[number] = recent[max(0, len(recent)-most):]
}
