package watch

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// creditMarks hold the readings of the credit and which warnings were sent.
const creditMarks mark.Kind[creditState] = "credit"

const (
	// One reading an hour is kept, for a week.
	readingGap = time.Hour
	readingFor = 7 * 24 * time.Hour
	// paceOver is the minimum period that readings must span to determine a pace.
	paceOver = 24 * time.Hour
	// enoughAgain is how many times warn_days the credit must last before it can be warned of again.
	enoughAgain = 1.2
)

// creditState holds the last readings of the credit and the warnings in effect.
type creditState struct {
	Readings []reading `json:"readings"`
	Low      bool      `json:"low,omitempty"`   // a warning was sent that the credit is below warn_below
	Short    bool      `json:"short,omitempty"` // a warning was sent that the credit lasts less than warn_days
}

type reading struct {
	At     time.Time `json:"at"`
	Credit float64   `json:"credit"`
}

// take adds a reading of the credit, and sends the warnings that are due.
func (a *account) take(ctx context.Context, left float64) {
	at := a.Spool.Now()
	_, err := a.Spool.Commit(ctx, spool.Later, func(ctx context.Context) (*outbox.Entry, error) {
		guard := a.guard.Load()
		state, err := creditMarks.Find(ctx, a.Spool, "account")
		if err != nil {
			return nil, err
		}
		warnings, changed := state.Value.read(reading{at, left}, guard)
		days := state.Value.daysLeft(left)
		a.seen.account(left, days, at)
		if math.IsInf(days, 1) { // nothing was spent: an old value would keep its alert
			a.lasts.Set(0)
		} else {
			a.lasts.Set(days * (24 * time.Hour).Seconds())
		}
		if !changed {
			return nil, nil
		}
		e := &outbox.Entry{Marks: []outbox.Mark{creditMarks.Set(state, at)}}
		for _, warning := range warnings {
			a.Logger.Warn("the credit is low", "credit", left, "why", warning)
			text := fmt.Sprintf("CREDIT %.6g left at TextingHouse, %s. Without credit nobody is paged.", left, warning)
			e.Messages = append(e.Messages, a.Alarm.Alarm(a.People.People(guard.Recipients, nil, at), "smspager:credit:"+a.Alarm.NewID(at), at, text)...)
		}
		return e, nil
	})
	if err != nil && ctx.Err() == nil {
		a.Logger.Error("cannot store the credit", "err", err)
	}
}

// read adds a reading. It returns the warnings that are due, and whether the state must be stored.
func (s *creditState) read(r reading, guard *config.Credit) (warnings []string, changed bool) {
	before := *s
	kept := s.keep(r)
	days := s.daysLeft(r.Credit)
	if low := guard.WarnBelow > 0 && r.Credit < float64(guard.WarnBelow); low != s.Low {
		if s.Low = low; low {
			warnings = append(warnings, fmt.Sprintf("below %d", guard.WarnBelow))
		}
	}
	switch short := guard.WarnDays > 0 && days < float64(guard.WarnDays); {
	case short && !s.Short:
		s.Short = true
		warnings = append(warnings, fmt.Sprintf("it lasts %.1f days at the pace of the last week", days))
	case days > enoughAgain*float64(guard.WarnDays):
		s.Short = false
	}
	return warnings, kept || s.Low != before.Low || s.Short != before.Short
}

// keep keeps a reading if the previous one is at least an hour old, and reports whether it did.
func (s *creditState) keep(r reading) bool {
	if n := len(s.Readings); n > 0 && r.At.Sub(s.Readings[n-1].At) < readingGap {
		return false
	}
	var kept []reading
	for _, old := range s.Readings {
		if r.At.Sub(old.At) <= readingFor {
			kept = append(kept, old)
		}
	}
	s.Readings = append(kept, r)
	return true
}

// daysLeft returns how many days the credit lasts at the pace of the readings, infinity if they
// show no pace. Payments into the account do not affect the pace.
func (s *creditState) daysLeft(credit float64) float64 {
	n := len(s.Readings)
	if n < 2 {
		return math.Inf(1)
	}
	over := s.Readings[n-1].At.Sub(s.Readings[0].At)
	spent := 0.0
	for i := range n - 1 {
		spent += max(0, s.Readings[i].Credit-s.Readings[i+1].Credit)
	}
	if over < paceOver || spent == 0 {
		return math.Inf(1)
	}
	return max(0, credit) / (spent / (over.Hours() / 24))
}
