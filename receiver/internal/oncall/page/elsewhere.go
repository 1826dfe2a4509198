package page

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// Ended ends the alerts that a notification lists as resolved, and reports whether the page had any of
// them. It replaces Update for pages of other groups.
func (p *Page) Ended(n *templating.Notification, at time.Time) (ended bool) {
	for i := range n.Alerts {
		a := &n.Alerts[i]
		if a.Status == string(model.AlertFiring) {
			continue
		}
		for _, known := range p.instances(n, a) {
			ended = known.ends(Resolved, at) || ended
		}
	}
	if ended {
		p.settleDown(at)
		p.rebuild(nil)
	}
	return ended
}

// OfEnded returns a resolved page with the alerts of a notification whose own page cannot be read.
// Merge ends the alerts in that page later.
func OfEnded(id, receiver string, n *templating.Notification, at time.Time) *Page {
	p := &Page{Page: outbox.Page{ID: id, Receiver: receiver, GroupKey: n.GroupKey}}
	p.NotifiedAt = at
	for i := range n.Alerts {
		p.add(n, &n.Alerts[i], nil, at)
		p.Alerts[i].ends(Resolved, at)
	}
	p.End(at, n.NotificationReason)
	return p
}

// Move marks as gone the alerts that are now in the page with this code, and reports whether there were
// any. The page ends if all of its alerts have ended.
func (p *Page) Move(keys []string, code string, at time.Time) bool {
	moved := 0
	for _, key := range keys {
		for _, a := range p.index()[key] {
			if a.Live() {
				a.State, a.By, a.At, a.Whole, a.Until = Gone, "page "+code, at, nil, time.Time{}
				moved++
			}
		}
	}
	if moved == 0 {
		return false
	}
	p.Note(at, outbox.PageEventRegrouped, "", fmt.Sprintf("%s now in page %s", templating.Counted(moved, "alert"), code))
	p.rebuild(nil)
	if p.Over() {
		p.End(at, "its alerts are in other pages, or have ended")
	}
	return true
}

// Suppress marks firing alerts as suppressed by a silence that somebody asked for by reply.
func (p *Page) Suppress(fingerprints []string, by string, until, at time.Time) {
	for _, a := range p.Alerts {
		if a.State == Firing && slices.Contains(fingerprints, a.Fingerprint()) {
			a.State, a.By, a.Until, a.At = Suppressed, by, until, at
		}
	}
	p.rebuild(nil)
}

// NoResponse records that Alertmanager was asked and did not respond. A suppressed alert counts as
// firing once its suppression must have ended or, if its end is unknown, after [noResponse]. So do
// suppressed alerts that notifications left out.
func (p *Page) NoResponse(at time.Time) {
	p.AskedAt = at
	if p.FailingSince.IsZero() {
		p.FailingSince = at
	}
	p.CutHeld = p.CutHeld && at.Sub(p.ConfirmedAt) < noResponse
	p.unsuppress(at, func(a *Alert) bool {
		if a.Until.IsZero() {
			return at.Sub(Latest(p.ConfirmedAt, a.At)) >= noResponse
		}
		return !a.Until.After(at)
	})
}

// noResponse is how long an alert whose suppression has no known end counts as suppressed while
// Alertmanager does not respond.
const noResponse = 5 * time.Minute

// Unsuppress marks all suppressed alerts as firing.
func (p *Page) Unsuppress(at time.Time) {
	p.CutHeld = false
	p.unsuppress(at, func(*Alert) bool { return true })
}

// released marks as firing an alert that was suppressed, or that had ended without a notification.
func (a *Alert) released(at time.Time) {
	a.State, a.By, a.Until, a.At = Firing, "", time.Time{}, at
}

func (p *Page) unsuppress(at time.Time, which func(*Alert) bool) {
	for _, a := range p.Alerts {
		if a.State == Suppressed && which(a) {
			a.released(at)
		}
	}
	p.rebuild(nil)
}
