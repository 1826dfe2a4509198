package page

import (
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// An alert flaps if it changes at least FlapChanges times within FlapWindow. So does a group without a page.
	FlapWindow  = 15 * time.Minute
	FlapChanges = 3
	// flapQuiet is how long no text is sent after one that reports the flapping.
	flapQuiet = 5 * time.Minute
	// A flapping page ends when it has been over for settle plus the shortest time between its changes,
	// which is at least Alertmanager's group_interval, and of which at most longestSettle counts.
	settle        = time.Minute
	longestSettle = 10 * time.Minute
	// maxChanges bounds the changes that an alert keeps.
	maxChanges = 100
)

// changed records that the alert has ended or fires again.
func (a *Alert) changed(at time.Time) {
	if a.Changes = append(a.Changes, at); len(a.Changes) > maxChanges {
		a.Changes = a.Changes[len(a.Changes)-maxChanges:]
	}
}

// flaps returns how often the alert has changed within FlapWindow.
func (a *Alert) flaps(now time.Time) int {
	n := 0
	for _, at := range a.Changes {
		if now.Sub(at) < FlapWindow {
			n++
		}
	}
	return n
}

// Flapping returns the most changes that an alert of the page has had within FlapWindow, and the time
// since the first of them. It returns 0 if no alert flaps.
func (p *Page) Flapping(now time.Time) (changes int, within time.Duration) {
	for _, a := range p.Alerts {
		if n := a.flaps(now); n > changes && n >= FlapChanges {
			changes, within = n, now.Sub(a.Changes[len(a.Changes)-n])
		}
	}
	return changes, within
}

// settleDown delays the end of a flapping page that is over.
func (p *Page) settleDown(at time.Time) {
	p.SettlesAt = time.Time{}
	if changes, _ := p.Flapping(at); changes == 0 || !p.Over() {
		return
	}
	between := longestSettle
	for _, a := range p.Alerts {
		recent := a.Changes[len(a.Changes)-a.flaps(at):]
		for i := 1; i < len(recent); i++ {
			between = min(between, recent[i].Sub(recent[i-1]))
		}
	}
	p.SettlesAt = at.Add(between + settle)
}

// Quiet reports whether to send no text about a flapping page, because it would only repeat the last
// one. If it returns false, the caller must send a text now.
func (p *Page) Quiet(e Effect, now time.Time) bool {
	changes, within := p.Flapping(now)
	if changes == 0 || e.Fresh {
		return false
	}
	if now.Sub(p.FlapNotedAt) < flapQuiet {
		return true
	}
	p.FlapNotedAt = now
	p.Note(now, outbox.PageEventFlapping, "", "flapping: "+Changes(changes, within))
	return false
}

// FlapText returns how the page flaps, for texts; "" if it does not.
func (p *Page) FlapText(now time.Time) string {
	if changes, within := p.Flapping(now); changes > 0 {
		return "flapping: " + Changes(changes, within)
	}
	return ""
}

// Changes describes the changes of what flaps.
func Changes(n int, within time.Duration) string {
	return fmt.Sprintf("%d changes in %d min", n, int((within+time.Minute-1)/time.Minute))
}
