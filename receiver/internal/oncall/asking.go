package oncall

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// askPatience is how long Alertmanager may take to respond about a page.
const askPatience = time.Second

// asking asks Alertmanager for what notifications do not report: silences, inhibitions, mutes, and
// alerts that end while suppressed. It is safe for concurrent use.
type asking struct {
	silencer func() *alertmanager.Silencer // nil: it cannot be asked
	pages    *pages
	now      func() time.Time

	mu       sync.Mutex
	recalled bool            // the senders of stored pages are known
	seen     map[string]bool // senders of notifications, see page.SenderOf
	listed   map[string]bool // senders whose alerts Alertmanager has listed
}

const (
	// maxSources bounds the senders that are remembered.
	maxSources = 64
	// pagesRecalled is how many of all pages, and how many of the current ones, are read for their senders
	// after the start.
	pagesRecalled = 100
)

func newAsking(silencer func() *alertmanager.Silencer, pages *pages, now func() time.Time) *asking {
	return &asking{silencer: silencer, pages: pages, now: now, seen: make(map[string]bool), listed: make(map[string]bool)}
}

// saw records the sender of a notification.
func (a *asking) saw(n *templating.Notification) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sees(page.SenderOf(n))
}

func (a *asking) sees(sender string) {
	if len(a.seen) < maxSources && sender != page.ByHand {
		a.seen[sender] = true
	}
}

// lists records that Alertmanager has listed an alert of a page.
func (a *asking) lists(p *page.Page, alert *page.Alert) {
	for _, sender := range p.Senders(alert) {
		if len(a.listed) < maxSources {
			a.listed[sender] = true
		}
	}
}

// recall learns from stored pages, once, who sent notifications before this process started, and whose
// alerts Alertmanager has listed.
func (a *asking) recall(ctx context.Context) error {
	a.mu.Lock()
	done := a.recalled
	a.mu.Unlock()
	if done {
		return nil
	}
	latest, err := a.pages.spool.Pages(ctx, outbox.PageQuery{Limit: pagesRecalled})
	if err != nil {
		return err
	}
	current, err := a.pages.spool.Pages(ctx, outbox.PageQuery{Current: true, Limit: pagesRecalled})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.recalled = true
	for _, stored := range append(latest, current...) {
		p, err := a.pages.read(stored)
		if err != nil {
			continue // whoever needs the page reports it
		}
		for _, alert := range p.Alerts {
			for _, sender := range p.Senders(alert) {
				a.sees(sender)
			}
			if len(alert.Listed) > 0 {
				a.lists(p, alert)
			}
		}
	}
	return nil
}

// about asks Alertmanager about the alerts of a page, and applies the response to the page. It returns
// false if Alertmanager cannot be asked or does not respond in time.
func (a *asking) about(ctx context.Context, p *page.Page, now time.Time) bool {
	report := a.report(ctx, p)
	if report == nil {
		p.NoResponse(now)
		return false
	}
	p.Learn(report, now)
	return true
}

// fires reports whether Alertmanager lists a firing alert of a notification that is not suppressed.
// known reports whether its alerts must have ended if none fires.
func (a *asking) fires(ctx context.Context, n *templating.Notification) (fires, known bool) {
	listing := a.list(ctx, alertmanager.Query{Labels: sharedLabels(n), Receiver: n.Receiver, Wanted: []string{""}}) // "" makes it report the starts
	if listing == nil {
		return false, false
	}
	suppressed := false
	for _, alert := range n.Alerts.Firing() {
		one, listed := listing.Alerts[alert.Fingerprint]
		fires, suppressed = fires || listed && !one.Suppressed, suppressed || one.Suppressed
	}
	known = !suppressed && listing.All && n.TruncatedAlerts == 0 && a.asks(page.SenderOf(n))
	for _, start := range listing.Starts {
		known = known && !start.IsZero() && a.now().Sub(start) > page.Restarted
	}
	return fires, known
}

// list returns the alerts that Alertmanager lists, see [alertmanager.Silencer.Alerts]. It returns nil if
// Alertmanager cannot be asked or does not respond in time, or if it is unknown whose alerts it lists.
func (a *asking) list(ctx context.Context, q alertmanager.Query) *alertmanager.Listing {
	silencer := a.silencer()
	if silencer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	if a.recall(ctx) != nil {
		return nil
	}
	listing, err := silencer.Alerts(ctx, q)
	if err != nil {
		return nil
	}
	return listing
}

// report returns what Alertmanager responds about the alerts of a page, nil if it does not respond.
func (a *asking) report(ctx context.Context, p *page.Page) *page.Report {
	var wanted []string
	for _, alert := range p.Live() {
		wanted = append(wanted, alert.Fingerprint())
	}
	if p.Truncated() > 0 {
		wanted = append(wanted, "") // "" makes it report the starts
	}
	listing := a.list(ctx, alertmanager.Query{Labels: groupLabels(p), Receiver: p.Receiver, Wanted: wanted})
	if listing == nil {
		return nil
	}
	report := a.reportOf(p, listing)
	report.Whole = true
	return report
}

// reportOf returns the report on a page that a listing contains.
func (a *asking) reportOf(p *page.Page, listing *alertmanager.Listing) *page.Report {
	r := &page.Report{Alerts: make(map[string]page.Known), Strangers: make(map[string]bool), Down: make(map[string]bool), Starts: listing.Starts, All: listing.All}
	for _, l := range listing.Alerts {
		r.Alerts[l.Fingerprint] = page.Known{StartsAt: l.StartsAt, Suppressed: l.Suppressed, By: l.By, Until: l.Until, ListedBy: l.ListedBy}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, alert := range p.Live() {
		if _, ok := r.Alerts[alert.Fingerprint()]; ok || len(alert.Listed) > 0 {
			a.lists(p, alert)
		}
	}
	r.Strangers[""] = !a.ours(p, "")
	for source, sender := range p.Sources {
		r.Strangers[source] = !a.ours(p, sender)
		responds := func(address string) bool { _, ok := listing.Starts[address]; return ok }
		urls := a.urls(sender)
		r.Down[source] = len(urls) > 0 && !slices.ContainsFunc(urls, responds)
	}
	return r
}

// ours reports whether a sender seems to be one of the Alertmanagers that smspager asks: they have listed
// alerts of it, it has the host of one of them, or no other sender is known.
func (a *asking) ours(p *page.Page, sender string) bool {
	if sender == page.ByHand {
		return false
	}
	others := func(known string) bool { return known != sender }
	alone := !slices.ContainsFunc(slices.Collect(maps.Keys(a.seen)), others) && !slices.ContainsFunc(slices.Collect(maps.Values(p.Sources)), others)
	return alone || a.listed[sender] || a.hosts(sender)
}

// asks reports whether a sender is certainly an Alertmanager that smspager asks.
func (a *asking) asks(sender string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.listed[sender] || a.hosts(sender)
}

// hosts reports whether a sender has the host of an Alertmanager that smspager asks. It does not count if
// several organizations of one Grafana send notifications, because smspager asks as a member of one.
func (a *asking) hosts(sender string) bool {
	address, _, _ := strings.Cut(sender, " ")
	for known := range a.seen {
		if other, _, _ := strings.Cut(known, " "); other == address && known != sender {
			return false
		}
	}
	return len(a.urls(sender)) > 0
}

// urls returns the URLs at which smspager asks an Alertmanager with the host of a sender.
func (a *asking) urls(sender string) []string {
	address, _, _ := strings.Cut(sender, " ")
	u, err := url.Parse(address)
	silencer := a.silencer()
	if err != nil || u.Host == "" || silencer == nil {
		return nil
	}
	return silencer.At(u.Host)
}

// groupLabels returns the group labels that all alerts of a page have, to ask for these alerts only.
func groupLabels(p *page.Page) map[string]string {
	labels := sharedLabels(&p.Notification)
	maps.DeleteFunc(labels, func(name, value string) bool {
		return slices.ContainsFunc(p.Live(), func(a *page.Alert) bool { return a.Whole != nil && a.Whole.Labels[name] != value })
	})
	return labels
}

// sharedLabels returns the group labels that all alerts of a notification have.
func sharedLabels(n *templating.Notification) map[string]string {
	labels := make(map[string]string)
	for name, value := range n.GroupLabels {
		other := func(a template.Alert) bool { return a.Labels[name] != value }
		if len(n.Alerts) > 0 && !slices.ContainsFunc(n.Alerts, other) && value != "" {
			labels[name] = value
		}
	}
	return labels
}
