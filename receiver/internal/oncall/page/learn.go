package page

import (
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// justNotified is how long an alert counts as firing after a notification although Alertmanager does
// not list it.
const justNotified = 2 * time.Second

// restarted is how long after its start Alertmanager may not list an alert that fires: Prometheus
// sends it again after a minute and an evaluation.
const restarted = 2 * time.Minute

// clocks is how far Alertmanager's clock, which reports its start, and this one may differ.
const clocks = 2 * time.Second

// Report is what Alertmanager knows of the alerts of a page.
type Report struct {
	Alerts map[string]Known // by fingerprint
	// Strangers are sources of the page that are not the Alertmanager that was asked: what it does
	// not list says nothing of their alerts.
	Strangers map[string]bool
	Since     time.Time // when the Alertmanager that runs longest was started; zero: nobody knows
	AllSince  time.Time // since when all Alertmanagers run that may have reported an alert; zero: nobody knows
}

// Known is an alert that Alertmanager lists.
type Known struct {
	Suppressed bool
	By         string    // who suppresses it, as "silenced by bob until 04:30 UTC"
	Until      time.Time // how long; zero: nobody knows
}

// Learn takes in what Alertmanager knows of the alerts of the page, which ends if all of them have. It
// reports whether an alert fires that was suppressed. If Alertmanager was started a moment ago and lists
// none of the alerts, nobody is paged until it must know which fire.
func (p *Page) Learn(r *Report, now time.Time) (back bool) {
	p.AskedAt, p.ConfirmedAt, p.UnheardAt = now, now, time.Time{}
	if len(p.Alerts) == 0 {
		return false
	}
	if p.WaitsUntil = r.Since.Add(restarted); !p.WaitsUntil.After(now) {
		p.WaitsUntil = time.Time{}
	}
	var gone, fires, held, active int
	by := ""
	for _, a := range p.Live() {
		known, listed := r.Alerts[a.Fingerprint()]
		if listed {
			a.Seen = now
		}
		switch {
		case !listed && p.strange(a, r), !listed && now.Sub(a.At) < justNotified:
			active++
		case !listed && !p.WaitsUntil.IsZero() && !r.knew(a): // it may fire
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
	if active+fires > 0 {
		p.WaitsUntil = time.Time{}
	}
	note := func(n int, kind outbox.PageEventType, format string) {
		if n > 0 {
			p.Note(now, kind, "", strings.ReplaceAll(format, "%", templating.Counted(n, "alert")))
		}
	}
	note(held, outbox.PageEventSuppressed, "% "+by)
	note(fires, outbox.PageEventFires, "% no longer suppressed")
	note(gone, outbox.PageEventGone, "Alertmanager no longer lists %")
	if held+fires+gone > 0 {
		p.rebuild(nil)
	}
	if gone > 0 && p.Over() {
		p.End(now, "Alertmanager no longer lists its alerts")
	}
	return fires > 0
}

// knew reports whether an Alertmanager that was asked has reported the alert since its start, and so
// would list it.
func (r *Report) knew(a *Alert) bool {
	return !r.AllSince.IsZero() && a.Seen.After(r.AllSince.Add(clocks))
}

// strange reports whether only sources have reported an alert that are not the Alertmanager asked.
func (p *Page) strange(a *Alert, r *Report) bool {
	for _, source := range a.Sources {
		if !r.Strangers[source] {
			return false
		}
	}
	return len(a.Sources) > 0
}
