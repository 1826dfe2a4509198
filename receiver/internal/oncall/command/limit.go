package command

import (
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// The limits of confirmations to one number keep two machines from writing to each other for ever.
// Unclear commands, as a machine would send, have lower limits. The messages to others about a number's
// commands (shared) are limited too.
const (
	confirmedPer10Minutes = 15
	confirmedPerDay       = 100
	unclearPerHour        = 6
	unclearPerDay         = 20
	sharedPer10Minutes    = 40
	sharedPerDay          = 300
)

// Limit holds each number's replies of the last day. The zero value is ready to use, and safe for
// concurrent use.
type Limit struct {
	mu      sync.Mutex
	replies map[e164.Number][]repliedAt
}

type repliedAt struct {
	at        time.Time
	unclear   bool
	confirmed bool
}

// Allows reports whether a reply from a number may be confirmed, and whether others may get messages
// about the reply.
func (l *Limit) Allows(number e164.Number, v Verb, now time.Time) (confirm, share bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// If the limit is 15 in 10 minutes, the 15th last must be at least 10 minutes old.
	var all, confirmed, unclear []time.Time
	for _, r := range l.replies[number] {
		all = append(all, r.at)
		if r.confirmed {
			confirmed = append(confirmed, r.at)
		}
		if r.confirmed && r.unclear {
			unclear = append(unclear, r.at)
		}
	}
	fewer := func(at []time.Time, most int, within time.Duration) bool {
		return len(at) < most || now.Sub(at[len(at)-most]) >= within
	}
	confirm = fewer(confirmed, confirmedPer10Minutes, 10*time.Minute) && fewer(confirmed, confirmedPerDay, 24*time.Hour) &&
		(!v.Unclear() || fewer(unclear, unclearPerHour, time.Hour) && fewer(unclear, unclearPerDay, 24*time.Hour))
	return confirm, fewer(all, sharedPer10Minutes, 10*time.Minute) && fewer(all, sharedPerDay, 24*time.Hour)
}

// Count records a reply from a number, and drops replies older than a day.
func (l *Limit) Count(number e164.Number, v Verb, confirmed bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := slices.DeleteFunc(l.replies[number], func(r repliedAt) bool { return now.Sub(r.at) >= 24*time.Hour })
	const most = 1000 // no limit looks further back
	recent = append(recent, repliedAt{now, v.Unclear(), confirmed})
	if l.replies == nil {
		l.replies = make(map[e164.Number][]repliedAt)
	}
	l.replies[number] = recent[max(0, len(recent)-most):]
}
