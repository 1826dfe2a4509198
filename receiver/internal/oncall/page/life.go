package page

import (
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// SilenceEnded is the reason that a silenced page is reopened.
const SilenceEnded = "the silence has ended"

// Open returns a page for a firing notification. Nobody is paged until Begin. older are alerts of other
// pages that may move to this one.
func Open(id, code, receiver string, n *templating.Notification, older []*Alert, at time.Time) *Page {
	p := &Page{Page: outbox.Page{ID: id, Receiver: receiver, GroupKey: n.GroupKey, Code: code, State: outbox.PageOpen, OpenedAt: at}}
	p.Note(at, outbox.PageEventOpened, "", n.NotificationReason)
	p.Update(n, older, at)
	return p
}

// Inherit continues an older page whose alerts have moved to this one: its acknowledgement, if that
// covers all alerts of this page, or its escalation. It reports whether it has: then nobody is paged
// again.
func (p *Page) Inherit(older *Page, at time.Time) bool {
	covered := !slices.ContainsFunc(p.Live(), func(a *Alert) bool { return !a.Covered })
	switch {
	case older.Held() && covered:
		p.restart(at)
		p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Holder = outbox.PageAcknowledged, older.AcknowledgedAt, older.AcknowledgedBy, older.Holder
		p.People = slices.Clone(older.People)
		p.cover()
		p.Note(at, outbox.PageEventAcknowledged, older.AcknowledgedBy, "as page "+older.Code)
		return true
	case older.State == outbox.PageOpen && len(older.People) > 0:
		p.Progress, p.RepeatAt, p.People = older.Progress, older.RepeatAt, slices.Clone(older.People)
		return true
	}
	return false
}

// Regroup assigns the page to another group, which has all of its alerts.
func (p *Page) Regroup(receiver, group string, at time.Time) {
	p.Receiver, p.GroupKey = receiver, group
	p.Note(at, outbox.PageEventRegrouped, "", "its alerts are in another group now")
}

// Reopens returns why a firing notification reopens a page that somebody holds, "" if it does not.
// holderLeft is why the holder cannot be paged any more, "" if the holder can.
func (p *Page) Reopens(n *templating.Notification, holderLeft string, at time.Time) string {
	switch {
	case !p.Held() || !p.Fires():
		return ""
	case p.State == outbox.PageSilenced && !p.SilencedUntil.After(at):
		return SilenceEnded
	case !n.Repeats() && p.uncovered():
		return "alerts fire that nobody acknowledged"
	}
	return holderLeft
}

// FiresAgain returns why people must be paged after Learn: an alert fires, and no notification reports it.
// It returns "" if there is no such alert.
func (p *Page) FiresAgain() string {
	switch {
	case p.State == outbox.PageAcknowledged && p.uncovered():
		return "alerts fire that nobody acknowledged"
	case p.State == outbox.PageOpen && p.firesAgain:
		return "an alert fires again"
	}
	return ""
}

// uncovered reports whether an alert fires that the holder does not know.
func (p *Page) uncovered() bool {
	return p.Truncated() > p.CutCovered || slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.State == Firing && !a.Covered })
}

// cover records that the holder knows of all alerts of the page.
func (p *Page) cover() {
	p.CutCovered = p.Truncated()
	for _, a := range p.Alerts {
		a.Covered = a.Live()
	}
}

// Notified records that people get messages about a firing notification. It follows Update. reopens is the
// result of Reopens; if it is "" and somebody holds the page, people is the holder alone.
func (p *Page) Notified(reason string, e Effect, people []outbox.Person, reopens string, at time.Time) {
	p.Note(at, outbox.PageEventNotified, "", reason)
	switch {
	case reopens != "":
		p.Reopen(people, at, reopens)
	case p.Held():
		p.cover()
	default:
		for _, person := range people {
			if !slices.Contains(p.People.Numbers(), person.Number) {
				p.paged(at, 0, []outbox.Person{person})
			}
		}
		first := firstPaged(people, at)
		if first.Before(p.StepsFrom) || e.Back { // an alert no longer waits for quiet hours to end, or is no longer suppressed
			p.restart(first)
		}
		p.RepeatAt = Latest(p.RepeatAt, at)
	}
}

// Reopen opens a page that somebody holds, and records that people are paged.
func (p *Page) Reopen(people []outbox.Person, at time.Time, why string) {
	p.People = nil
	p.Note(at, outbox.PageEventReopened, "", why)
	p.Begin(people, at)
}

// Begin records that people are paged. The escalation starts when the first of them is: some may have
// quiet hours.
func (p *Page) Begin(people []outbox.Person, at time.Time) {
	p.paged(at, 0, people)
	p.restart(firstPaged(people, at))
}

// firstPaged returns when the first of people is paged, if nobody's message is sent before at.
func firstPaged(people []outbox.Person, at time.Time) time.Time {
	var first time.Time
	for _, person := range people {
		if sent := person.Earliest(at); first.IsZero() || sent.Before(first) {
			first = sent
		}
	}
	return Latest(at, first)
}

// restart opens the page without a holder, and restarts its escalation from the first step.
func (p *Page) restart(at time.Time) {
	p.Progress, p.RepeatAt = Progress{StepsFrom: at, StepAt: at}, at
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Holder, p.SilencedUntil = outbox.PageOpen, time.Time{}, "", "", time.Time{}
	p.CutCovered = 0
	for _, a := range p.Alerts {
		a.Covered = false
	}
}

// Newer returns a notification of the alerts that have not ended and came after a time. If none of
// them is kept whole, it returns the page's notification. It returns false if no alert came after it.
func (p *Page) Newer(than time.Time) (templating.Notification, bool) {
	n, came := p.Notification, false
	newer := n.Alerts[:0:0]
	for _, a := range p.Alerts {
		if !a.Live() || !a.FiredAt.After(than) {
			continue
		}
		came = true
		if a.Whole != nil {
			newer = append(newer, *a.Whole)
		}
	}
	if len(newer) > 0 { // otherwise no newer alert is kept whole
		n.Alerts, n.TruncatedAlerts = newer, 0
	}
	return n, came
}

// paged records that a step has paged people.
func (p *Page) paged(at time.Time, step int, people []outbox.Person) {
	for _, person := range people {
		detail := ""
		if !person.NotBefore.IsZero() {
			detail = "after the quiet hours, at " + person.NotBefore.Format("15:04 MST")
		}
		p.Note(at, outbox.PageEventPaged, person.String(), detail)
		if !slices.ContainsFunc(p.People, func(other Paged) bool { return other.Number == person.Number && other.Step == step }) {
			p.People = append(p.People, Paged{Name: person.Name, Number: person.Number, Step: step})
		}
	}
	p.RepeatAt = at
}

// Acknowledge makes somebody the holder, which stops the escalation.
func (p *Page) Acknowledge(by outbox.Person, at time.Time, detail string) {
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Holder = outbox.PageAcknowledged, at, by.String(), by.Number
	p.cover()
	p.Note(at, outbox.PageEventAcknowledged, by.String(), detail)
}

// Silence silences a page that somebody holds.
func (p *Page) Silence(until time.Time) { p.State, p.SilencedUntil = outbox.PageSilenced, until }

// Unsilence leaves a silenced page to its holder.
func (p *Page) Unsilence() { p.State, p.SilencedUntil = outbox.PageAcknowledged, time.Time{} }

// EndSilence leaves a page to its holder. The caller ends its silences.
func (p *Page) EndSilence(by outbox.Person, at time.Time) {
	p.Unsuppress(at)
	p.AskedAt = at // puts off the next question until its silences have ended
	p.Unsilence()
	p.Note(at, outbox.PageEventUndone, by.String(), "the silence")
}

// Undo opens a page again. Its escalation continues as if its last step had been taken now.
func (p *Page) Undo(plan *Plan, by outbox.Person, at time.Time) {
	steps := p.Steps
	p.Unsuppress(at)
	p.AskedAt = at // puts off the next question until its silences have ended
	p.restart(at)
	p.Steps, p.ReachDecided = steps, true
	if steps > 0 && plan != nil && steps <= len(plan.Steps) {
		p.StepsFrom = at.Add(-plan.Steps[steps-1].After)
	}
	p.Note(at, outbox.PageEventUndone, by.String(), "")
}

// Pass makes the next step of an open page due now.
func (p *Page) Pass(by outbox.Person, at time.Time) {
	p.PassedBy = by.String()
	p.Note(at, outbox.PageEventPassed, by.String(), "")
}

// End resolves the page.
func (p *Page) End(at time.Time, detail string) {
	p.end(outbox.PageResolved, outbox.PageEventResolved, at, detail)
}

func (p *Page) end(state outbox.PageState, kind outbox.PageEventType, at time.Time, detail string) {
	p.State = state
	p.DueAt = time.Time{}
	p.Note(at, kind, "", detail)
}
