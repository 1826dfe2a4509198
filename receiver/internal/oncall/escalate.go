package oncall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// pageMessages is how many of a page's latest messages are looked at.
	pageMessages = 500
	// lateStep is how late a step is for smspager to have been down.
	lateStep = time.Minute
)

// lookAfter does what is due for a page.
func (o *OnCall) lookAfter(ctx context.Context, id string, f *failure) error {
	if f.unsent != nil {
		return o.finish(ctx, f)
	}
	if _, ahead := o.past.get(id); ahead && o.shared {
		return nil // others may know of it as well: once it is recorded, one of them takes the step
	}
	p, err := o.stored(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return nil
	}
	if err != nil || !p.State.Current() {
		return err
	}
	s := o.settings.Load()
	return o.step(ctx, &visit{page: p, settings: s, receiver: s.receivers[p.Receiver], now: time.Now(), failure: f})
}

// visit is a page that is looked after.
type visit struct {
	page     *page
	settings *settings
	receiver *config.Receiver // nil: it is no longer configured
	now      time.Time
	failure  *failure
}

// step does the one thing that is due for a page that is current. The next is due
// at once, or at its time.
func (o *OnCall) step(ctx context.Context, v *visit) error {
	p, r, now := v.page, v.receiver, v.now
	due := p.DueAt
	switch {
	case !now.Before(p.expires()):
		p.end(outbox.PageExpired, outbox.PageEventExpired, now, "nothing was heard of it for "+span(pageFor))
		return o.save(ctx, v, nil)
	case r != nil && !r.Pages():
		p.end(outbox.PageExpired, outbox.PageEventExpired, now, "its receiver wants no answers any more")
		return o.save(ctx, v, nil)
	case p.State == outbox.PageAcknowledged && r != nil && o.contacts.stopped(e164.Number(p.Number)):
		return o.handBack(ctx, v)
	case p.State != outbox.PageOpen || r == nil:
		p.schedule(r)
		if p.DueAt.Equal(due) {
			return nil
		}
		return o.save(ctx, v, nil)
	}
	impatient := r.NoReceipt > 0 && !p.Judged && now.Sub(p.StepAt) >= r.NoReceipt
	last, err := o.reached(ctx, p)
	if err != nil {
		return err
	}
	lost := why(last, func(r reach) bool { return r.lost || impatient && !r.arrived })
	at, more := p.nextStep(r)
	switch {
	case more && !now.Before(at) && why(last, func(r reach) bool { return r.lost || !r.sent }) != "":
		return o.escalate(ctx, v, "Not reached:")
	case more && !now.Before(at):
		return o.escalate(ctx, v, "No answer from")
	case more && lost != "":
		p.note(now, outbox.PageEventUnreached, "", lost)
		return o.escalate(ctx, v, "Not reached:")
	case r.Repeat > 0 && len(p.People) > 0 && now.Sub(p.RepeatAt) >= r.Repeat:
		return o.repeat(ctx, v)
	}
	if !p.Judged && (lost != "" || impatient) {
		p.Judged = true
		if lost != "" {
			p.note(now, outbox.PageEventUnreached, "", lost+"; nobody else is to be paged")
			o.logger.Error("a page reached nobody, and there is no further step", "page", p.ID, "receiver", p.Receiver, "why", lost)
		}
		return o.save(ctx, v, nil)
	}
	if p.schedule(r); p.DueAt.Equal(due) {
		return nil
	}
	return o.save(ctx, v, nil)
}

// reach is how far texts of a page got to somebody whom its last step paged.
type reach struct {
	who     string
	detail  string
	sent    bool // the provider took it
	arrived bool
	lost    bool // it will not arrive, or its owner wants no more texts
}

// reached is how far the last step's texts got.
func (o *OnCall) reached(ctx context.Context, p *page) ([]reach, error) {
	people := p.ofStep(p.Steps)
	if len(people) == 0 {
		return nil, nil
	}
	ms, err := o.store.List(ctx, outbox.Query{Page: p.ID, Limit: pageMessages})
	if err != nil && p.Version == unrecorded {
		return nil, nil // nothing is known of them yet
	}
	if err != nil {
		return nil, err
	}
	var all []reach
	for _, person := range people {
		r := reach{who: person.person().String()}
		if o.contacts.stopped(person.Number) {
			r.lost, r.detail = true, "wants no more texts"
			all = append(all, r)
			continue
		}
		known := 0
		for _, m := range ms { // newest first; any of them will do
			if m.To != person.Number || latest(m.CreatedAt, m.NotBefore).Before(p.StepAt.Truncate(time.Millisecond)) {
				continue
			}
			if m, err = o.successor(ctx, m); err != nil {
				return nil, err
			}
			known++
			if known == 1 {
				r.lost, r.detail = true, lastDetail(m)
			}
			if !m.State.Undelivered() {
				r.lost, r.detail = false, "no receipt"
			}
			r.sent = r.sent || m.State != outbox.Queued && m.State != outbox.Sending && !m.State.Undelivered()
			r.arrived = r.arrived || m.State == outbox.Delivered
		}
		if known == 0 { // before what is looked at, or not recorded yet
			r.sent, r.arrived = true, true
		}
		all = append(all, r)
	}
	return all, nil
}

// successor is the message that tells what a superseded one was to tell.
func (o *OnCall) successor(ctx context.Context, m outbox.Message) (outbox.Message, error) {
	const most = 10 // one after the other
	for range most {
		if m.State != outbox.Superseded || m.OutdatedBy == "" {
			break
		}
		next, err := o.store.Get(ctx, m.OutdatedBy)
		if errors.Is(err, outbox.ErrNotFound) {
			break
		}
		if err != nil {
			return m, err
		}
		m = next
	}
	return m, nil
}

// why says why nobody has a page, where that holds for all whom it was sent to; it
// is "" otherwise.
func why(all []reach, without func(reach) bool) string {
	var parts []string
	for _, r := range all {
		if !without(r) {
			return ""
		}
		parts = append(parts, r.who+": "+r.detail)
	}
	return strings.Join(parts, "; ")
}

func lastDetail(m outbox.Message) string {
	if len(m.Events) == 0 {
		return string(m.State)
	}
	return string(m.State) + " (" + m.Events[len(m.Events)-1].Detail + ")"
}

// escalate takes the next step.
func (o *OnCall) escalate(ctx context.Context, v *visit, why string) error {
	p, r, now := v.page, v.receiver, v.now
	step := r.Escalate[p.Steps]
	people := o.People(step.Recipients, templating.Severities(p.Notification), now)
	if names := p.names(p.Steps); names != "" {
		why += " " + names
	} else {
		why = ""
	}
	if due := p.From.Add(step.After); now.Sub(due) > lateStep { // the next ones are given their time
		p.From = now.Add(-step.After)
	}
	p.Steps++
	p.StepAt, p.Judged, p.AtOnce = now, false, len(people) == 0
	p.note(now, outbox.PageEventEscalated, "", fmt.Sprintf("step %d of %d: %s", p.Steps, len(r.Escalate), strings.Join(step.To, ", ")))
	if p.AtOnce {
		p.note(now, outbox.PageEventUnreached, "", "the step names nobody who can be paged")
		o.logger.Error("a step of an escalation names nobody who can be paged; the next one is taken at once", "page", p.ID, "receiver", p.Receiver, "step", p.Steps)
	}
	again := len(p.People) > 0
	p.told(now, p.Steps, outbox.PageEventPaged, people)
	err := o.save(ctx, v, o.texts(v.settings, p, people, again, now, why))
	if err == nil {
		o.metrics.escalations.WithLabelValues(p.Receiver).Inc()
	}
	return err
}

// handBack makes a page one that somebody is to answer, as who has it wants no more
// texts.
func (o *OnCall) handBack(ctx context.Context, v *visit) error {
	p, severities := v.page, templating.Severities(v.page.Notification)
	why := p.AcknowledgedBy + " wants no more texts"
	people := o.withPaged(v.settings, p, severities, o.People(v.receiver.Recipients, severities, v.now), v.now)
	p.reopen(people, v.now, why)
	return o.save(ctx, v, o.texts(v.settings, p, people, true, v.now, why))
}

// repeat pages everybody again.
func (o *OnCall) repeat(ctx context.Context, v *visit) error {
	p := v.page
	people := o.withPaged(v.settings, p, templating.Severities(p.Notification), nil, v.now)
	p.RepeatAt = v.now
	p.note(v.now, outbox.PageEventRepeated, "", "nobody has answered")
	return o.save(ctx, v, o.texts(v.settings, p, people, true, v.now, ""))
}

// texts are a page's text, as of now, for people; again where somebody was told of it
// before.
func (o *OnCall) texts(s *settings, p *page, people []outbox.Person, again bool, now time.Time, why string) []outbox.Message {
	r := s.receivers[p.Receiver]
	n := p.Notification
	if again {
		n.NotificationReason = "repeat interval elapsed"
	}
	rendered := s.render[p.Receiver](n, p.tail(why))
	var ms []outbox.Message
	for _, person := range people {
		ms = append(ms, outbox.Message{
			ID: o.ids.New(now), To: person.Number, Receiver: p.Receiver, GroupKey: p.GroupKey, PageID: p.ID,
			Headline: p.Headline, Severity: p.Severity, Urgent: slices.Contains(r.Urgent, p.Severity),
			Text: rendered.Text, Encoding: rendered.Size.Encoding, Segments: rendered.Size.Segments, State: outbox.Queued,
			CreatedAt: now, UpdatedAt: now, NotBefore: person.NotBefore, ExpiresAt: latest(now, person.NotBefore).Add(r.MaxAge),
			Events: []outbox.Event{{At: now, Type: outbox.EventQueued, Detail: why}},
		})
	}
	return ms
}
