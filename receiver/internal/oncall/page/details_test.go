package page_test

import (
	"slices"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestRecipients: People lists everybody once per step, and starts anew when the page is reopened.
func TestRecipients(t *testing.T) {
	p := after(escalate(5*time.Minute, bob, alice))
	notify(p, firing("a"), at(6*time.Minute), alice, bob, carol, carol)
	want := page.Recipients{{"alice", alice.Number, 0}, {"bob", bob.Number, 1}, {"alice", alice.Number, 1}, {"carol", carol.Number, 0}}
	if !slices.Equal(p.People, want) {
		t.Errorf("the page paged %v, want %v", p.People, want)
	}
	if got := p.People.Numbers(); !slices.Equal(got, []e164.Number{alice.Number, bob.Number, carol.Number}) {
		t.Errorf("the numbers are %v", got)
	}
	p.Acknowledge(alice, at(7*time.Minute), "")
	p.Reopen([]outbox.Person{carol, carol}, at(time.Hour), "")
	if want := (page.Recipients{{"carol", carol.Number, 0}}); !slices.Equal(p.People, want) {
		t.Errorf("after it was reopened, the page paged %v", p.People)
	}
}

// TestSeverityAndHistoryAreShown: a page shows its severity and, in its history, who is paged later.
func TestSeverityAndHistoryAreShown(t *testing.T) {
	asleep := alice
	asleep.NotBefore = at(4 * time.Hour)
	p := openedFor(asleep, bob)
	if p.Severity != "critical" || p.Events[1].Detail != "after the quiet hours, at 07:00 UTC" || p.Events[2].Detail != "" || !p.UpdatedAt.Equal(begin) {
		t.Errorf("the page is %+v", p.Page)
	}
	p.Schedule(plan)
	p.End(at(time.Hour), "all alerts resolved")
	if !p.DueAt.IsZero() || !p.UpdatedAt.Equal(at(time.Hour)) {
		t.Errorf("after its end, the page is %+v", p.Page)
	}
}

// TestNotifiedInsteadOfRepeat: a notification postpones the next repeat.
func TestNotifiedInsteadOfRepeat(t *testing.T) {
	p := after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol), judged(17*time.Minute))
	notify(p, firing("a"), at(time.Hour), alice, bob, carol)
	if got := p.Next(page.Facts{Plan: plan}, at(90*time.Minute)); got.Kind != page.Wait {
		t.Errorf("half an hour later, the action is %+v, want Wait", got)
	}
	if got := p.Next(page.Facts{Plan: plan}, at(2*time.Hour)); got.Kind != page.Repeat {
		t.Errorf("an hour later, the action is %+v, want Repeat", got)
	}
}

// TestUndoIgnoresReceipts: after an undo, the receipts of the last step do not matter. Somebody acknowledged
// the page, so a message has arrived.
func TestUndoIgnoresReceipts(t *testing.T) {
	p := after(acknowledge(alice, time.Minute))
	p.Undo(plan, alice, at(2*time.Minute))
	lost := []page.Reach{{Who: "alice", Detail: "no receipt"}}
	if got := p.Next(page.Facts{Plan: plan, Reached: lost}, at(5*time.Minute)); got.Kind != page.Wait {
		t.Errorf("three minutes later, the action is %+v, want Wait", got)
	}
}

// TestMergeDetails: Merge keeps the newer details of two states.
func TestMergeDetails(t *testing.T) {
	notified := func(p *page.Page) {
		n := firing("a", "b")
		n.Alerts[0].Labels["severity"], n.Alerts[1].Labels["severity"] = "warning", "warning"
		notify(p, n, at(10*time.Minute), alice)
		p.Headline = "WARNING"
	}
	p := opened()
	p.Merge(after(notified))
	if p.Severity != "warning" || p.Headline != "WARNING" || len(p.Live()) != 2 || len(p.Notification.Alerts) != 2 || !p.NotifiedAt.Equal(at(10*time.Minute)) ||
		!p.RepeatAt.Equal(at(10*time.Minute)) || !p.UpdatedAt.Equal(at(10*time.Minute)) {
		t.Errorf("merged with a newer notification, the page is %+v %+v", p.Page, p.Body)
	}
	p = after(notified)
	p.Merge(opened())
	if p.Severity != "warning" || len(p.Live()) != 2 || !p.RepeatAt.Equal(at(10*time.Minute)) || !p.UpdatedAt.Equal(at(10*time.Minute)) {
		t.Errorf("merged with an older notification, the page is %+v %+v", p.Page, p.Body)
	}
	p = after(escalate(5*time.Minute, bob), acknowledge(bob, 6*time.Minute))
	undone := after(escalate(5*time.Minute, bob), acknowledge(bob, 6*time.Minute), func(p *page.Page) { p.Undo(plan, bob, at(time.Hour)) })
	p.Merge(undone)
	if p.State != outbox.PageOpen || p.Progress != undone.Progress {
		t.Errorf("merged with an undo, the page is %s, with %+v; want %+v", p.State, p.Progress, undone.Progress)
	}
	p = after(escalate(5*time.Minute, bob))
	p.Merge(after(escalate(7*time.Minute, bob)))
	if !p.StepAt.Equal(at(5 * time.Minute)) {
		t.Errorf("the time of a step that was taken twice is %v", p.StepAt)
	}
}
