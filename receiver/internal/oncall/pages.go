package oncall

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// pageBatch is how many pages are read together.
	pageBatch = 100
	// codeRest is how long a code is not used again, unless codeTries draws find no such code.
	codeRest  = 30 * 24 * time.Hour
	codeTries = 20
)

// pages reads pages.
type pages struct {
	spool    *spool.Spool
	settings *atomic.Pointer[settings]
	logger   *slog.Logger
}

// load returns a page.
func (r *pages) load(ctx context.Context, id string) (*page.Page, error) {
	p, err := r.spool.Page(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.read(p)
}

// read decodes a stored page. The configuration orders its severities.
func (r *pages) read(stored outbox.Page) (*page.Page, error) {
	return page.Load(stored, r.settings.Load().order)
}

// alertsAsked is up to how many alerts the store searches for in other pages. For more, all current pages
// are read.
const alertsAsked = 200

// known holds the pages that a notification may change.
type known struct {
	group    *page.Page   // the current page of its group; nil: none
	previous *page.Page   // the last page of its group if that is over; nil: none
	others   []*page.Page // current pages of other groups with its alerts
}

// ofNotification returns the pages that a notification may change: those of its receiver, and of
// receivers that are no longer configured. If there is an error, some pages may be missing.
func (r *pages) ofNotification(ctx context.Context, receiver string, n *templating.Notification) (*known, error) {
	k := &known{}
	// The current page need not be the newest: it may come from another group.
	of := outbox.PageQuery{Receiver: receiver, GroupKey: n.GroupKey, Current: true, Limit: 1}
	ps, err := r.spool.Pages(ctx, of)
	if err == nil && len(ps) == 0 {
		of.Current = false
		ps, err = r.spool.Pages(ctx, of)
	}
	if err != nil {
		return k, err
	}
	if len(ps) > 0 {
		p, err := r.read(ps[0])
		if err != nil {
			return k, err
		}
		if p.State.Current() {
			k.group = p
		} else {
			k.previous = p
		}
	}
	var keys []string
	for i := range n.Alerts {
		if key := page.KeyOf(n, &n.Alerts[i]); k.group == nil || !k.group.Holds(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return k, nil
	}
	err = r.eachWith(ctx, keys, func(stored outbox.Page) error {
		configured := r.settings.Load().receivers[stored.Receiver] != nil
		if k.group != nil && stored.ID == k.group.ID || configured && stored.Receiver != receiver {
			return nil
		}
		if p, err := r.read(stored); err != nil {
			r.logger.Error("cannot read a page", "err", err)
		} else {
			k.others = append(k.others, p)
		}
		return nil
	})
	return k, err
}

// eachWith yields the current pages that have one of these alerts, newest first.
func (r *pages) eachWith(ctx context.Context, keys []string, yield func(outbox.Page) error) error {
	if len(keys) <= alertsAsked {
		return r.each(ctx, outbox.PageQuery{Current: true, Alerts: keys}, yield)
	}
	wanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		wanted[key] = true
	}
	return r.eachCurrent(ctx, func(p outbox.Page) error {
		if slices.ContainsFunc(p.AlertKeys, func(key string) bool { return wanted[key] }) {
			return yield(p)
		}
		return nil
	})
}

// have reports whether current pages of a receiver have all firing alerts of a notification. It is true if
// they cannot be read.
func (r *pages) have(ctx context.Context, receiver string, n *templating.Notification) bool {
	missing := firingKeys(n)
	if len(missing) == 0 {
		return true
	}
	found := func(p outbox.Page) error {
		if p.Receiver == receiver {
			for _, key := range p.AlertKeys {
				delete(missing, key)
			}
		}
		return nil
	}
	err := r.each(ctx, outbox.PageQuery{Receiver: receiver, GroupKey: n.GroupKey, Current: true}, found)
	if err == nil && len(missing) > 0 {
		err = r.eachWith(ctx, slices.Collect(maps.Keys(missing)), found)
	}
	return err != nil || len(missing) == 0
}

// firingKeys returns the keys of the firing alerts of a notification.
func firingKeys(n *templating.Notification) map[string]bool {
	keys := make(map[string]bool)
	for i := range n.Alerts {
		if n.Alerts[i].Status == string(model.AlertFiring) {
			keys[page.KeyOf(n, &n.Alerts[i])] = true
		}
	}
	return keys
}

// alerts returns the alerts that may move to the page of the notification.
func (k *known) alerts() []*page.Alert {
	var all []*page.Alert
	for _, o := range k.others {
		all = append(all, o.Live()...)
	}
	if k.previous != nil {
		all = append(all, k.previous.Alerts...)
	}
	return all
}

// sameAlerts returns a page of another group if all of its alerts fire in a notification; nil: none.
func (k *known) sameAlerts(n *templating.Notification) *page.Page {
	firing := firingKeys(n)
	for _, o := range k.others {
		if !slices.ContainsFunc(o.Stored().AlertKeys, func(key string) bool { return !firing[key] }) && o.Truncated() == 0 {
			return o
		}
	}
	return nil
}

// take makes one of the other pages the page of the group.
func (k *known) take(p *page.Page) {
	k.group = p
	k.others = slices.DeleteFunc(k.others, func(o *page.Page) bool { return o == p })
}

// coded returns the newest page with a code, nil if there is none.
func (r *pages) coded(ctx context.Context, code string) (*page.Page, error) {
	stored, err := r.spool.Pages(ctx, outbox.PageQuery{Code: code, Limit: 1})
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	return r.read(stored[0])
}

// of returns the current pages that a number was paged for, or all current pages if the number is "".
// Open pages come first, then the most severe, then the oldest.
func (r *pages) of(ctx context.Context, number e164.Number) ([]*page.Page, error) {
	var all []*page.Page
	err := r.eachCurrent(ctx, func(stored outbox.Page) error {
		p, err := r.read(stored)
		if err != nil { // one unreadable page must not hide the others
			r.logger.Error("cannot read a page", "err", err)
		} else if number == "" || slices.Contains(p.People.Numbers(), number) {
			all = append(all, p)
		}
		return nil
	})
	order := r.settings.Load().order
	slices.SortFunc(all, func(a, b *page.Page) int {
		return cmp.Or(held(a)-held(b), order.Rank(a.Severity)-order.Rank(b.Severity), strings.Compare(a.ID, b.ID))
	})
	return all, err
}

// held returns 1 for a page that somebody holds, 0 for an open one.
func held(p *page.Page) int {
	if p.Held() {
		return 1
	}
	return 0
}

// eachCurrent yields all current pages, newest first.
func (r *pages) eachCurrent(ctx context.Context, yield func(outbox.Page) error) error {
	return r.each(ctx, outbox.PageQuery{Current: true}, yield)
}

// each yields the pages of a query, newest first.
func (r *pages) each(ctx context.Context, q outbox.PageQuery, yield func(outbox.Page) error) error {
	for q.Limit = pageBatch; ; {
		ps, err := r.spool.Pages(ctx, q)
		if err != nil {
			return err
		}
		for _, p := range ps {
			q.Before = p.ID
			if err := yield(p); err != nil {
				return err
			}
		}
		if len(ps) < pageBatch {
			return nil
		}
	}
}

// plan returns the plan of a receiver, see settings.plan.
func (r *pages) plan(receiver string) *page.Plan { return r.settings.Load().plan(receiver) }

// drawCode draws a code that no page has had within codeRest, as far as the store can be read.
func (r *pages) drawCode(ctx context.Context, at time.Time) (code string, err error) {
	for i := range codeTries {
		digits := command.ShortestCode
		if i >= codeTries/2 {
			digits = command.LongestCode
		}
		if code, err = people.RandomDigits(digits); err != nil {
			return "", err
		}
		ps, err := r.spool.Pages(ctx, outbox.PageQuery{Code: code, Limit: 1})
		if err != nil || len(ps) == 0 || !ps[0].State.Current() && at.Sub(ps[0].OpenedAt) > codeRest {
			break
		}
	}
	return code, nil
}
