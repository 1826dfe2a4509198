package page

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// justNotified is how long an alert counts as firing after a notification even if Alertmanager does not
// list it.
const justNotified = 2 * time.Second

// Restarted is how long Alertmanager, after its start, may not list an alert that fires. Prometheus
// sends the alert again after a minute and an evaluation.
const Restarted = 2 * time.Minute

// clockSkew is how inexact the start of an Alertmanager may be: its responses are dated in whole seconds.
const clockSkew = 2 * time.Second

// Report holds what Alertmanager responds about the alerts of a page.
type Report struct {
	Alerts map[string]Known // by fingerprint
	// Strangers holds the sources of the page other than the Alertmanager that was asked, "" if an unknown
	// source is one. It need not list their alerts.
	Strangers map[string]bool
	Down      map[string]bool      // the sources of the page that were asked and did not respond
	Starts    map[string]time.Time // when each Alertmanager that responded started, by URL; zero: unknown
	All       bool                 // all configured Alertmanagers responded
	// Whole is true if all alerts with the labels of the page's group were asked for. These include the
	// alerts that notifications leave out.
	Whole bool
}

// Known is an alert that Alertmanager lists.
type Known struct {
	StartsAt   time.Time
	Suppressed bool
	By         string    // who suppresses it, as "silenced by bob until 04:30 UTC"
	Until      time.Time // when its suppression ends; zero: unknown
	ListedBy   []string  // the URLs of the Alertmanagers that list it
}

// startRange returns the earliest and the latest start of the Alertmanagers that responded; zero: a start is
// unknown.
func (r *Report) startRange() (longest, last time.Time) {
	for _, start := range r.Starts {
		if longest.IsZero() || start.Before(longest) {
			longest = start
		}
		last = Latest(last, start)
		if start.IsZero() {
			return time.Time{}, time.Time{}
		}
	}
	return longest, last
}

// Learn updates the alerts of the page from Alertmanager's report, and ends the page if all of them have
// ended. If all Alertmanagers started less than [Restarted] ago and list none of the alerts as firing,
// nobody is paged until that time has passed.
func (p *Page) Learn(r *Report, now time.Time) {
	p.AskedAt, p.ConfirmedAt, p.FailingSince = now, now, time.Time{}
	if len(p.Alerts) == 0 && p.Truncated() == 0 {
		return
	}
	longest, _ := r.startRange()
	if p.WaitsUntil = longest.Add(Restarted); !p.WaitsUntil.After(now) {
		p.WaitsUntil = time.Time{}
	}
	var gone, fires, held, active int
	by := ""
	for _, a := range p.Live() {
		known, listed := r.Alerts[a.Fingerprint()]
		if listed {
			a.listed(known.ListedBy, now)
		}
		switch {
		case !listed && (p.fromStrangers(a, r) || r.elsewhere(a)), !listed && now.Sub(a.At) < justNotified:
			active++
		case !listed && !p.WaitsUntil.IsZero() && !r.wouldList(a): // it may still fire
		case !listed:
			a.ends(Gone, now)
			gone++
		case known.Suppressed:
			if a.State == Firing {
				held++
				a.At, by = now, known.By
			}
			a.State, a.By, a.Until = Suppressed, known.By, known.Until
		case a.State != Suppressed:
			active++
		default:
			a.released(now)
			fires++
		}
	}
	again := p.learnAgain(r, now)
	switch p.learnCut(r, now) {
	case Gone:
		gone += int(p.Truncated())
		p.Cut = nil
	case Suppressed:
		if !p.CutHeld {
			held += int(p.Truncated())
			by = cmp.Or(by, "suppressed")
		}
		p.CutHeld = true
	case Firing:
		if active++; p.CutHeld {
			fires += int(p.Truncated())
		}
		p.CutHeld = false
	}
	if active+fires+again > 0 {
		p.WaitsUntil = time.Time{}
	}
	note := func(n int, kind outbox.PageEventType, format string) {
		if n > 0 {
			p.Note(now, kind, "", strings.ReplaceAll(format, "%", templating.Counted(n, "alert")))
		}
	}
	note(held, outbox.PageEventSuppressed, "% "+by)
	note(fires, outbox.PageEventFires, "% no longer suppressed")
	note(again, outbox.PageEventFires, "% firing again without a notification")
	note(gone, outbox.PageEventGone, "Alertmanager no longer lists %")
	if held+fires+gone+again > 0 {
		p.rebuild(nil)
	}
	if gone > 0 && p.Over() {
		p.End(now, "Alertmanager no longer lists its alerts")
	}
}

// learnAgain marks as firing the alerts that ended without a notification and fire again, and returns how
// many.
func (p *Page) learnAgain(r *Report, now time.Time) (again int) {
	for _, a := range p.Alerts {
		known, listed := r.Alerts[a.Fingerprint()]
		if !listed || known.Suppressed || !a.FiresSilently(now) || p.Holds(a.base()) {
			continue
		}
		a.changed(now)
		a.released(now)
		a.FiredAt, a.Covered, a.StartsAt = now, false, known.StartsAt
		a.listed(known.ListedBy, now)
		if a.Whole != nil {
			whole := *a.Whole
			whole.StartsAt = known.StartsAt
			a.Whole = &whole
		}
		again++
	}
	p.firesAgain = again > 0
	return again
}

// FiresSilently reports whether Alertmanager may send no notification if the alert fires again, because none
// reported its end.
func (a *Alert) FiresSilently(now time.Time) bool {
	return a.State == Gone && a.By == "" && now.Sub(a.At) < keepGone
}

// learnCut returns the state of the alerts that notifications leave out. They may be the listed alerts that
// the page does not have. If such alerts were listed and no longer are, the left-out alerts have ended.
// learnCut returns "" if none are left out, or if their state is unknown.
func (p *Page) learnCut(r *Report, now time.Time) AlertState {
	stranger := false
	for source := range p.Cut {
		stranger = stranger || r.Strangers[source]
	}
	if p.Truncated() == 0 || !r.Whole || !r.All || stranger || !p.WaitsUntil.IsZero() || now.Sub(p.NotifiedAt) < justNotified {
		return ""
	}
	known := make(map[string]bool)
	for _, a := range p.Live() {
		known[a.Fingerprint()] = true
	}
	state := AlertState("")
	if p.CutListed {
		state = Gone
	}
	for fingerprint, other := range r.Alerts {
		switch {
		case known[fingerprint]:
		case !other.Suppressed:
			p.CutListed = true
			return Firing
		default:
			p.CutListed, state = true, Suppressed
		}
	}
	return state
}

// wouldList reports whether an Alertmanager that responded would list the alert if it had not ended: because it
// has listed the alert since its start, or because all responded, and one has notified of the alert since
// all of them started.
func (r *Report) wouldList(a *Alert) bool {
	for address, start := range r.Starts {
		if !start.IsZero() && a.Listed[shortName(address)].After(start.Add(clockSkew)) {
			return true
		}
	}
	_, last := r.startRange()
	return r.All && !last.IsZero() && a.Notified.After(last.Add(clockSkew))
}

// elsewhere reports whether only Alertmanagers that did not respond have listed the alert, or notified of it.
func (r *Report) elsewhere(a *Alert) bool {
	for address := range r.Starts {
		if _, ok := a.Listed[shortName(address)]; ok {
			return false
		}
	}
	return !r.All && (len(a.Listed) > 0 || slices.ContainsFunc(a.Sources, func(source string) bool { return r.Down[source] }))
}

// listed records which Alertmanagers list the alert.
func (a *Alert) listed(by []string, now time.Time) {
	if a.Listed == nil {
		a.Listed = make(map[string]time.Time)
	}
	for _, address := range by {
		a.Listed[shortName(address)] = now.Truncate(time.Second)
	}
}

// fromStrangers reports whether no source of an alert is the Alertmanager that was asked.
func (p *Page) fromStrangers(a *Alert, r *Report) bool {
	for _, source := range a.Sources {
		if !r.Strangers[source] {
			return false
		}
	}
	return len(a.Sources) > 0 || r.Strangers[""]
}
