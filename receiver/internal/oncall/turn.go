package oncall

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// Codes are drawn until one was not used for so long, but no more often.
const (
	codeRest  = 30 * 24 * time.Hour
	codeTries = 20
)

// Turn decides what a notification does to the page of its group, and who is told
// of it. to are those whom the receiver, and the labels of alerts, name. A receiver
// that wants no answers has no pages: to is told.
//
// What it reads may change before it is stored, then storing gives ErrConflict
// and Turn is to be asked again. Without an outbox it decides as for a group
// without a page; what it returns is made right by Merge, once there is one.
func (o *OnCall) Turn(ctx context.Context, receiver string, n *templating.Notification, to []outbox.Person, at time.Time) (outbox.Turn, error) {
	s := o.settings.Load()
	r := s.receivers[receiver]
	if r == nil || !r.Pages() {
		return outbox.Turn{To: to}, nil
	}
	current, err := o.current(ctx, receiver, n.GroupKey)
	if err != nil {
		o.logger.Error("the page of a group cannot be read; a new one is assumed", "receiver", receiver, "err", err)
	}
	if n.Status == string(model.AlertResolved) {
		return o.resolved(s, r, n, current, to, at, err != nil), nil
	}
	if current != nil {
		return o.more(s, r, n, current, to, at), nil
	}
	if len(to) == 0 && len(r.Escalate) == 0 {
		return outbox.Turn{}, nil
	}
	code, err := o.drawCode(ctx, at)
	if err != nil {
		return outbox.Turn{}, fmt.Errorf("draw a code: %w", err)
	}
	p := open(o.notices.NewID(at), code, receiver, n, to, at)
	p.schedule(r)
	return outbox.Turn{To: to, Page: p.stored(), Tail: p.tail("")}, nil
}

// more is a notification of a page that is there.
func (o *OnCall) more(s *settings, r *config.Receiver, n *templating.Notification, p *page, to []outbox.Person, at time.Time) outbox.Turn {
	holder := e164.Number(p.Number)
	why := ""
	switch {
	case p.State == outbox.PageOpen:
	case p.State == outbox.PageSilenced && !p.QuietTill.After(at):
		why = silenceEnded
	case !p.covers(n):
		why = "alerts fire that were not answered"
	case o.people.Stopped(holder):
		why = p.AcknowledgedBy + " wants no more texts"
	}
	answered := p.State != outbox.PageOpen && why == ""
	p.heard(n, at)
	severities := templating.Severities(*n)
	p.note(at, outbox.PageEventNotified, "", n.NotificationReason)
	switch {
	case answered: // who has it is kept up to date, and nobody else is woken
		p.Covered = p.Firing
		to = []outbox.Person{o.people.Recipient(holder, severities, at)}
	case why != "":
		to = o.withPaged(s, p, severities, to, at)
		p.reopen(to, at, why)
	default:
		to = o.withPaged(s, p, severities, to, at)
		for _, person := range to {
			if !slices.Contains(p.numbers(), person.Number) {
				p.told(at, 0, outbox.PageEventPaged, []outbox.Person{person})
			}
		}
		if told := firstTold(to, at); told.Before(p.From) { // what could wait no longer can
			p.restart(told)
		}
		p.RepeatAt = latest(p.RepeatAt, at)
	}
	p.schedule(r)
	return outbox.Turn{To: to, Page: p.stored(), Tail: p.tail("")}
}

// withPaged adds those who were paged before.
func (o *OnCall) withPaged(s *settings, p *page, severities []string, to []outbox.Person, at time.Time) []outbox.Person {
	all := slices.Clone(to)
	for _, number := range p.numbers() {
		if !slices.ContainsFunc(all, func(other outbox.Person) bool { return other.Number == number }) && !o.people.Stopped(number) {
			all = append(all, o.people.Recipient(number, severities, at))
		}
	}
	return all
}

// resolved ends the page: everyone who was paged is told, and no one else. unread
// says that whether there is a page is not known.
func (o *OnCall) resolved(s *settings, r *config.Receiver, n *templating.Notification, p *page, to []outbox.Person, at time.Time, unread bool) outbox.Turn {
	if p == nil && unread {
		p = &page{Page: outbox.Page{ID: o.notices.NewID(at), Receiver: r.Name, GroupKey: n.GroupKey, Version: unrecorded}}
		p.end(outbox.PageResolved, outbox.PageEventResolved, at, n.NotificationReason)
		if !r.SendResolved {
			to = nil
		}
		return outbox.Turn{To: to, Page: p.stored()}
	}
	if p == nil {
		if !r.SendResolved {
			to = nil
		}
		return outbox.Turn{To: to}
	}
	p.end(outbox.PageResolved, outbox.PageEventResolved, at, n.NotificationReason)
	turn := outbox.Turn{Page: p.stored()}
	if r.SendResolved {
		turn.To = o.withPaged(s, p, templating.Severities(*n), nil, at)
	}
	return turn
}

// current is the current page of a receiver's group, nil without one.
func (o *OnCall) current(ctx context.Context, receiver, group string) (*page, error) {
	if ahead, ok := o.past.of(receiver, group); ok {
		if !ahead.State.Current() {
			return nil, nil
		}
		return load(ahead)
	}
	return o.currentStored(ctx, receiver, group)
}

func (o *OnCall) currentStored(ctx context.Context, receiver, group string) (*page, error) {
	ps, err := o.store.Pages(ctx, outbox.PageQuery{Current: true, Receiver: receiver, GroupKey: group, Limit: 1})
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	return load(ps[0])
}

// drawCode draws a code that no page has or had lately, as far as the outbox tells.
func (o *OnCall) drawCode(ctx context.Context, at time.Time) (code string, err error) {
	for i := range codeTries {
		digits := command.ShortestCode
		if i >= codeTries/2 {
			digits = command.LongestCode
		}
		if code, err = people.RandomDigits(digits); err != nil {
			return "", err
		}
		ps, err := o.store.Pages(ctx, outbox.PageQuery{Code: code, Limit: 1})
		if err != nil || len(ps) == 0 || !ps[0].State.Current() && at.Sub(ps[0].OpenedAt) > codeRest {
			break
		}
	}
	return code, nil
}

// Stored is told that somebody else has stored a page of a Turn or a Merge.
func (o *OnCall) Stored() { o.wake.Ring() }
