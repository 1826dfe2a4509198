package oncall

import (
	"errors"
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// attended is what comes of Alertmanager's answer. p is the page, nil where it is
// there no more; others are silences of it besides.
func (o *OnCall) attended(s *settings, p *page, w *silenceInStore, others []*silenceInStore, fires bool, err error, now time.Time) outbox.Entry {
	var refused *alertmanager.RefusedError
	final := err == nil || errors.As(err, &refused) || w.Tries >= silenceTries
	var e outbox.Entry
	switch {
	case p == nil: // pruned, long after it was over
		e.Marks = []outbox.Mark{w.deleted()}
		return e
	case w.State == silenceEnding:
		return o.ended(s, p, w, err, final, now)
	case !final:
		w.NextAt = now.Add(silenceRetry)
		e.Marks = []outbox.Mark{w.stored(now)}
		return e
	case w.State == silenceSet:
		return o.ranOut(s, p, w, others, fires || err != nil, now)
	}
	tell := func(format string, args ...any) {
		e.Messages = append(e.Messages, o.askers(s, p, w, now, fmt.Sprintf(format, args...))...)
	}
	switch {
	case err != nil:
		w.end(now) // what was set of some of the alerts
		p.note(now, outbox.PageEventNotSilenced, w.By, err.Error())
		stays := fmt.Sprintf("%s is %s", p.Code, p.State)
		if p.State == outbox.PageAcknowledged && p.Number == string(w.Number) {
			stays = p.Code + " stays yours"
		}
		tell("NOT silenced: %s. %s: %s", shortReason(refused), stays, p.Headline)
	case !p.State.Current():
		w.end(now)
		p.note(now, outbox.PageEventNotSilenced, w.By, "it is over")
		tell("NOT silenced: %s is %s already: %s", p.Code, p.State, p.Headline)
	default:
		w.State, w.Tries, w.NextAt = silenceSet, 0, w.Until
		until := w.Until
		for _, other := range others {
			switch {
			case other.State != silenceSet:
			case other.mark.Name < w.mark.Name && w.covers(other): // it is in the place of the older one
				other.end(now)
				e.Marks = append(e.Marks, other.stored(now))
			default:
				until = latest(until, other.Until)
			}
		}
		p.note(now, outbox.PageEventSilenced, w.By, fmt.Sprintf("for %s, %s", span(w.For), counted(len(w.Alerts), "alert")))
		if p.State == outbox.PageOpen {
			tell("Silenced for %s, but %s is open again, as more has happened: %s. UNDO %s ends the silence.", span(w.For), p.Code, p.Headline, p.Code)
			break
		}
		p.State, p.QuietTill = outbox.PageSilenced, until
		tell("Silenced %s for %s: %s. UNDO %s ends it.", p.Code, span(w.For), p.Headline, p.Code)
	}
	p.schedule(s.receivers[p.Receiver])
	e.Page = p.stored()
	e.Marks = append(e.Marks, w.stored(now))
	return e
}

// ended is what comes of the try to end a silence: it is tried until it would have
// ended by itself.
func (o *OnCall) ended(s *settings, p *page, w *silenceInStore, err error, final bool, now time.Time) outbox.Entry {
	e := outbox.Entry{Marks: []outbox.Mark{w.deleted()}}
	switch {
	case err == nil && w.Late:
		e.Messages = o.askers(s, p, w, now, fmt.Sprintf("The silence of %s has ended now: %s", p.Code, p.Headline))
	case err == nil && w.Tell:
		e.Messages = o.askers(s, p, w, now, fmt.Sprintf("Undone: %s is %s and not silenced. %s", p.Code, p.State, p.Headline))
	case err != nil && now.Before(w.Until):
		w.NextAt = now.Add(silenceRetry)
		if final {
			w.NextAt = now.Add(endRetry)
		}
		if final && w.Tell && !w.Late {
			w.Late = true
			o.logger.Error("a silence cannot be ended; trying on until it ends by itself", "page", p.ID, "until", w.Until, "err", err)
			p.note(now, outbox.PageEventNotSilenced, w.By, "the silence cannot be ended: "+err.Error())
			e.Page = p.stored()
			e.Messages = o.askers(s, p, w, now, fmt.Sprintf("%s is %s, but its silence could NOT be ended yet; end it in Alertmanager, or it is tried on. %s", p.Code, p.State, p.Headline))
		}
		e.Marks = []outbox.Mark{w.stored(now)}
	}
	return e
}

// ranOut is what comes of a silence that has ended by itself: what fires still is a
// page again, as Alertmanager may not tell of it for hours; what does not is over,
// as it does not tell of that at all.
func (o *OnCall) ranOut(s *settings, p *page, w *silenceInStore, others []*silenceInStore, fires bool, now time.Time) outbox.Entry {
	e := outbox.Entry{Marks: []outbox.Mark{w.deleted()}}
	r := s.receivers[p.Receiver]
	var until time.Time // of what is silenced besides
	for _, other := range others {
		if other.State == silenceSet && other.Until.After(now) {
			until = latest(until, other.Until)
		}
	}
	switch {
	case p.State != outbox.PageSilenced:
		return e
	case r == nil: // it is no longer configured
		p.State, p.QuietTill = outbox.PageAcknowledged, time.Time{}
	case fires:
		severities := templating.Severities(p.Notification)
		people := o.withPaged(s, p, severities, o.people.People(r.Recipients, severities, now), now)
		p.reopen(people, now, silenceEnded)
		e.Messages = o.texts(s, p, people, true, now, "The silence has ended")
	case !until.IsZero():
		p.QuietTill = until
	default:
		p.end(outbox.PageResolved, outbox.PageEventResolved, now, "while it was silenced")
		if r.SendResolved {
			e.Messages = o.others(s, p, "", now, fmt.Sprintf("RESOLVED while %s was silenced: %s", p.Code, p.Headline))
		}
	}
	p.schedule(r)
	e.Page = p.stored()
	return e
}

// shortReason is a failure as a text can tell it.
func shortReason(refused *alertmanager.RefusedError) string {
	if refused != nil {
		return "Alertmanager refuses"
	}
	return "Alertmanager does not answer"
}

// askers is a notice to who asked, as a list; empty where it wants no more texts.
func (o *OnCall) askers(s *settings, p *page, w *silenceInStore, at time.Time, text string) []outbox.Message {
	if o.people.Stopped(w.Number) {
		return nil
	}
	return []outbox.Message{o.about(p, o.people.Recipient(w.Number, nil, at), at, text)}
}

// others are notices to everybody who was paged but one.
func (o *OnCall) others(s *settings, p *page, but e164.Number, at time.Time, text string) []outbox.Message {
	var ms []outbox.Message
	for _, number := range p.numbers() {
		if number != but && !o.people.Stopped(number) {
			ms = append(ms, o.about(p, o.people.Recipient(number, []string{p.Severity}, at), at, text))
		}
	}
	return ms
}
