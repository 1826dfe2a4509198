package page

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating"
)

// AlertState is an alert's place in its life.
type AlertState string

// The states of an alert. An alert has ended if it is resolved or gone; it may fire again.
const (
	Firing     AlertState = "firing"
	Suppressed AlertState = "suppressed" // Alertmanager holds it back: silenced, inhibited or muted
	Resolved   AlertState = "resolved"   // a notification reports its end
	Gone       AlertState = "gone"       // Alertmanager no longer lists it, or it is in another page
)

const (
	// keepEnded is how long a page keeps an alert that has ended.
	keepEnded = flapWindow
	// keepGone is how long a page keeps one that ended without a notification, and asks whether it fires
	// again: for Alertmanager's own repeat_interval, it may not notify.
	keepGone = 4 * time.Hour
)

// Alert is an alert of a page.
type Alert struct {
	Key      string               `json:"key"`
	State    AlertState           `json:"state"`
	Sources  []string             `json:"from,omitempty"` // who has reported it, by the keys of Body.Sources
	StartsAt time.Time            `json:"starts_at,omitzero"`
	Came     time.Time            `json:"came"`              // when a notification first had it
	At       time.Time            `json:"at"`                // when its state was last reported
	Notified time.Time            `json:"notified,omitzero"` // when a notification last had it as firing
	Listed   map[string]time.Time `json:"listed,omitempty"`  // when Alertmanagers last listed it, by short names of their URLs
	Covered  bool                 `json:"ack,omitempty"`     // it was there when somebody acknowledged the page
	By       string               `json:"by,omitempty"`      // who suppresses it, or where it is
	Until    time.Time            `json:"until,omitzero"`    // how long it is suppressed; zero: nobody knows
	Changes  []time.Time          `json:"flaps,omitempty"`   // when it recently ended or fired again
	Whole    *template.Alert      `json:"whole,omitempty"`   // as it was last notified, of the most severe
}

// Live reports whether the alert has not ended.
func (a *Alert) Live() bool { return a.State == Firing || a.State == Suppressed }

// base returns the key without the source that tells equal alerts apart.
func (a *Alert) base() string {
	key, _, _ := strings.Cut(a.Key, "~")
	return key
}

// Fingerprint returns the alert's fingerprint as keys have it.
func (a *Alert) Fingerprint() string {
	fingerprint, _, _ := strings.Cut(a.Key, "@")
	return fingerprint
}

// KeyOf returns the key of an alert of a notification. Alerts of two organizations of one Grafana may
// have one fingerprint.
func KeyOf(n *templating.Notification, a *template.Alert) string {
	return strings.ReplaceAll(a.Fingerprint, " ", "_") + "@" + strings.ReplaceAll(n.Org, " ", "_")
}

// sourceOf returns a short name for who sent a notification, "" if nothing shows it.
func sourceOf(n *templating.Notification) string {
	if n.ExternalURL == "" {
		return ""
	}
	return shortName(n.ExternalURL + " " + n.Org)
}

func shortName(of string) string {
	h := fnv.New32a()
	h.Write([]byte(of))
	return fmt.Sprintf("%08x", h.Sum32())
}

// Effect is what a notification did to the alerts of a page.
type Effect struct {
	Fresh bool // an alert fires that was not there, or that had ended
	Back  bool // an alert fires that was suppressed
	Ended bool // an alert has ended
}

// instances returns the alerts of the page that an alert of a notification is. Two Alertmanagers that
// know nothing of each other may have equal alerts: they began at different times, and each reports
// the end of its own. Peers of a cluster report the alerts of each other.
func (p *Page) instances(n *templating.Notification, a *template.Alert) []*Alert {
	source, all := sourceOf(n), p.index()[KeyOf(n, a)]
	for _, known := range all {
		if slices.Contains(known.Sources, source) {
			return []*Alert{known}
		}
	}
	for _, known := range all {
		if known.StartsAt.Equal(a.StartsAt) || len(known.Sources) == 0 || source == "" {
			return []*Alert{known}
		}
	}
	live := slices.DeleteFunc(slices.Clone(all), func(known *Alert) bool { return !known.Live() })
	switch {
	case a.Status != string(model.AlertFiring):
		return live
	case len(live) > 0:
		return nil // a second one
	}
	return all[:min(1, len(all))]
}

// index returns the alerts by their keys. Equal alerts of two sources are under one key.
func (p *Page) index() map[string][]*Alert {
	if p.byKey == nil {
		p.byKey = make(map[string][]*Alert, len(p.Alerts))
		for _, a := range p.Alerts {
			p.byKey[a.base()] = append(p.byKey[a.base()], a)
		}
	}
	return p.byKey
}

// Take changes the alerts that a notification lists, and no others. older are alerts of other pages
// that come to this one.
func (p *Page) Take(n *templating.Notification, older []*Alert, at time.Time) Effect {
	p.NotifiedAt, p.WaitsUntil = at, time.Time{}
	var e Effect
	source := sourceOf(n)
	related := map[string]bool{source: true} // this source, and its peers
	if source != "" {
		if p.Sources == nil {
			p.Sources = make(map[string]string)
		}
		p.Sources[source] = n.ExternalURL
	}
	for i := range n.Alerts {
		a := &n.Alerts[i]
		instances := p.instances(n, a)
		for _, known := range instances {
			known.reported(source)
			for _, peer := range known.Sources {
				related[peer] = true
			}
		}
		switch {
		case a.Status != string(model.AlertFiring):
			for _, known := range instances {
				e.Ended = known.ends(Resolved, at) || e.Ended
			}
		case len(instances) == 0:
			p.add(n, a, older, at)
			e.Fresh = true
		default:
			p.fires(instances[0], n, a, &e, at)
		}
	}
	p.cut(n, related, &e, at)
	p.prune(at)
	p.settleDown(at)
	p.rebuild(n)
	return e
}

// add adds an alert that fires.
func (p *Page) add(n *templating.Notification, a *template.Alert, older []*Alert, at time.Time) {
	added := &Alert{Key: KeyOf(n, a), State: Firing, StartsAt: a.StartsAt, Came: at, At: at, Notified: at, Whole: a}
	added.reported(sourceOf(n))
	if len(p.index()[added.Key]) > 0 {
		added.Key += "~" + sourceOf(n)
	}
	added.Covered = p.Held() && n.NotificationReason == reasonRepeat
	if i := slices.IndexFunc(older, func(o *Alert) bool { return o.Key == added.Key }); i >= 0 {
		o := older[i]
		added.Changes = slices.Clone(o.Changes)
		if o.Live() {
			added.Came, added.Covered = o.Came, added.Covered || o.Covered
		} else {
			added.changed(at)
		}
	}
	p.Alerts = append(p.Alerts, added)
	p.byKey[added.base()] = append(p.byKey[added.base()], added)
}

// fires notes that an alert of the page fires.
func (p *Page) fires(known *Alert, n *templating.Notification, a *template.Alert, e *Effect, at time.Time) {
	switch known.State {
	case Suppressed:
		e.Back = true
	case Resolved, Gone:
		known.changed(at)
		known.Came = at
		if known.flaps(at) < flapChanges && n.NotificationReason != reasonRepeat { // texts about a flapping alert say that it flaps
			known.Covered, e.Fresh = false, true
		}
	}
	known.State, known.By, known.Until = Firing, "", time.Time{}
	known.StartsAt, known.At, known.Notified, known.Whole = a.StartsAt, at, at, a
}

// reported notes who reported the alert.
func (a *Alert) reported(source string) {
	if source != "" && !slices.Contains(a.Sources, source) {
		a.Sources = append(a.Sources, source)
	}
}

// ends notes that the alert has ended, and reports whether it fired before.
func (a *Alert) ends(state AlertState, at time.Time) bool {
	live := a.Live()
	if live {
		a.changed(at)
		a.By, a.Until = "", time.Time{}
	}
	if a.State, a.At = state, at; state != Gone {
		a.Whole = nil
	}
	return live
}

// cut notes how many alerts the notification leaves out. If all of its alerts are resolved, so are
// those that it leaves out. related are its source, and the peers of that.
func (p *Page) cut(n *templating.Notification, related map[string]bool, e *Effect, at time.Time) {
	for source := range related {
		delete(p.Cut, source)
	}
	if n.TruncatedAlerts == 0 {
		return
	}
	if n.Status != string(model.AlertResolved) {
		if p.Cut == nil {
			p.Cut = make(map[string]uint64)
		}
		p.Cut[sourceOf(n)], p.CutHeld = n.TruncatedAlerts, false // CutListed stays: it is of the same group
		return
	}
	var left []*Alert
	for _, a := range p.Alerts {
		if a.State == Firing && (len(a.Sources) == 0 || slices.ContainsFunc(a.Sources, func(source string) bool { return related[source] })) {
			left = append(left, a)
		}
	}
	if uint64(len(left)) > n.TruncatedAlerts {
		return
	}
	for _, a := range left {
		e.Ended = a.ends(Resolved, at) || e.Ended
	}
}

// Truncated returns how many alerts notifications leave out that may fire.
func (p *Page) Truncated() uint64 {
	var all uint64
	for _, n := range p.Cut {
		all += n
	}
	return all
}

// prune drops alerts that ended long ago.
func (p *Page) prune(now time.Time) {
	all := len(p.Alerts)
	p.Alerts = slices.DeleteFunc(p.Alerts, func(a *Alert) bool { return !a.Live() && now.Sub(a.At) > keepEnded && !a.swallowed(now) })
	if len(p.Alerts) < all {
		p.byKey = nil
	}
}

// Over reports whether all alerts of the page have ended.
func (p *Page) Over() bool {
	return p.Truncated() == 0 && !slices.ContainsFunc(p.Alerts, (*Alert).Live)
}

// Fires reports whether an alert of the page fires, as far as it is known.
func (p *Page) Fires() bool {
	if n := p.Truncated(); n > 0 && !p.CutHeld || n == 0 && len(p.Alerts) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.State == Firing })
}

// Live returns the alerts that have not ended.
func (p *Page) Live() []*Alert {
	var live []*Alert
	for _, a := range p.Alerts {
		if a.Live() {
			live = append(live, a)
		}
	}
	return live
}

// Holds reports whether the page has an alert that has not ended.
func (p *Page) Holds(key string) bool {
	return slices.ContainsFunc(p.index()[key], (*Alert).Live)
}

// Rest returns the part of a RESOLVED text that names the alerts that have not ended; "" if all have.
// name returns what texts call an alert.
func (p *Page) Rest(name func(template.Alert) string) string {
	live := p.Live()
	if n := p.Truncated(); len(live) == 0 && n > 0 {
		return fmt.Sprintf("%d more may fire", n)
	} else if len(live) == 0 {
		return ""
	}
	a, rest := live[0], "An alert"
	if a.Whole != nil {
		rest = name(*a.Whole)
	}
	switch {
	case a.State == Suppressed:
		rest += " is " + a.By
	case !p.ConfirmedAt.IsZero() && !p.ConfirmedAt.Before(p.NotifiedAt):
		rest += " still fires"
	default:
		rest += " is not resolved"
	}
	if n := len(live) - 1; n > 0 {
		rest += fmt.Sprintf(", and %d more", n)
	}
	return rest
}
