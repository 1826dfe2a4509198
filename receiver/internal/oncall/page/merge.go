package page

import (
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// Merge adds what was done to another state of the page, whose events it takes. An acknowledgement,
// an undo and a reopening count if nothing newer contradicts them; of the escalation, the state that
// is further counts.
func (p *Page) Merge(other *Page) {
	p.Events = other.Events
	p.UpdatedAt = Latest(p.UpdatedAt, other.UpdatedAt)
	if !p.State.Current() {
		return
	}
	if !other.State.Current() {
		p.State = other.State
		return
	}
	if other.NotifiedAt.After(p.NotifiedAt) {
		p.Notification, p.Firing, p.NotifiedAt, p.Severity, p.Headline = other.Notification, other.Firing, other.NotifiedAt, other.Severity, other.Headline
		p.NewAt, p.Came = other.NewAt, other.Came
	}
	if p.State == outbox.PageOpen && other.State != outbox.PageOpen && !other.AcknowledgedAt.Before(p.From) { // acknowledged since
		p.State, p.AcknowledgedAt, p.AcknowledgedBy = other.State, other.AcknowledgedAt, other.AcknowledgedBy
		p.Holder, p.Covered, p.SilencedUntil = other.Holder, other.Covered, other.SilencedUntil
	}
	reopened := slices.ContainsFunc(other.Events, func(e outbox.PageEvent) bool {
		return (e.Type == outbox.PageEventReopened || e.Type == outbox.PageEventUndone) && e.At.After(p.AcknowledgedAt)
	})
	if other.State == outbox.PageOpen && p.State != outbox.PageOpen && reopened {
		p.restart(other.From)
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
