package page

import (
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// justNotified is how long an alert counts as firing after a notification even if Alertmanager does not
// list it.
const justNotified = 2 * time.Second

// restarted is how long after its start Alertmanager may not list an alert that fires: Prometheus
// sends it again after a minute and an evaluation.
const restarted = 2 * time.Minute

// Report holds what Alertmanager responds about the alerts of a page.
type Report struct {
	Alerts map[string]Known // by fingerprint
	// Strangers holds the sources of the page other than the Alertmanager that was asked. It need not
	// list their alerts.
	Strangers map[string]bool
	Since     time.Time // when Alertmanager was started; zero: nobody knows
}

// Known is an alert that Alertmanager lists.
type Known struct {
	Suppressed bool
	By         string    // who suppresses it, as "silenced by bob until 04:30 UTC"
	Until      time.Time // how long; zero: nobody knows
}

// Learn updates the alerts of the page from Alertmanager's report, and ends the page if all of them have
// ended. It reports whether a suppressed alert fires again. If Alertmanager started less than [restarted]
// ago and lists none of the alerts as firing, nobody is paged until that time has passed.
func (p *Page) Learn(r *Report, now time.Time) (back bool) {
	p.AskedAt, p.ConfirmedAt = now, now
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
		switch {
		case !listed && p.strange(a, r), !listed && now.Sub(a.At) < justNotified:
			active++
		case !listed && !p.WaitsUntil.IsZero(): // it may fire
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

// strange reports whether no source of an alert is the Alertmanager that was asked.
func (p *Page) strange(a *Alert, r *Report) bool {
	for _, source := range a.Sources {
		if !r.Strangers[source] {
			return false
		}
	}
	return len(a.Sources) > 0
}
