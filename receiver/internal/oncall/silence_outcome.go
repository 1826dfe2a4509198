package oncall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// handled is a silence with the response of Alertmanager about it.
type handled struct {
	*silence
	page     *page.Page
	others   []*silence // other silences of the page
	response response
	now      time.Time
}

// final reports whether Alertmanager has done what was asked, refuses it, or was asked silenceTries
// times.
func (a *handled) final() bool {
	var refused *alertmanager.RefusedError
	return a.response.err == nil || errors.As(a.response.err, &refused) || a.Tries >= silenceTries
}

// react returns the entry that the response of Alertmanager leads to.
func (ss *silences) react(ctx context.Context, a *handled) (outbox.Entry, error) {
	switch {
	case a.State == silenceEnding:
		return ss.ended(a), nil
	case a.State == silenceOver:
		return ss.watch(ctx, a)
	case !a.final():
		a.NextAt = a.now.Add(silenceRetry)
		return outbox.Entry{Marks: []outbox.Mark{a.stored(a.now)}}, nil
	case a.State == silenceSet:
		return ss.ranOut(a), nil
	}
	var e outbox.Entry
	p := a.page
	confirm := func(format string, args ...any) {
		e.Messages = append(e.Messages, ss.texts.noticeTo(p, a.Number, a.now, fmt.Sprintf(format, args...))...)
	}
	switch {
	case a.response.err != nil:
		a.end(a.now) // it may be set for some of the alerts
		p.Note(a.now, outbox.PageEventNotSilenced, a.By, a.response.err.Error())
		stays := fmt.Sprintf("%s is %s", p.Code, p.State)
		if p.State == outbox.PageAcknowledged && p.Holder == a.Number {
			stays = p.Code + " stays yours"
		}
		confirm("NOT silenced: %s. %s: %s", shortReason(a.response.err), stays, p.Headline)
	case !p.State.Current():
		a.end(a.now)
		p.Note(a.now, outbox.PageEventNotSilenced, a.By, "it is over")
		confirm("NOT silenced: %s is %s already: %s", p.Code, p.State, p.Headline)
	default:
		until := ss.replace(a, &e)
		p.Suppress(a.fingerprints(), "silenced by "+a.By+" until "+a.Until.UTC().Format("15:04 MST"), a.Until, a.now)
		p.Note(a.now, outbox.PageEventSilenced, a.By, fmt.Sprintf("for %s, %s", page.Span(a.For), templating.Counted(len(a.Alerts), "alert")))
		if p.State == outbox.PageOpen {
			confirm("Silenced for %s, but %s is open again, as more has happened: %s. UNDO %s ends the silence.", page.Span(a.For), p.Code, p.Headline, p.Code)
			break
		}
		p.Silence(until)
		if !a.Seen {
			confirm("Silenced %s for %s: %s. UNDO %s ends it.", p.Code, page.Span(a.For), p.Headline, p.Code)
		}
	}
	p.Schedule(ss.pages.plan(p.Receiver))
	e.Page = p.Stored()
	e.Marks = append(e.Marks, a.stored(a.now))
	return e, nil
}

// replace marks a silence as set, and ends older silences of the page that it covers. It returns when the
// last silence of the page ends.
func (ss *silences) replace(a *handled, e *outbox.Entry) (until time.Time) {
	a.State, a.Tries, a.NextAt = silenceSet, 0, a.Until
	until = a.Until
	for _, other := range a.others {
		switch {
		case other.State != silenceSet:
		case other.id < a.id && a.covers(other):
			other.end(a.now)
			e.Marks = append(e.Marks, other.stored(a.now))
		default:
			until = page.Latest(until, other.Until)
		}
	}
	return until
}

// ended returns the outcome of an attempt to end a silence. Attempts continue until the silence ends by
// itself.
func (ss *silences) ended(a *handled) outbox.Entry {
	p, err := a.page, a.response.err
	confirm := func(format string, args ...any) []outbox.Message {
		return ss.texts.noticeTo(p, a.Number, a.now, fmt.Sprintf(format, args...))
	}
	e := outbox.Entry{Marks: []outbox.Mark{a.deleted()}}
	switch {
	case err == nil && a.Late:
		e.Messages = confirm("The silence of %s has ended now: %s", p.Code, p.Headline)
	case err == nil && a.Report && !a.Seen:
		e.Messages = confirm("Undone: %s is %s and not silenced. %s", p.Code, p.State, p.Headline)
	case err != nil && a.now.Before(a.Until):
		a.NextAt = a.now.Add(silenceRetry)
		if a.final() {
			a.NextAt = a.now.Add(endRetry)
		}
		if a.final() && a.Report && !a.Late {
			a.Late = true
			ss.logger.Error("a silence cannot be ended; retrying until it ends by itself", "page", p.ID, "until", a.Until, "err", err)
			p.Note(a.now, outbox.PageEventNotSilenced, a.By, "the silence cannot be ended: "+err.Error())
			e.Page = p.Stored()
			e.Messages = confirm("%s is %s, but its silence could NOT be ended yet; end it in Alertmanager; smspager keeps trying. %s", p.Code, p.State, p.Headline)
		}
		e.Marks = []outbox.Mark{a.stored(a.now)}
	}
	return e
}

// ranOut returns the outcome of a silence that has ended by itself. If its alerts fire, the page is
// reopened: Alertmanager may not notify for hours. If the alerts are still suppressed for another reason,
// the page stays silenced. If they have ended, the page is over: Alertmanager reports neither their end
// nor that they fire again soon after.
func (ss *silences) ranOut(a *handled) outbox.Entry {
	e := outbox.Entry{Marks: []outbox.Mark{a.deleted()}}
	p, conf := a.page, ss.settings.Load()
	r := conf.receivers[p.Receiver]
	var until time.Time // of other silences
	for _, other := range a.others {
		if other.State == silenceSet && other.Until.After(a.now) {
			until = page.Latest(until, other.Until)
		}
	}
	if p.State != outbox.PageSilenced {
		return e
	}
	watched := newWatch(ss.texts.newID(a.now), p, a.now)
	known := a.response.err == nil
	if known {
		p.Learn(ss.asking.reportOf(p, a.response.listing), a.now)
	} else {
		p.Unsuppress(a.now)
	}
	switch {
	case !p.State.Current():
		e.Marks = append(e.Marks, watched.watchMarks(a.now)...)
		if r != nil && r.SendResolved {
			e.Messages = ss.texts.noticesToOthers(p, "", a.now, fmt.Sprintf("RESOLVED while %s was silenced: %s", p.Code, p.Headline))
		}
	case r == nil: // it is no longer configured
		p.Unsilence()
	case !until.IsZero() && !ss.firesOf(a):
		p.Silence(until)
	case known && !p.Fires(): // the alerts are still suppressed for another reason
		e.Marks = []outbox.Mark{ss.wait(a)}
	default:
		people := ss.texts.everybody(p, r, a.now)
		paged := p.People.Numbers()
		p.Reopen(people, a.now, page.SilenceEnded)
		e.Messages = ss.texts.messages(conf, p, people, paged, a.now, "The silence has ended")
	}
	p.Schedule(ss.pages.plan(p.Receiver))
	e.Page = p.Stored()
	return e
}

// firesOf reports whether an alert of a silence fires, or may fire.
func (ss *silences) firesOf(a *handled) bool {
	if a.response.err != nil {
		return true
	}
	return slices.ContainsFunc(a.fingerprints(), func(fingerprint string) bool {
		known, listed := a.response.listing.Alerts[fingerprint]
		return listed && !known.Suppressed
	})
}

// wait keeps the page silenced, and schedules the next question whether the alerts are still suppressed.
// It returns the mark that stores the silence.
func (ss *silences) wait(a *handled) outbox.Mark {
	a.Until, a.Tries = a.now.Add(waitForOthers), 0
	a.NextAt = a.Until
	a.page.Silence(a.Until)
	return a.stored(a.now)
}

// waitForOthers is how often Alertmanager is asked about alerts that are still suppressed after a silence.
const waitForOthers = time.Minute

// watch returns the outcome of a question about alerts that ended without a notification. If one fires
// again, watch opens a page, because Alertmanager may not notify before its repeat_interval has passed.
func (ss *silences) watch(ctx context.Context, a *handled) (outbox.Entry, error) {
	if a.response.repeat > 0 {
		a.For, a.Until = a.response.repeat, a.now.Add(a.response.repeat)
	}
	if !a.now.Before(a.Until) {
		return outbox.Entry{Marks: []outbox.Mark{a.deleted()}}, nil
	}
	a.NextAt, a.Tries = a.now.Add(watchEvery), 0
	e := outbox.Entry{Marks: []outbox.Mark{a.stored(a.now)}}
	if a.response.err != nil || !ss.firesOf(a) {
		return e, nil
	}
	conf := ss.settings.Load()
	r, n := conf.receivers[a.page.Receiver], a.page.Notification
	e.Marks = []outbox.Mark{a.deleted()}
	n.Alerts = nil
	for _, fingerprint := range a.fingerprints() {
		if known, listed := a.response.listing.Alerts[fingerprint]; listed && !known.Suppressed {
			alert := template.Alert{Fingerprint: fingerprint, Labels: known.Labels, Annotations: template.KV{}}
			if i := slices.IndexFunc(a.page.Alerts, func(of *page.Alert) bool { return of.Whole != nil && of.Fingerprint() == fingerprint }); i >= 0 {
				alert = *a.page.Alerts[i].Whole
			}
			alert.Status, alert.StartsAt = string(model.AlertFiring), known.StartsAt
			n.Alerts = append(n.Alerts, alert)
		}
	}
	n.NotificationReason, n.TruncatedAlerts = "fires again without a notification", 0
	if r == nil || len(n.Alerts) == 0 {
		return e, nil
	}
	known, err := ss.pages.ofNotification(ctx, a.page.Receiver, &n)
	if err != nil || known.group != nil || len(known.others) > 0 { // a notification came after all
		return e, err
	}
	code, err := ss.pages.drawCode(ctx, a.now)
	if err != nil {
		return e, err
	}
	severities := templating.Severities(n)
	people := ss.people.People(r.Recipients, severities, a.now)
	p := page.Open(ss.texts.newID(a.now), code, a.page.Receiver, &n, known.alerts(), a.now)
	p.Begin(people, a.now)
	p.Headline = ss.texts.headline(conf, p)
	p.Schedule(ss.pages.plan(p.Receiver))
	e.Messages = ss.texts.messages(conf, p, people, nil, a.now, "")
	e.Page = p.Stored()
	return e, nil
}

// shortReason returns, for a text, why Alertmanager did not silence.
func shortReason(err error) string {
	var refused *alertmanager.RefusedError
	if errors.As(err, &refused) {
		return "Alertmanager refuses"
	}
	return "Alertmanager does not respond"
}
