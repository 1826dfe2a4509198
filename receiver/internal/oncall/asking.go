package oncall

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/templating"
)

// askPatience is how long Alertmanager may take to respond about a page.
const askPatience = time.Second

// asking asks Alertmanager for what notifications do not report: silences, inhibitions, mutes, and
// alerts that end while suppressed. It is safe for concurrent use.
type asking struct {
	silencer func() *alertmanager.Silencer // nil: it cannot be asked
	now      func() time.Time

	mu     sync.Mutex
	seen   map[string]bool // external URLs of notifications
	listed map[string]bool // external URLs whose alerts Alertmanager has listed
}

// maxSources bounds the external URLs that are remembered.
const maxSources = 64

func newAsking(silencer func() *alertmanager.Silencer, now func() time.Time) *asking {
	return &asking{silencer: silencer, now: now, seen: make(map[string]bool), listed: make(map[string]bool)}
}

// saw records the sender of a notification.
func (a *asking) saw(n *templating.Notification) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) < maxSources && n.ExternalURL != page.ByHand {
		a.seen[n.ExternalURL] = true
	}
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
// known reports whether a missing alert must have ended.
func (a *asking) fires(ctx context.Context, n *templating.Notification) (fires, known bool) {
	listing := a.list(ctx, alertmanager.Query{Labels: sharedLabels(n), Receiver: n.Receiver, Wanted: []string{""}}) // "" makes it report the starts
	if listing == nil {
		return false, false
	}
	for _, alert := range n.Alerts.Firing() {
		one, listed := listing.Alerts[alert.Fingerprint]
		fires = fires || listed && !one.Suppressed
	}
	known = listing.All && n.TruncatedAlerts == 0 && a.asks(n.ExternalURL)
	for _, start := range listing.Starts {
		known = known && !start.IsZero() && a.now().Sub(start) > page.Restarted
	}
	return fires, known
}

// list returns the alerts that Alertmanager lists, see [alertmanager.Silencer.Alerts]. It returns nil if
// Alertmanager cannot be asked or does not respond in time.
func (a *asking) list(ctx context.Context, q alertmanager.Query) *alertmanager.Listing {
	silencer := a.silencer()
	if silencer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
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
	r := &page.Report{Alerts: make(map[string]page.Known), Strangers: make(map[string]bool), Starts: listing.Starts, All: listing.All}
	for _, l := range listing.Alerts {
		r.Alerts[l.Fingerprint] = page.Known{StartsAt: l.StartsAt, Suppressed: l.Suppressed, By: l.By, Until: l.Until, ListedBy: l.ListedBy}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, alert := range p.Live() {
		if _, ok := r.Alerts[alert.Fingerprint()]; ok {
			for _, source := range alert.Sources {
				if len(a.listed) < maxSources {
					a.listed[p.Sources[source]] = true
				}
			}
		}
	}
	for source, address := range p.Sources {
		r.Strangers[source] = !a.ours(p, address)
	}
	return r
}

// ours reports whether an external URL seems to belong to the Alertmanagers that smspager asks: they have
// listed alerts from it, it has the host of one of them, or no other sender is known.
func (a *asking) ours(p *page.Page, address string) bool {
	if address == page.ByHand {
		return false
	}
	if a.listed[address] || a.hosts(address) {
		return true
	}
	others := func(known string) bool { return known != address }
	for known := range a.seen {
		if others(known) {
			return false
		}
	}
	for _, known := range p.Sources {
		if others(known) {
			return false
		}
	}
	return true
}

// asks reports whether an external URL certainly belongs to an Alertmanager that smspager asks.
func (a *asking) asks(address string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.listed[address] || a.hosts(address)
}

// hosts reports whether an external URL has the host of an Alertmanager that smspager asks.
func (a *asking) hosts(address string) bool {
	u, err := url.Parse(address)
	silencer := a.silencer()
	return err == nil && u.Host != "" && silencer != nil && slices.Contains(silencer.Hosts(), u.Host)
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
