package oncall

import (
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// Answers to one number are limited, so that two machines cannot talk to each other
// for ever; those to what is no command, which a machine would send, more so.
const (
	answersPer10Minutes = 15
	answersPerDay       = 100
	unclearPerHour      = 3
	unclearPerDay       = 6
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

// mayAnswer reports whether a number may be answered once more, and counts it.
func (o *OnCall) mayAnswer(number e164.Number, v verb, now time.Time) bool {
	const day = 24 * time.Hour
	o.limiter.mu.Lock()
	defer o.limiter.mu.Unlock()
	var kept []answeredAt
	recent, hour, unclear := 0, 0, 0
	for _, a := range o.limiter.answered[number] {
		age := now.Sub(a.at)
		if age >= day {
			continue
		}
		kept = append(kept, a)
		if age < 10*time.Minute {
			recent++
		}
		if a.unclear {
			unclear++
			if age < time.Hour {
				hour++
			}
		}
	}
	allowed := recent < answersPer10Minutes && len(kept) < answersPerDay &&
		(v != verbUnknown || hour < unclearPerHour && unclear < unclearPerDay)
	if allowed {
		kept = append(kept, answeredAt{now, v == verbUnknown})
	} else {
		o.metrics.unanswered.Inc()
		o.logger.Warn("a reply is not answered, as its number was answered often enough", "to", number)
	}
	o.limiter.answered[number] = kept
	return allowed
}
