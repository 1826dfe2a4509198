package page

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating"
)

// AlertState is an alert's place in its life.
type AlertState string

// The states of an alert. An alert has ended if it is resolved or gone; it may fire again.
const (
	Firing     AlertState = "firing"
	Suppressed AlertState = "suppressed" // silenced, inhibited or muted in Alertmanager, which does not notify
	Resolved   AlertState = "resolved"   // a notification reports its end
	Gone       AlertState = "gone"       // Alertmanager no longer lists it, or it is in another page
)

const (
	// keepEnded is how long a page keeps an alert that has ended.
	keepEnded = FlapWindow
	// keepGone is how long a page keeps an alert that ended without a notification, to learn whether it
	// fires again. Alertmanager may not notify of that for a repeat_interval, 4 hours by default.
	keepGone = 4 * time.Hour
)

// Alert is an alert of a page.
type Alert struct {
	Key      string               `json:"key"`
	State    AlertState           `json:"state"`
	Sources  []string             `json:"from,omitempty"` // keys into Body.Sources: who has reported it
	StartsAt time.Time            `json:"starts_at,omitzero"`
	FiredAt  time.Time            `json:"came"`              // when it first fired, since it last ended
	At       time.Time            `json:"at"`                // when its state was last reported
	Notified time.Time            `json:"notified,omitzero"` // when a notification last listed it as firing
	Listed   map[string]time.Time `json:"listed,omitempty"`  // when each Alertmanager last listed it, by the short name of its URL
	Covered  bool                 `json:"ack,omitempty"`     // the holder of the page knows it
	By       string               `json:"by,omitempty"`      // who suppresses it, or which page has it now
	Until    time.Time            `json:"until,omitzero"`    // when its suppression ends; zero: unknown
	Changes  []time.Time          `json:"flaps,omitempty"`   // when it ended or fired again; at most maxChanges
	Whole    *template.Alert      `json:"whole,omitempty"`   // as last notified; nil: it is resolved, or not among the most severe
}

// Live reports whether the alert has not ended.
func (a *Alert) Live() bool { return a.State == Firing || a.State == Suppressed }

// base returns the key without the source that distinguishes equal alerts.
func (a *Alert) base() string {
	key, _, _ := strings.Cut(a.Key, "~")
	return key
}

// Fingerprint returns the fingerprint in the alert's key.
func (a *Alert) Fingerprint() string {
	fingerprint, _, _ := strings.Cut(a.Key, "@")
	return fingerprint
}

// KeyOf returns the key of a notification's alert. It includes the organization, because alerts of two
// organizations of one Grafana may have the same fingerprint.
func KeyOf(n *templating.Notification, a *template.Alert) string {
	return strings.Map(plain, a.Fingerprint) + "@" + strings.Map(plain, n.Org)
}

// plain replaces what separates keys, or the parts of a key.
func plain(r rune) rune {
	if r == '@' || r == '~' || unicode.IsSpace(r) {
		return '_'
	}
	return r
}

// SenderOf returns the sender of a notification: its external URL and, after a space, the organization of a
// Grafana. It is "" if the payload does not show the sender.
func SenderOf(n *templating.Notification) string {
	return strings.TrimSpace(n.ExternalURL + " " + n.Org)
}

// Senders returns who has reported an alert of the page: at least one sender, "" if it is unknown.
func (p *Page) Senders(a *Alert) []string {
	if len(a.Sources) == 0 {
		return []string{""}
	}
	senders := make([]string, len(a.Sources))
	for i, source := range a.Sources {
		senders[i] = p.Sources[source]
	}
	return senders
}

// sourceOf returns a short name for the sender of a notification, "" if the sender is unknown.
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
	Fresh bool // a new alert fires, or one that had ended fires again
	Back  bool // a suppressed alert fires again
}

// instances returns the page's alerts that an alert of a notification refers to. Two independent
// Alertmanagers may have equal alerts, which began at different times, and each reports the end of its
// own. Peers of a cluster report each other's alerts.
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
		return nil // it is a second, equal alert
	}
	return all[:min(1, len(all))]
}

// index returns the alerts by key. Equal alerts of two sources share a key.
func (p *Page) index() map[string][]*Alert {
	if p.byKey == nil {
		p.byKey = make(map[string][]*Alert, len(p.Alerts))
		for _, a := range p.Alerts {
			p.byKey[a.base()] = append(p.byKey[a.base()], a)
		}
	}
	return p.byKey
}

// Update updates the alerts that a notification lists. It changes no others, unless the notification
// leaves some out: see cut. older are alerts of other pages that may move to this one.
func (p *Page) Update(n *templating.Notification, older []*Alert, at time.Time) Effect {
	p.NotifiedAt, p.WaitsUntil = at, time.Time{}
	var e Effect
	source := sourceOf(n)
	related := map[string]bool{source: true} // this source and its peers
	if source != "" {
		if p.Sources == nil {
			p.Sources = make(map[string]string)
		}
		p.Sources[source] = SenderOf(n)
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
				known.ends(Resolved, at)
			}
		case len(instances) == 0:
			p.add(n, a, older, at)
			e.Fresh = true
		default:
			p.fires(instances[0], n, a, &e, at)
		}
	}
	p.cut(n, related, at)
	p.prune(at)
	p.settleDown(at)
	p.rebuild(n)
	return e
}

// add adds a firing alert.
func (p *Page) add(n *templating.Notification, a *template.Alert, older []*Alert, at time.Time) {
	added := &Alert{Key: KeyOf(n, a), State: Firing, StartsAt: a.StartsAt, FiredAt: at, At: at, Notified: at, Whole: a}
	added.reported(sourceOf(n))
	if len(p.index()[added.Key]) > 0 {
		added.Key += "~" + sourceOf(n)
	}
	added.Covered = p.Held() && n.Repeats()
	if i := slices.IndexFunc(older, func(o *Alert) bool { return o.Key == added.Key }); i >= 0 {
		o := older[i]
		added.Changes = slices.Clone(o.Changes)
		if o.Live() {
			added.FiredAt, added.Covered = o.FiredAt, added.Covered || o.Covered
		} else {
			added.changed(at)
		}
	}
	p.Alerts = append(p.Alerts, added)
	p.byKey[added.base()] = append(p.byKey[added.base()], added)
}

// fires marks an alert of the page as firing.
func (p *Page) fires(known *Alert, n *templating.Notification, a *template.Alert, e *Effect, at time.Time) {
	switch known.State {
	case Suppressed:
		e.Back = true
	case Resolved, Gone:
		known.changed(at)
		known.FiredAt = at
		if known.flaps(at) < FlapChanges && !n.Repeats() { // texts about a flapping alert say that it flaps
			known.Covered, e.Fresh = false, true
		}
	}
	known.State, known.By, known.Until = Firing, "", time.Time{}
	known.StartsAt, known.At, known.Notified, known.Whole = a.StartsAt, at, at, a
}

// reported adds a source to those that have reported the alert.
func (a *Alert) reported(source string) {
	if source != "" && !slices.Contains(a.Sources, source) {
		a.Sources = append(a.Sources, source)
	}
}

// ends marks the alert as ended, and reports whether it had not ended before.
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

// cut records how many alerts the notification leaves out. If the notification is resolved, the alerts
// that it leaves out are too. related holds its source and the peers of that source.
func (p *Page) cut(n *templating.Notification, related map[string]bool, at time.Time) {
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
		p.Cut[sourceOf(n)], p.CutHeld = n.TruncatedAlerts, false // CutListed stays: the group is the same
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
		a.ends(Resolved, at)
	}
}

// Truncated returns how many alerts the notifications leave out. They may fire.
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
	p.Alerts = slices.DeleteFunc(p.Alerts, func(a *Alert) bool { return !a.Live() && now.Sub(a.At) > keepEnded && !a.FiresSilently(now) })
	if len(p.Alerts) < all {
		p.byKey = nil
	}
}

// Over reports whether all alerts of the page have ended.
func (p *Page) Over() bool {
	return p.Truncated() == 0 && !slices.ContainsFunc(p.Alerts, (*Alert).Live)
}

// Fires reports whether an alert of the page fires, or may fire: one that notifications leave out and
// that is not known to be suppressed, or if the page lists no alerts.
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

// Holds reports whether the page has an alert with this key that has not ended.
func (p *Page) Holds(key string) bool {
	return slices.ContainsFunc(p.index()[key], (*Alert).Live)
}

// NotResolved returns the part of a RESOLVED text that names the alerts that have not ended, "" if all have
// ended. name returns an alert's name in texts.
func (p *Page) NotResolved(name func(template.Alert) string) string {
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
