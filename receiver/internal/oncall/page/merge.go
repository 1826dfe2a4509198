package page

import (
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// Merge adds to the page what was done in other, a state of the same page, and replaces its events with
// other's. An acknowledgement, an undo or a reopening counts unless something newer contradicts it. Of
// the two escalations, the one that has taken more steps counts.
func (p *Page) Merge(other *Page) {
	p.Events = other.Events
	p.UpdatedAt, p.Clock = Latest(p.UpdatedAt, other.UpdatedAt), Latest(p.Clock, other.Clock)
	if !p.State.Current() {
		return
	}
	if other.State == outbox.PageExpired {
		p.State = other.State
		return
	}
	p.mergeAlerts(other)
	if p.Over() && !p.SettlesAt.After(p.UpdatedAt) {
		p.State = outbox.PageResolved
		return
	}
	if !other.State.Current() {
		return
	}
	if p.State == outbox.PageOpen && other.State != outbox.PageOpen && !other.AcknowledgedAt.Before(p.StepsFrom) { // acknowledged since
		p.State, p.AcknowledgedAt, p.AcknowledgedBy = other.State, other.AcknowledgedAt, other.AcknowledgedBy
		p.Holder, p.SilencedUntil, p.CutCovered = other.Holder, other.SilencedUntil, other.CutCovered
		p.cover()
	}
	reopened := slices.ContainsFunc(other.Events, func(e outbox.PageEvent) bool {
		return (e.Type == outbox.PageEventReopened || e.Type == outbox.PageEventUndone) && e.At.After(p.AcknowledgedAt)
	})
	if other.State == outbox.PageOpen && p.State != outbox.PageOpen && reopened {
		p.restart(other.StepsFrom)
		p.Progress = other.Progress
	}
	for _, person := range other.People {
		if !slices.Contains(p.People, person) {
			p.People = append(p.People, person)
		}
	}
	if other.Steps > p.Steps {
		p.Progress = other.Progress
	}
	p.RepeatAt = Latest(p.RepeatAt, other.RepeatAt)
}

// mergeAlerts keeps the later state of each alert.
func (p *Page) mergeAlerts(other *Page) {
	if other.NotifiedAt.After(p.NotifiedAt) {
		p.Notification, p.NotifiedAt, p.Severity, p.Headline = other.Notification, other.NotifiedAt, other.Severity, other.Headline
		p.Cut, p.SettlesAt = other.Cut, other.SettlesAt
	}
	if other.AskedAt.After(p.AskedAt) {
		p.FailingSince, p.CutHeld = other.FailingSince, other.CutHeld
	}
	p.ConfirmedAt, p.AskedAt, p.FlapNotedAt = Latest(p.ConfirmedAt, other.ConfirmedAt), Latest(p.AskedAt, other.AskedAt), Latest(p.FlapNotedAt, other.FlapNotedAt)
	for source, address := range other.Sources {
		if p.Sources == nil {
			p.Sources = make(map[string]string)
		}
		p.Sources[source] = address
	}
	for _, a := range other.Alerts {
		i := slices.IndexFunc(p.Alerts, func(mine *Alert) bool { return mine.Key == a.Key })
		switch {
		case i < 0:
			p.Alerts = append(p.Alerts, a)
		case !a.At.Before(p.Alerts[i].At):
			p.Alerts[i] = a
		}
	}
	p.byKey = nil
	p.rebuild(nil)
}
