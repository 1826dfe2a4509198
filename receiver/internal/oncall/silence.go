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

// silenceMarks store the silences that people asked for, and the watches.
const silenceMarks mark.Kind[silence] = "silence"

// silence is a silence that somebody asked for by reply, or a watch, see newWatch. It is stored together
// with the page before Alertmanager is asked, so a crash does not lose it. After a crash, a silence that
// Alertmanager has already set is recognised by its comment.
type silence struct {
	id      string // of its mark
	version int    // of its mark

	Page   string        `json:"page"` // the page's id
	Code   string        `json:"code"`
	By     string        `json:"by"` // who last asked for the silence, or for its end
	Number e164.Number   `json:"number"`
	For    time.Duration `json:"for"`
	Until  time.Time     `json:"until"`
	Alerts []silenced    `json:"alerts"`

	Labels map[string]string `json:"labels,omitempty"` // of a watch: those that Alertmanager is asked for

	State  silenceState `json:"state"`
	Seen   bool         `json:"seen,omitempty"` // the person sees the page: a text only reports failures
	Report bool         `json:"tell,omitempty"` // the end of the silence is confirmed
	Late   bool         `json:"late,omitempty"` // a message has reported that the silence could not be ended yet
	Tries  int          `json:"tries,omitempty"`
	NextAt time.Time    `json:"next_at"` // when Alertmanager is asked next
	// AskedTill is the latest end of the running request to Alertmanager; zero: none runs. A further
	// request must wait for its response.
	AskedTill time.Time `json:"asked_till,omitzero"`
}

type silenceState string

const (
	silenceWanted silenceState = "wanted" // Alertmanager must set it
	silenceSet    silenceState = "set"    // Alertmanager has set it
	silenceEnding silenceState = "ending" // Alertmanager must end it
	// silenceOver is the state of a watch: no notification reported the end of its alerts, so none may
	// report it if they fire again. Alertmanager is asked about them until it would notify again.
	silenceOver silenceState = "over"
)

// silenced is an alert of a silence.
type silenced struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels,omitempty"` // not in a watch
}

// newSilence returns a silence of the firing alerts of a page.
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

// until returns the duration until the next time that a clock shows, as "0700"; 0 if it is invalid.
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

// watchEvery is how often Alertmanager is asked about alerts that may fire again without a notification.
const watchEvery = time.Minute

// watchFor is how long it is asked, unless its repeat_interval is known: the default repeat_interval.
const watchFor = 4 * time.Hour

// newWatch returns a watch for the alerts of a page that ends without a notification, and for those that
// ended so before.
func newWatch(id string, p *page.Page, now time.Time) *silence {
	w := &silence{id: id, Page: p.ID, Code: p.Code, State: silenceOver, Until: now.Add(watchFor), NextAt: now.Add(watchEvery), Labels: groupLabels(p)}
	for _, a := range p.Alerts {
		if a.Live() || a.FiresSilently(now) {
			w.Alerts = append(w.Alerts, silenced{Fingerprint: a.Fingerprint()})
		}
	}
	return w
}

// watchMarks returns the mark that stores a watch, nil if the watch has no alerts.
func (w *silence) watchMarks(now time.Time) []outbox.Mark {
	if len(w.Alerts) == 0 {
		return nil
	}
	return []outbox.Mark{w.stored(now)}
}

// fingerprints returns the fingerprints of the alerts.
func (w *silence) fingerprints() []string {
	var all []string
	for _, a := range w.Alerts {
		all = append(all, a.Fingerprint)
	}
	return all
}

// comment returns the beginning of the comments of the silence in Alertmanager.
func (w *silence) comment() string {
	return fmt.Sprintf("smspager page %s (%s) by reply %s", w.Page, w.Code, w.id)
}

// stored returns the mark that stores the silence.
func (w *silence) stored(at time.Time) outbox.Mark {
	return silenceMarks.Set(mark.Mark[silence]{Name: w.id, Version: w.version, Value: *w}, at)
}

// deleted returns the mark that deletes the silence.
func (w *silence) deleted() outbox.Mark {
	return silenceMarks.Delete(mark.Mark[silence]{Name: w.id, Version: w.version})
}

// end requests the end of the silence, for when a running request to Alertmanager has ended.
func (w *silence) end(now time.Time) {
	w.State, w.Tries, w.NextAt, w.Report, w.Late = silenceEnding, 0, page.Latest(now, w.AskedTill), false, false
}

// covers reports whether w silences every alert of other.
func (w *silence) covers(other *silence) bool {
	return !slices.ContainsFunc(other.Alerts, func(a silenced) bool {
		return !slices.ContainsFunc(w.Alerts, func(mine silenced) bool { return mine.Fingerprint == a.Fingerprint })
	})
}
