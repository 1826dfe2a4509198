package command

import (
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// Confirmations to one number are limited, so that two machines cannot talk to each other for ever.
// Those to unknown commands, which a machine would send, are limited more. So are the messages to
// others about its commands.
const (
	confirmedPer10Minutes = 15
	confirmedPerDay       = 100
	unclearPerHour        = 6
	unclearPerDay         = 20
	sharedPer10Minutes    = 40
	sharedPerDay          = 300
)

// Limit remembers the replies of each number for a day. The zero value is ready; it is safe for
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

// Allows reports whether a reply of a number may be confirmed, and whether others may get messages
// about it.
func (l *Limit) Allows(number e164.Number, v Verb, now time.Time) (confirm, share bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// If the limit is 15 in 10 minutes, the 15th last must be more than 10 minutes ago.
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

// Count notes a reply of a number, and forgets those of a day ago.
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
