package oncall

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// notifications decide what a notification does to the pages of its alerts. They store nothing.
type notifications struct{ tools }

// decide returns what a notification does, see OnCall.Decide.
func (ns *notifications) decide(ctx context.Context, receiver string, n *templating.Notification, to []outbox.Person, at time.Time) (outbox.PageUpdate, error) {
	if n.TruncatedAlerts > 0 && n.Status == string(model.AlertFiring) {
		to = unheld(to)
	}
	r := ns.settings.Load().receivers[receiver]
	if r == nil || !r.Pages() {
		return outbox.PageUpdate{To: to}, nil
	}
	ns.asking.saw(n)
	known, err := ns.pages.ofNotification(ctx, receiver, n)
	if err != nil {
		ns.logger.Error("the pages of a notification cannot be read; a new one is assumed", "receiver", receiver, "err", err)
	}
	switch {
	case n.Status == string(model.AlertResolved) && known.group == nil && err != nil:
		return ns.resolvedUnread(r, n, to, at), nil
	case n.Status == string(model.AlertResolved):
		return ns.resolved(ctx, r, n, known, to, at), nil
	case known.group != nil:
		return ns.update(ctx, n, known, to, at), nil
	case len(to) == 0 && len(r.Escalate) == 0:
		return outbox.PageUpdate{}, nil
	}
	if p := known.sameAlerts(n); p != nil {
		p.Regroup(receiver, n.GroupKey, at)
		known.take(p)
		return ns.update(ctx, n, known, to, at), nil
	}
	code, err := ns.pages.drawCode(ctx, at)
	if err != nil {
		return outbox.PageUpdate{}, fmt.Errorf("draw a code: %w", err)
	}
	return ns.open(page.Open(ns.texts.newID(at), code, receiver, n, known.alerts(), at), n, known, to, at), nil
}

// open returns the update that opens a page. The page continues another one whose alerts move to it.
func (ns *notifications) open(p *page.Page, n *templating.Notification, known *known, to []outbox.Person, at time.Time) outbox.PageUpdate {
	inherits := slices.ContainsFunc(known.others, func(o *page.Page) bool { return p.Inherit(o, at) })
	paged := p.People.Numbers()
	if !inherits {
		p.Begin(to, at)
	} else {
		to = ns.recipients(p, n, "", to, at)
		p.Notified(n.NotificationReason, page.Effect{}, to, "", at)
	}
	p.Quiet(page.Effect{}, at)
	return ns.firing(p, n, known, to, paged, at)
}

// update returns the update for a firing notification of a page that exists.
func (ns *notifications) update(ctx context.Context, n *templating.Notification, known *known, to []outbox.Person, at time.Time) outbox.PageUpdate {
	p := known.group
	effect := p.Update(n, known.alerts(), at)
	left := ns.texts.holderLeft(p)
	reopens := p.Reopens(n, left, at)
	if reopens != "" && ns.asking.about(ctx, p, at) {
		reopens = p.Reopens(n, left, at)
	}
	paged := p.People.Numbers()
	if to = ns.recipients(p, n, reopens, to, at); reopens == "" && p.Quiet(effect, at) {
		return ns.firing(p, n, known, nil, paged, at)
	}
	p.Notified(n.NotificationReason, effect, to, reopens, at)
	return ns.firing(p, n, known, to, paged, at)
}

// recipients returns who gets a message about a page that fires: its holder if it has one and is not
// reopened, otherwise everybody.
func (ns *notifications) recipients(p *page.Page, n *templating.Notification, reopens string, to []outbox.Person, at time.Time) []outbox.Person {
	severities := templating.Severities(*n)
	if !p.Held() || reopens != "" {
		return ns.texts.withPaged(p, severities, to, at)
	}
	holder := []outbox.Person{ns.people.Recipient(p.Holder, severities, at)}
	if p.Truncated() > 0 {
		holder = unheld(holder)
	}
	return holder
}

// firing returns the update for a page that fires. paged are the numbers that have received the page before.
// Its alerts leave other pages.
func (ns *notifications) firing(p *page.Page, n *templating.Notification, known *known, to []outbox.Person, paged []e164.Number, at time.Time) outbox.PageUpdate {
	p.Schedule(ns.pages.plan(p.Receiver))
	update := outbox.PageUpdate{To: to, Page: p.Stored(), Paged: paged}
	update.Tail, update.LongTail = ns.texts.tail(p, sentence(p.FlapText(at)))
	var keys []string
	for i := range n.Alerts {
		if n.Alerts[i].Status == string(model.AlertFiring) {
			keys = append(keys, page.KeyOf(n, &n.Alerts[i]))
		}
	}
	for _, o := range known.others {
		ended := o.Ended(n, at)
		if moved := o.Move(keys, p.Code, at); moved || ended {
			if o.State.Current() && o.SettlesAt.IsZero() && o.Over() {
				o.End(at, n.NotificationReason)
			}
			o.Schedule(ns.pages.plan(o.Receiver))
			update.OtherPages = append(update.OtherPages, o.Stored())
		}
	}
	return update
}

// resolved ends alerts in the pages that have them. Only the people who were paged get a message. A page
// is over if all of its alerts have ended; otherwise the text names the rest.
func (ns *notifications) resolved(ctx context.Context, r *config.Receiver, n *templating.Notification, known *known, to []outbox.Person, at time.Time) (update outbox.PageUpdate) {
	pages := known.others
	if known.group != nil {
		pages = append([]*page.Page{known.group}, pages...)
	}
	var notified []outbox.Person
	for i, p := range pages {
		if p == known.group {
			p.Update(n, nil, at)
		} else if !p.Ended(n, at) {
			continue
		}
		update.Marks = append(update.Marks, ns.endOrAsk(ctx, p, n.NotificationReason, at)...)
		if p.State.Current() {
			p.Headline = ns.texts.headline(ns.settings.Load(), p)
		}
		people := ns.texts.withPaged(p, templating.Severities(*n), nil, at)
		if !p.SettlesAt.IsZero() {
			people = nil
		}
		for _, person := range people {
			if !slices.ContainsFunc(notified, func(o outbox.Person) bool { return o.Number == person.Number }) {
				notified = append(notified, person)
			}
		}
		name := func(a template.Alert) string { return ns.texts.alertHeadline(ns.settings.Load(), p, p.Notification, a) }
		if rest := p.NotResolved(name); rest != "" && update.Tail == "" {
			update.Tail, _ = ns.texts.tail(p, rest)
		}
		p.Schedule(ns.pages.plan(p.Receiver))
		if i == 0 {
			update.Page = p.Stored()
		} else {
			update.OtherPages = append(update.OtherPages, p.Stored())
		}
	}
	if update.Page == nil && len(update.OtherPages) > 0 {
		update.Page, update.OtherPages = update.OtherPages[0], update.OtherPages[1:]
	}
	if update.Page != nil {
		to = notified
	}
	if r.SendResolved {
		update.To = to
	}
	return update
}

// endOrAsk ends a page that is over. If the notification does not cover all alerts of the page,
// endOrAsk asks Alertmanager about the rest.
func (ns *notifications) endOrAsk(ctx context.Context, p *page.Page, reason string, at time.Time) []outbox.Mark {
	switch {
	case !p.SettlesAt.IsZero():
	case p.Over():
		p.End(at, reason)
	default:
		watched := newWatch(ns.texts.newID(at), p, at)
		if ns.asking.about(ctx, p, at); !p.State.Current() {
			return watched.watchMarks(at)
		}
	}
	return nil
}

// resolvedUnread returns the update for alerts that end while their page cannot be read. Merge ends them in
// the page, if there is one.
func (ns *notifications) resolvedUnread(r *config.Receiver, n *templating.Notification, to []outbox.Person, at time.Time) outbox.PageUpdate {
	p := page.OfEnded(ns.texts.newID(at), r.Name, n, at)
	update := outbox.PageUpdate{Page: p.Stored()}
	if r.SendResolved {
		update.To = to
	}
	return update
}
