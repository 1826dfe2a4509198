package oncall

import (
	"errors"
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// attended is a silence about which Alertmanager has responded.
type attended struct {
	*silence
	page     *page.Page
	others   []*silence // of the same page
	response response
	now      time.Time
}

// final reports whether Alertmanager is not asked again: it did what was asked, refuses it, or was
// asked often enough.
func (a *attended) final() bool {
	var refused *alertmanager.RefusedError
	return a.response.err == nil || errors.As(a.response.err, &refused) || a.Tries >= silenceTries
}

// react returns what the response of Alertmanager leads to.
func (ss *silences) react(a *attended) outbox.Entry {
	switch {
	case a.State == silenceEnding:
		return ss.ended(a)
	case !a.final():
		a.NextAt = a.now.Add(silenceRetry)
		return outbox.Entry{Marks: []outbox.Mark{a.stored(a.now)}}
	case a.State == silenceSet:
		return ss.ranOut(a)
	}
	var e outbox.Entry
	p := a.page
	confirm := func(format string, args ...any) {
		e.Messages = append(e.Messages, ss.texts.aboutTo(p, a.Number, a.now, fmt.Sprintf(format, args...))...)
	}
	switch {
	case a.response.err != nil:
		a.end(a.now) // of some alerts it may be set
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
		p.Note(a.now, outbox.PageEventSilenced, a.By, fmt.Sprintf("for %s, %s", page.Span(a.For), templating.Counted(len(a.Alerts), "alert")))
		if p.State == outbox.PageOpen {
			confirm("Silenced for %s, but %s is open again, as more has happened: %s. UNDO %s ends the silence.", page.Span(a.For), p.Code, p.Headline, p.Code)
			break
		}
		p.Silence(until)
		confirm("Silenced %s for %s: %s. UNDO %s ends it.", p.Code, page.Span(a.For), p.Headline, p.Code)
	}
	p.Schedule(ss.pages.plan(p.Receiver))
	e.Page = p.Stored()
	e.Marks = append(e.Marks, a.stored(a.now))
	return e
}

// replace makes a silence set, and ends older ones of the page that it covers. It returns until when
// alerts of the page are silenced.
func (ss *silences) replace(a *attended, e *outbox.Entry) (until time.Time) {
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

// ended is the outcome of a try to end a silence, which goes on until it ends by itself.
func (ss *silences) ended(a *attended) outbox.Entry {
	p, err := a.page, a.response.err
	confirm := func(format string, args ...any) []outbox.Message {
		return ss.texts.aboutTo(p, a.Number, a.now, fmt.Sprintf(format, args...))
	}
	e := outbox.Entry{Marks: []outbox.Mark{a.deleted()}}
	switch {
	case err == nil && a.Late:
		e.Messages = confirm("The silence of %s has ended now: %s", p.Code, p.Headline)
	case err == nil && a.Report:
		e.Messages = confirm("Undone: %s is %s and not silenced. %s", p.Code, p.State, p.Headline)
	case err != nil && a.now.Before(a.Until):
		a.NextAt = a.now.Add(silenceRetry)
		if a.final() {
			a.NextAt = a.now.Add(endRetry)
		}
		if a.final() && a.Report && !a.Late {
			a.Late = true
			ss.logger.Error("a silence cannot be ended; trying on until it ends by itself", "page", p.ID, "until", a.Until, "err", err)
			p.Note(a.now, outbox.PageEventNotSilenced, a.By, "the silence cannot be ended: "+err.Error())
			e.Page = p.Stored()
			e.Messages = confirm("%s is %s, but its silence could NOT be ended yet; end it in Alertmanager, or it is tried on. %s", p.Code, p.State, p.Headline)
		}
		e.Marks = []outbox.Mark{a.stored(a.now)}
	}
	return e
}

// ranOut is the outcome of a silence that has ended by itself. If its alerts fire, the page is
// reopened: Alertmanager may not notify for hours. If they do not, the page is over: Alertmanager
// does not notify of that.
func (ss *silences) ranOut(a *attended) outbox.Entry {
	e := outbox.Entry{Marks: []outbox.Mark{a.deleted()}}
	p, conf := a.page, ss.settings.Load()
	r := conf.receivers[p.Receiver]
	var until time.Time // of other silences
	for _, other := range a.others {
		if other.State == silenceSet && other.Until.After(a.now) {
			until = page.Latest(until, other.Until)
		}
	}
	switch {
	case p.State != outbox.PageSilenced:
		return e
	case r == nil: // it is no longer configured
		p.Unsilence()
	case a.response.fires || a.response.err != nil:
		severities := templating.Severities(p.Notification)
		people := ss.texts.withPaged(p, severities, ss.people.People(r.Recipients, severities, a.now), a.now)
		paged := p.People.Numbers()
		p.Reopen(people, a.now, page.SilenceEnded)
		e.Messages = ss.texts.pageAgain(conf, p, people, paged, a.now, "The silence has ended")
	case !until.IsZero():
		p.Silence(until)
	default:
		p.Resolve(a.now, "while it was silenced")
		if r.SendResolved {
			e.Messages = ss.texts.others(p, "", a.now, fmt.Sprintf("RESOLVED while %s was silenced: %s", p.Code, p.Headline))
		}
	}
	p.Schedule(ss.pages.plan(p.Receiver))
	e.Page = p.Stored()
	return e
}

// shortReason is why Alertmanager did not silence, as a text can say it.
func shortReason(err error) string {
	var refused *alertmanager.RefusedError
	if errors.As(err, &refused) {
		return "Alertmanager refuses"
	}
	return "Alertmanager does not respond"
}
