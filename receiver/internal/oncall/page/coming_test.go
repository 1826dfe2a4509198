package page_test

import (
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestComing: Coming announces what happens if nobody acts.
func TestComing(t *testing.T) {
	hour := &page.Plan{Pages: true, Repeat: 10 * time.Minute, Steps: []page.Step{{After: time.Hour, To: []string{"bob"}}}}
	for name, test := range map[string]struct {
		page *page.Page
		plan *page.Plan
		want time.Duration // since the page opened; 0: nothing is coming
		step int
	}{
		"first step":                       {opened(), plan, 5 * time.Minute, 1},
		"second step":                      {afterSteps(opened(), 1), plan, 15 * time.Minute, 2},
		"repeat":                           {afterSteps(opened(), 2), plan, 15*time.Minute + time.Hour, 0},
		"repeat before a step":             {opened(), hour, 10 * time.Minute, 0},
		"no steps":                         {opened(), &page.Plan{Pages: true}, 0, 0},
		"the receiver no longer has pages": {opened(), &page.Plan{}, 0, 0},
		"the receiver is not configured":   {opened(), nil, 0, 0},
		"held":                             {held(opened()), plan, 0, 0},
		"nobody could be paged":            {openedFor(), plan, time.Nanosecond, 1},
	} {
		coming, more := test.page.Coming(test.plan)
		if more != (test.want > 0) || more && (coming.Number != test.step || coming.At.Sub(begin).Round(time.Second) != test.want.Round(time.Second)) {
			t.Errorf("%s: step %d comes after %s (%t), want step %d after %s", name, coming.Number, coming.At.Sub(begin), more, test.step, test.want)
		}
		if !more {
			continue
		}
		due := test.page.Next(page.Facts{Plan: test.plan}, coming.At)
		if want := map[bool]page.Kind{true: page.Escalate, false: page.Repeat}[test.step > 0]; due.Kind != want {
			t.Errorf("%s: then %s is due, want %s", name, due.Kind, want)
		}
	}
}

// afterSteps returns the page after some of its steps.
func afterSteps(p *page.Page, steps int) *page.Page {
	for i := range steps {
		p.Do(page.Action{Kind: page.Escalate}, plan, []outbox.Person{{Name: plan.Steps[i].To[0], Number: "+33639980009"}}, at(plan.Steps[i].After))
	}
	return p
}

func held(p *page.Page) *page.Page {
	p.Acknowledge(alice, at(time.Minute), "")
	return p
}
