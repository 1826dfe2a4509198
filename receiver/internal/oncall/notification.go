package oncall

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// notifications decide what a notification does to the page of its group. They store nothing.
type notifications struct{ tools }

// turn decides what a notification does, see OnCall.Turn.
func (ns *notifications) turn(ctx context.Context, receiver string, n *templating.Notification, to []outbox.Person, at time.Time) (outbox.Turn, error) {
	r := ns.settings.Load().receivers[receiver]
	if r == nil || !r.Pages() {
		return outbox.Turn{To: to}, nil
	}
	current, err := ns.pages.current(ctx, receiver, n.GroupKey)
	if err != nil {
		ns.logger.Error("the page of a group cannot be read; a new one is assumed", "receiver", receiver, "err", err)
	}
	switch {
	case n.Status == string(model.AlertResolved) && current == nil && err != nil:
		return ns.resolvedUnread(r, n, to, at), nil
	case n.Status == string(model.AlertResolved):
		return ns.resolved(r, n, current, to, at), nil
	case current != nil:
		return ns.update(r, n, current, to, at), nil
	case len(to) == 0 && len(r.Escalate) == 0:
		return outbox.Turn{}, nil
	}
	code, err := ns.pages.drawCode(ctx, at)
	if err != nil {
		return outbox.Turn{}, fmt.Errorf("draw a code: %w", err)
	}
	return ns.firing(page.Open(ns.texts.newID(at), code, receiver, n, to, at), to, nil), nil
}

// update is a firing notification of a page that is there.
func (ns *notifications) update(r *config.Receiver, n *templating.Notification, p *page.Page, to []outbox.Person, at time.Time) outbox.Turn {
	severities := templating.Severities(*n)
	reopens := p.Reopens(n, ns.people.Stopped(p.Holder), at)
	if p.Held() && reopens == "" { // the holder is kept up to date
		to = []outbox.Person{ns.people.Recipient(p.Holder, severities, at)}
	} else {
		to = ns.texts.withPaged(p, severities, to, at)
	}
	paged := p.People.Numbers()
	p.Notified(n, to, reopens, at)
	return ns.firing(p, to, paged)
}

// firing returns the turn of a page that is open; paged have had it before.
func (ns *notifications) firing(p *page.Page, to []outbox.Person, paged []e164.Number) outbox.Turn {
	p.Schedule(ns.pages.plan(p.Receiver))
	turn := outbox.Turn{To: to, Page: p.Stored(), Paged: paged}
	turn.Tail, turn.LongTail = tail(p, "")
	return turn
}

// resolved ends the page, if there is one: everybody who was paged is notified, and nobody else.
func (ns *notifications) resolved(r *config.Receiver, n *templating.Notification, p *page.Page, to []outbox.Person, at time.Time) (turn outbox.Turn) {
	if p != nil {
		p.Resolve(at, n.NotificationReason)
		turn.Page = p.Stored()
		to = ns.texts.withPaged(p, templating.Severities(*n), nil, at)
	}
	if r.SendResolved {
		turn.To = to
	}
	return turn
}

// resolvedUnread is the end of a page that cannot be read. Merge finds the page, if there is one.
func (ns *notifications) resolvedUnread(r *config.Receiver, n *templating.Notification, to []outbox.Person, at time.Time) outbox.Turn {
	p := &page.Page{Page: outbox.Page{ID: ns.texts.newID(at), Receiver: r.Name, GroupKey: n.GroupKey}}
	turn := ns.resolved(r, n, p, nil, at)
	if r.SendResolved {
		turn.To = to
	}
	return turn
}
