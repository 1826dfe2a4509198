package oncall

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// pageBatch is how many pages are read together.
	pageBatch = 100
	// codeRest is how long a code is not used again, as far as codeTries draws find such a code.
	codeRest  = 30 * 24 * time.Hour
	codeTries = 20
)

// pages reads pages.
type pages struct {
	spool    Spool
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

// read reads a stored page, whose severities are those of the configuration.
func (r *pages) read(stored outbox.Page) (*page.Page, error) {
	p, err := page.Load(stored)
	if err == nil {
		p.Notification.Order = r.settings.Load().order
	}
	return p, err
}

// current returns the current page of a receiver's group, nil if there is none.
func (r *pages) current(ctx context.Context, receiver, group string) (*page.Page, error) {
	ps, err := r.spool.Pages(ctx, outbox.PageQuery{Current: true, Receiver: receiver, GroupKey: group, Limit: 1})
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	return r.read(ps[0])
}

// coded returns the newest page with a code, nil if there is none.
func (r *pages) coded(ctx context.Context, code string) (*page.Page, error) {
	stored, err := r.spool.Pages(ctx, outbox.PageQuery{Code: code, Limit: 1})
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	return r.read(stored[0])
}

// of returns the current pages, the most severe first and of those the oldest; with a number, those
// that it was paged for.
func (r *pages) of(ctx context.Context, number e164.Number) ([]*page.Page, error) {
	var all []*page.Page
	take := func(stored outbox.Page) {
		p, err := r.read(stored)
		if err != nil { // it must not hide the others
			r.logger.Error("a page cannot be used", "err", err)
		} else if number == "" || slices.Contains(p.People.Numbers(), number) {
			all = append(all, p)
		}
	}
	err := r.eachCurrent(ctx, func(stored outbox.Page) error {
		take(stored)
		return nil
	})
	order := r.settings.Load().order
	slices.SortFunc(all, func(a, b *page.Page) int {
		return cmp.Or(order.Rank(a.Severity)-order.Rank(b.Severity), strings.Compare(a.ID, b.ID))
	})
	return all, err
}

// eachCurrent yields all current pages, newest first.
func (r *pages) eachCurrent(ctx context.Context, yield func(outbox.Page) error) error {
	for before := ""; ; {
		ps, err := r.spool.Pages(ctx, outbox.PageQuery{Current: true, Before: before, Limit: pageBatch})
		if err != nil {
			return err
		}
		for _, p := range ps {
			before = p.ID
			if err := yield(p); err != nil {
				return err
			}
		}
		if len(ps) < pageBatch {
			return nil
		}
	}
}

// plan returns what the receiver of a page wants, nil if it is not configured.
func (r *pages) plan(receiver string) *page.Plan { return r.settings.Load().plans[receiver] }

// drawCode draws a code that no page has or had lately, as far as the store shows.
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
