package oncall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/oncall/silencer"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// silenceRetry is how often Alertmanager is tried again, silenceTries times.
	silenceRetry = 10 * time.Second
	silenceTries = 6
)

// silence is what a reply asked Alertmanager for. It is stored before Alertmanager
// is asked, and done after a crash if it was not by then: what was set already is
// found by its comment.
type silence struct {
	By      string        `json:"by"` // who asked
	Number  e164.Number   `json:"number"`
	Comment string        `json:"comment"`
	For     time.Duration `json:"for"`
	Until   time.Time     `json:"until"`
	IDs     []string      `json:"ids,omitempty"` // of the silences that are set
	End     bool          `json:"end,omitempty"` // they are to be ended
	Tries   int           `json:"tries,omitempty"`
	NextAt  time.Time     `json:"next_at,omitzero"` // when to try; zero: it is done
}

// silencerOf makes the Silencer of a configuration, nil without one.
func (o *OnCall) silencerOf(a config.Alertmanager) *silencer.Silencer {
	if len(a.URLs) == 0 {
		return nil
	}
	return silencer.New(silencer.Options{URLs: a.URLs, User: a.User, Password: a.Password.Reveal(), Token: a.Token.Reveal(), Client: o.client})
}

// attend does what was asked of Alertmanager, and tells what came of it.
func (o *OnCall) attend(ctx context.Context, s *settings, p *page, now time.Time) error {
	w := p.Silence
	asker := s.told(w.Number, nil, now)
	var err error
	switch {
	case s.silencer == nil:
		err = &silencer.RefusedError{Reason: "alertmanager.urls is not set"}
	case w.End:
		err = o.expire(ctx, s, w)
	default:
		err = o.set(ctx, s, p, now)
	}
	w.Tries++
	var refused *silencer.RefusedError
	if err != nil && !errors.As(err, &refused) && w.Tries < silenceTries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.logger.Warn("Alertmanager cannot be asked; trying again", "page", p.ID, "try", w.Tries, "err", err)
		w.NextAt = now.Add(silenceRetry)
		return o.save(ctx, p, s.receivers[p.Receiver], nil)
	}
	w.NextAt = time.Time{}
	var ms []outbox.Message
	switch {
	case err != nil && w.End:
		o.logger.Error("a silence could not be ended", "page", p.ID, "err", err)
		p.note(now, outbox.PageEventNotSilenced, w.By, "the silence could not be ended: "+err.Error())
		ms = append(ms, o.about(p, asker, now, fmt.Sprintf("%s is open again, but its silence could NOT be ended: end it in Alertmanager. %s", p.Code, p.Headline)))
	case err != nil:
		o.logger.Error("a silence could not be set", "page", p.ID, "err", err)
		p.note(now, outbox.PageEventNotSilenced, w.By, err.Error())
		if s.silencer != nil {
			_ = o.expire(ctx, s, w) // what was set for some of the alerts
		}
		p.Silence = nil
		ms = append(ms, o.about(p, asker, now, fmt.Sprintf("NOT silenced: %s. %s stays yours: %s", shortReason(err), p.Code, p.Headline)))
		ms = append(ms, o.others(s, p, w.Number, now, fmt.Sprintf("%s has %s: %s", w.By, p.Code, p.Headline))...)
	case w.End:
		p.Silence = nil
		p.note(now, outbox.PageEventUndone, w.By, "the silence has ended")
		ms = append(ms, o.about(p, asker, now, fmt.Sprintf("Undone: %s is open again and not silenced. %s", p.Code, p.Headline)))
	default:
		p.State, p.QuietTill = outbox.PageSilenced, w.Until
		p.note(now, outbox.PageEventSilenced, w.By, fmt.Sprintf("for %s, %d silences", span(w.For), len(w.IDs)))
		ms = append(ms, o.about(p, asker, now, fmt.Sprintf("Silenced %s for %s: %s. UNDO %s ends it.", p.Code, span(w.For), p.Headline, p.Code)))
		ms = append(ms, o.others(s, p, w.Number, now, fmt.Sprintf("%s silenced %s for %s: %s", w.By, p.Code, span(w.For), p.Headline))...)
	}
	return o.save(ctx, p, s.receivers[p.Receiver], ms)
}

// shortReason is an error as a text can tell it.
func shortReason(err error) string {
	var refused *silencer.RefusedError
	if errors.As(err, &refused) {
		return "Alertmanager refuses"
	}
	return "Alertmanager does not answer"
}

// set sets a silence for each alert that fires. Those that an earlier try has set
// are found by their comments.
func (o *OnCall) set(ctx context.Context, s *settings, p *page, now time.Time) error {
	w := p.Silence
	there, err := s.silencer.Find(ctx, w.Comment)
	if err != nil {
		return err
	}
	w.IDs = nil
	for i, a := range p.Notification.Alerts {
		if a.Status != string(model.AlertFiring) {
			continue
		}
		comment := fmt.Sprintf("%s, alert %d", w.Comment, i+1)
		if at := slices.IndexFunc(there, func(other silencer.Silence) bool { return other.Comment == comment }); at >= 0 {
			w.IDs = append(w.IDs, there[at].ID)
			continue
		}
		id, err := s.silencer.Set(ctx, silencer.Silence{
			Matchers: silencer.Exact(a.Labels), StartsAt: now, EndsAt: w.Until, CreatedBy: w.By, Comment: comment,
		})
		if err != nil {
			return err
		}
		w.IDs = append(w.IDs, id)
	}
	return nil
}

// expire ends every silence that was set.
func (o *OnCall) expire(ctx context.Context, s *settings, w *silence) error {
	there, err := s.silencer.Find(ctx, w.Comment)
	if err != nil {
		return err
	}
	for _, other := range there {
		if err := s.silencer.Expire(ctx, other.ID); err != nil {
			return err
		}
	}
	return nil
}

// others are notices to everybody who was paged but one.
func (o *OnCall) others(s *settings, p *page, but e164.Number, at time.Time, text string) []outbox.Message {
	var ms []outbox.Message
	for _, number := range p.numbers() {
		if number != but && !o.contacts.stopped(number) {
			ms = append(ms, o.about(p, s.told(number, []string{p.Severity}, at), at, text))
		}
	}
	return ms
}
