package page_test

import (
	"slices"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestLearnCut: Alertmanager's report decides the state of alerts that a notification left out. The
// notification listed alert a, and left out two.
func TestLearnCut(t *testing.T) {
	type alerts = map[string]page.Known
	const am = "http://am"
	long, lately := map[string]time.Time{am: begin.Add(-time.Hour)}, map[string]time.Time{am: at(4*time.Minute + 30*time.Second)}
	active, held := page.Known{ListedBy: []string{am}}, page.Known{ListedBy: []string{am}, Suppressed: true, By: "muted by nights"}
	both := &page.Report{Alerts: alerts{"a": active, "b": active}, Starts: long, Whole: true, All: true}
	for name, test := range map[string]struct {
		first  *page.Report // at 4m; nil: none
		report page.Report  // at 5m
		state  outbox.PageState
		fires  bool
		back   bool
	}{
		"they fire":                          {nil, page.Report{Alerts: alerts{"a": held, "b": active}, Starts: long, Whole: true, All: true}, outbox.PageOpen, true, false},
		"they are suppressed":                {nil, page.Report{Alerts: alerts{"a": held, "b": held}, Starts: long, Whole: true, All: true}, outbox.PageOpen, false, false},
		"they were never listed":             {nil, page.Report{Alerts: alerts{"a": held}, Starts: long, Whole: true, All: true}, outbox.PageOpen, true, false},
		"none was ever listed":               {nil, page.Report{Starts: long, Whole: true, All: true}, outbox.PageOpen, true, false},
		"they have ended":                    {both, page.Report{Alerts: alerts{"a": held}, Starts: long, Whole: true, All: true}, outbox.PageOpen, false, false},
		"they have ended, the first fires":   {both, page.Report{Alerts: alerts{"a": active}, Starts: long, Whole: true, All: true}, outbox.PageOpen, true, false},
		"all have ended":                     {both, page.Report{Starts: long, Whole: true, All: true}, outbox.PageResolved, false, false},
		"an unlisted alert is suppressed":    {nil, page.Report{Alerts: alerts{"b": held}, Starts: long, Whole: true, All: true}, outbox.PageOpen, false, false},
		"some were not asked for":            {nil, page.Report{Starts: long, All: true}, outbox.PageOpen, true, false},
		"a peer does not respond":            {nil, page.Report{Starts: long, Whole: true}, outbox.PageOpen, true, false},
		"Alertmanager has just started":      {nil, page.Report{Alerts: alerts{"a": held}, Starts: lately, Whole: true, All: true}, outbox.PageOpen, true, false},
		"another Alertmanager reported them": {nil, page.Report{Starts: long, Whole: true, All: true, Strangers: map[string]bool{"": true}}, outbox.PageOpen, true, false},
		"they were suppressed, then fire": {
			&page.Report{Alerts: alerts{"a": held, "b": held}, Starts: long, Whole: true, All: true},
			page.Report{Alerts: alerts{"a": held, "b": active}, Starts: long, Whole: true, All: true}, outbox.PageOpen, true, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := page.Open("1", "4821", "oncall", take{alerts: "a", truncated: 2}.notification(), nil, begin)
			p.Begin([]outbox.Person{alice}, begin)
			if test.first != nil {
				p.Learn(test.first, at(4*time.Minute))
			}
			p, err := page.Load(*p.Stored(), nil)
			if err != nil {
				t.Fatal(err)
			}
			p.Learn(&test.report, at(5*time.Minute))
			back := slices.ContainsFunc(p.Events, func(e outbox.PageEvent) bool { return e.Type == outbox.PageEventFires })
			if p.State != test.state || p.State.Current() && p.Fires() != test.fires || back != test.back {
				t.Errorf("the page is %s, fires: %t, back: %t", p.State, p.Fires(), back)
			}
		})
	}
}

// TestCutAlertsStaySuppressed: without a response, suppressed alerts that were left out stay suppressed for five
// minutes.
func TestCutAlertsStaySuppressed(t *testing.T) {
	p := page.Open("1", "4821", "oncall", take{alerts: "a", truncated: 2}.notification(), nil, begin)
	held := page.Known{Suppressed: true, By: "muted by nights"}
	p.Learn(&page.Report{Alerts: map[string]page.Known{"a": held, "b": held}, Whole: true, All: true}, at(time.Minute))
	if p.NoResponse(at(5 * time.Minute)); p.Fires() {
		t.Error("the page fires after four minutes")
	}
	if p.NoResponse(at(6 * time.Minute)); !p.Fires() {
		t.Error("the page does not fire after five minutes")
	}
}
