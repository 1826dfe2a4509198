package page

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// SilenceEnded is why a silenced page is reopened.
const SilenceEnded = "the silence has ended"

// Open makes a page of a notification that fires, and pages people.
func Open(id, code, receiver string, n *templating.Notification, people []outbox.Person, at time.Time) *Page {
	p := &Page{Page: outbox.Page{ID: id, Receiver: receiver, GroupKey: n.GroupKey, Code: code, State: outbox.PageOpen, OpenedAt: at}}
	p.keep(n, at)
	p.Note(at, outbox.PageEventOpened, "", n.NotificationReason)
	p.begin(people, at)
	return p
}

// Reopens returns why a notification reopens a page that somebody holds, "" if it does not.
func (p *Page) Reopens(n *templating.Notification, holderStopped bool, at time.Time) string {
	switch {
	case !p.Held():
	case p.State == outbox.PageSilenced && !p.SilencedUntil.After(at):
		return SilenceEnded
	case !p.covers(n):
		return "alerts fire that nobody acknowledged"
	case holderStopped:
		return stoppedTexts(p.AcknowledgedBy)
	}
	return ""
}

// Notified takes in a notification that fires, which is sent to people. reopens is from Reopens. If it
// is "" and somebody holds the page, people is the holder, and nobody else is disturbed.
func (p *Page) Notified(n *templating.Notification, people []outbox.Person, reopens string, at time.Time) {
	p.keep(n, at)
	p.Note(at, outbox.PageEventNotified, "", n.NotificationReason)
	switch {
	case reopens != "":
		p.Reopen(people, at, reopens)
	case p.Held():
		p.Covered = p.Firing
	default:
		for _, person := range people {
			if !slices.Contains(p.People.Numbers(), person.Number) {
				p.paged(at, 0, []outbox.Person{person})
			}
		}
		if first := firstPaged(people, at); first.Before(p.From) { // an alert no longer waits for the end of quiet hours
			p.restart(first)
		}
		p.RepeatAt = Latest(p.RepeatAt, at)
	}
}

// Reopen opens a page that somebody holds, and pages people.
func (p *Page) Reopen(people []outbox.Person, at time.Time, why string) {
	p.People = nil
	p.Note(at, outbox.PageEventReopened, "", why)
	p.begin(people, at)
}

// begin pages people and starts the escalation when the first of them is paged: some may have quiet
// hours.
func (p *Page) begin(people []outbox.Person, at time.Time) {
	p.paged(at, 0, people)
	p.restart(firstPaged(people, at))
}

// firstPaged returns when the first of people is paged whose messages are sent at a time.
func firstPaged(people []outbox.Person, at time.Time) time.Time {
	var first time.Time
	for _, person := range people {
		if sent := Latest(at, person.NotBefore); first.IsZero() || sent.Before(first) {
			first = sent
		}
	}
	return Latest(at, first)
}

// restart opens the page without a holder, and with all steps of the escalation to be taken.
func (p *Page) restart(at time.Time) {
	p.Progress, p.RepeatAt = Progress{From: at, StepAt: at}, at
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Holder, p.Covered, p.SilencedUntil = outbox.PageOpen, time.Time{}, "", "", nil, time.Time{}
}

// keep keeps a notification that fires.
func (p *Page) keep(n *templating.Notification, at time.Time) {
	before := p.Firing
	p.NotifiedAt, p.Firing = at, keys(n)
	isNew := func(key string) bool {
		_, known := slices.BinarySearch(before, key)
		return !known
	}
	if slices.ContainsFunc(p.Firing, isNew) {
		p.NewAt = at
	}
	defer p.noteCame(isNew, at)
	p.Severity = templating.Severity(*n)
	p.Notification = templating.MostSevere(*n, maxAlerts)
	for {
		doc, err := json.Marshal(p.Notification)
		if err != nil || len(doc) <= maxDoc || len(p.Notification.Alerts) < 2 {
			return
		}
		p.Notification = templating.MostSevere(p.Notification, len(p.Notification.Alerts)/2)
	}
}

// noteCame notes when the alerts that are kept came.
func (p *Page) noteCame(isNew func(key string) bool, at time.Time) {
	came := make(map[string]time.Time)
	for i := range p.Notification.Alerts {
		k := keyOf(&p.Notification, i)
		if t, known := p.Came[k]; known {
			came[k] = t
		} else if isNew(k) {
			came[k] = at
		}
	}
	p.Came = came
}

// Newer returns a notification of the alerts that fire and came after a time, as far as they
// are kept; false if no alert came after it.
func (p *Page) Newer(than time.Time) (templating.Notification, bool) {
	n := p.Notification
	if !p.NewAt.After(than) {
		return n, false
	}
	newer := n.Alerts[:0:0]
	for i, a := range n.Alerts {
		k := keyOf(&n, i)
		if _, fires := slices.BinarySearch(p.Firing, k); fires && p.Came[k].After(than) {
			newer = append(newer, a)
		}
	}
	if len(newer) > 0 { // or else they are among those that are not kept
		n.Alerts, n.TruncatedAlerts = newer, 0
	}
	return n, true
}

// paged notes that a step has paged people.
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

// covers reports whether the holder has seen all alerts of a notification.
func (p *Page) covers(n *templating.Notification) bool {
	for _, key := range keys(n) {
		if _, known := slices.BinarySearch(p.Covered, key); !known {
			return false
		}
	}
	return true
}

// Acknowledge makes somebody the holder, which stops the escalation.
func (p *Page) Acknowledge(by outbox.Person, at time.Time, detail string) {
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Holder = outbox.PageAcknowledged, at, by.String(), by.Number
	p.Covered = p.Firing
	p.Note(at, outbox.PageEventAcknowledged, by.String(), detail)
}

// Silence silences a page that somebody holds.
func (p *Page) Silence(until time.Time) { p.State, p.SilencedUntil = outbox.PageSilenced, until }

// Unsilence leaves a silenced page to its holder.
func (p *Page) Unsilence() { p.State, p.SilencedUntil = outbox.PageAcknowledged, time.Time{} }

// Undo opens a page again. Its escalation goes on as if its last step had been taken now.
func (p *Page) Undo(plan *Plan, by outbox.Person, at time.Time) {
	steps := p.Steps
	p.restart(at)
	p.Steps, p.Judged = steps, true
	if steps > 0 && plan != nil && steps <= len(plan.Steps) {
		p.From = at.Add(-plan.Steps[steps-1].After)
	}
	p.Note(at, outbox.PageEventUndone, by.String(), "")
}

// Resolve ends the page because nothing fires any more.
func (p *Page) Resolve(at time.Time, detail string) {
	p.end(outbox.PageResolved, outbox.PageEventResolved, at, detail)
}

func (p *Page) end(state outbox.PageState, kind outbox.PageEventType, at time.Time, detail string) {
	p.State = state
	p.DueAt = time.Time{}
	p.Note(at, kind, "", detail)
}

// stoppedTexts is why a page is reopened whose holder wants no more texts.
func stoppedTexts(holder string) string { return holder + " wants no more texts" }
