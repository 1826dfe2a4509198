package oncall

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

const (
	// creditMark keeps what the credit was.
	creditMark = "credit"
	// A reading an hour is kept, for a week.
	readingGap = time.Hour
	readingFor = 7 * 24 * time.Hour
	// The pace is told by readings of at least a day.
	paceOver = 24 * time.Hour
)

// creditState is what is known of the credit.
type creditState struct {
	Readings []reading `json:"readings"`
	Low      bool      `json:"low,omitempty"`   // it was told that it is low
	Short    bool      `json:"short,omitempty"` // it was told that it does not last long
}

type reading struct {
	At     time.Time `json:"at"`
	Credit float64   `json:"credit"`
}

// Credit takes in a reading of the account's credit, and warns where it is low or
// will not last.
func (o *OnCall) Credit(ctx context.Context, c textinghouse.Credit, at time.Time) {
	err := retrying(ctx, func() error { return o.credit(ctx, float64(c), at) })
	if err != nil && ctx.Err() == nil {
		o.logger.Error("cannot keep what the credit is", "err", err)
	}
}

func (o *OnCall) credit(ctx context.Context, credit float64, at time.Time) error {
	guard := o.settings.Load().cfg.Credit
	marks, err := o.store.Marks(ctx, creditMark)
	if err != nil {
		return err
	}
	mark := outbox.Mark{Kind: creditMark, Name: "account"}
	var state creditState
	if len(marks) > 0 {
		mark = marks[0]
		if err := json.Unmarshal(mark.Doc, &state); err != nil {
			return err
		}
	}
	before := state
	taken := state.take(reading{at, credit})
	days := state.daysLeft(credit)
	if !math.IsInf(days, 1) {
		o.metrics.creditLeft.Set(days * 24 * 3600)
	}
	var warnings []string
	if low := guard.WarnBelow > 0 && credit < float64(guard.WarnBelow); low != state.Low {
		if state.Low = low; low {
			warnings = append(warnings, fmt.Sprintf("below %d", guard.WarnBelow))
		}
	}
	switch short := guard.WarnDays > 0 && days < float64(guard.WarnDays); {
	case short && !state.Short:
		state.Short = true
		warnings = append(warnings, fmt.Sprintf("it lasts %.1f days at the pace of the last week", days))
	case days > 1.2*float64(guard.WarnDays): // so that it is not told again and again
		state.Short = false
	}
	if !taken && state.Low == before.Low && state.Short == before.Short {
		return nil // nothing worth a write
	}
	var ms []outbox.Message
	for _, warning := range warnings {
		o.logger.Warn("the credit is low", "credit", credit, "why", warning)
		for _, person := range o.People(guard.Recipients, nil, at) {
			ms = append(ms, o.alarm(person, "smspager:credit:"+o.ids.New(at), at, fmt.Sprintf("CREDIT %.6g left at TextingHouse, %s. Without credit nobody is paged.", credit, warning)))
		}
	}
	doc, err := json.Marshal(state)
	if err != nil {
		return err
	}
	mark.At, mark.Doc = at, doc
	return o.add(ctx, outbox.Entry{Messages: ms, Marks: []outbox.Mark{mark}})
}

// take keeps a reading if an hour has passed since the last, and reports whether it does.
func (s *creditState) take(r reading) bool {
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

// daysLeft is how long a credit lasts at the pace of the readings; infinite where
// they tell of no pace. What was paid in does not count.
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
