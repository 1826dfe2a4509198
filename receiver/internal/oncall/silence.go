package oncall

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// silenceMarks keep the silences that replies asked for.
const silenceMarks mark.Kind[silence] = "silence"

// silence is what a reply asked of Alertmanager. It is stored together with the page before
// Alertmanager is asked, so that it is done after a crash, too: a silence that was set before is
// recognised by its comment.
type silence struct {
	id      string // of its mark
	version int    // of its mark

	Page   string        `json:"page"` // its id
	Code   string        `json:"code"`
	By     string        `json:"by"` // who asked last: for it, or for its end
	Number e164.Number   `json:"number"`
	For    time.Duration `json:"for"`
	Until  time.Time     `json:"until"`
	Alerts []silenced    `json:"alerts"`

	State  silenceState `json:"state"`
	Seen   bool         `json:"seen,omitempty"` // who asked sees the page: a text confirms only what went wrong
	Report bool         `json:"tell,omitempty"` // its end is to be confirmed
	Late   bool         `json:"late,omitempty"` // a message said that it has not ended yet
	Tries  int          `json:"tries,omitempty"`
	NextAt time.Time    `json:"next_at"` // when something is due
	// AskedTill is how long at most Alertmanager is being asked; zero while it is not. Its response
	// must be known before it is asked for something else.
	AskedTill time.Time `json:"asked_till,omitzero"`
}

type silenceState string

const (
	silenceWanted silenceState = "wanted" // Alertmanager is to set it
	silenceSet    silenceState = "set"    // Alertmanager has set it, until it ends by itself
	silenceEnding silenceState = "ending" // Alertmanager is to end it
	// silenceOver: Alertmanager was not seen to notify of the end of its alerts, and so may not notify
	// if they fire again. It is asked until it must.
	silenceOver silenceState = "over"
)

// silenced is an alert as it was when its silence was asked for.
type silenced struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
}

// newSilence returns a silence of the alerts of a page that fire.
func newSilence(id string, p *page.Page, by outbox.Person, length time.Duration, now time.Time) *silence {
	w := &silence{
		id: id, Page: p.ID, Code: p.Code, By: by.String(), Number: by.Number, For: length, Until: now.Add(length), State: silenceWanted, NextAt: now,
	}
	for _, a := range p.Notification.Alerts {
		if a.Status == string(model.AlertFiring) {
			w.Alerts = append(w.Alerts, silenced{a.Fingerprint, a.Labels})
		}
	}
	return w
}

// until returns how long it is until a time of the day, "0700".
func until(clock string, now time.Time) time.Duration {
	t, err := time.Parse("1504", clock)
	if err != nil {
		return 0
	}
	end := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
	if !end.After(now) {
		end = end.AddDate(0, 0, 1)
	}
	return end.Sub(now)
}

// watchEvery is how often Alertmanager is asked for alerts that may fire again without its notifying.
const watchEvery = time.Minute

// watchFor is for how long, unless Alertmanager has another repeat_interval: its own default.
const watchFor = 4 * time.Hour

// newWatch returns a watch for the alerts of a page, which end without a notification.
func newWatch(id string, p *page.Page, now time.Time) *silence {
	w := &silence{id: id, Page: p.ID, Code: p.Code, State: silenceOver, Until: now.Add(watchFor), NextAt: now.Add(watchEvery)}
	for _, a := range p.Notification.Alerts {
		w.Alerts = append(w.Alerts, silenced{a.Fingerprint, a.Labels})
	}
	return w
}

// watches returns what stores a watch, nothing if its alerts are not known.
func (w *silence) watches(now time.Time) []outbox.Mark {
	if len(w.Alerts) == 0 {
		return nil
	}
	return []outbox.Mark{w.stored(now)}
}

// fingerprints returns those of its alerts.
func (w *silence) fingerprints() []string {
	var all []string
	for _, a := range w.Alerts {
		all = append(all, a.Fingerprint)
	}
	return all
}

// comment returns what the comments of its silences in Alertmanager begin with.
func (w *silence) comment() string {
	return fmt.Sprintf("smspager page %s (%s) by reply %s", w.Page, w.Code, w.id)
}

// stored returns what stores the silence.
func (w *silence) stored(at time.Time) outbox.Mark {
	return silenceMarks.Set(mark.Mark[silence]{Name: w.id, Version: w.version, Value: *w}, at)
}

// deleted returns what deletes the silence.
func (w *silence) deleted() outbox.Mark {
	return silenceMarks.Delete(mark.Mark[silence]{Name: w.id, Version: w.version})
}

// end has the silence ended, as soon as Alertmanager has responded.
func (w *silence) end(now time.Time) {
	w.State, w.Tries, w.NextAt, w.Report, w.Late = silenceEnding, 0, page.Latest(now, w.AskedTill), false, false
}

// covers reports whether w silences every alert that other silences.
func (w *silence) covers(other *silence) bool {
	for _, a := range other.Alerts {
		if !slices.ContainsFunc(w.Alerts, func(mine silenced) bool { return mine.Fingerprint == a.Fingerprint }) {
			return false
		}
	}
	return true
}

// common returns the labels that all alerts have.
func (w *silence) common() map[string]string {
	common := make(map[string]string)
	for i, a := range w.Alerts {
		for name, value := range a.Labels {
			if i == 0 {
				common[name] = value
			}
		}
		for name, value := range common {
			if other, ok := a.Labels[name]; !ok || other != value {
				delete(common, name)
			}
		}
	}
	return common
}
