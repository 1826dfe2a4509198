// Package page is the life of a page, as a state machine. It is pure: it knows no store, clock, or
// network. Callers pass the time, store the page, and send its messages.
//
//	         ┌─────────────── undo, reopen ───────────────┐
//	         ▼                                            │
//	Open → open ── acknowledge → acknowledged ── silence → silenced
//	        │ │ step, repeat          │                   │
//	        │ └─┘                     │                   │
//	        └─────────────────────────┴───────────────────┤
//	            all alerts resolved, gone or moved ───────┴─→ resolved
//	                         36 h without news ─────────────→ expired
//
// A page holds alerts. A notification changes the alerts that it lists ([Page.Update]); a response of
// Alertmanager changes all of them ([Page.Learn]):
//
//	          notified, or Alertmanager lists it as active
//	   ┌───────────────────────────────────────────────────────────┐
//	   ▼                                                           │
//	firing ── Alertmanager suppresses it → suppressed ── ended ─┐  │
//	   │                                                        │  │
//	   ├── a notification reports its end ───────────→ resolved ┴──┤
//	   └── Alertmanager no longer lists it,                        │
//	       or it is in another page ─────────────────→ gone ───────┘
//
// A page is open while somebody must respond to it. [Page.Next] decides what is due: the next step of
// the escalation, a repeat, a question to Alertmanager, or nothing. Nobody is paged while all alerts of
// the page are suppressed. A person who acknowledges or silences the page holds it. It is reopened if a
// new alert fires, if an alert that had ended fires again, if the silence ends while alerts fire, or if
// the holder wants no more texts. A flapping page ends only after it has been over for more than a
// minute. A final state never changes.
//
// [Page.Merge] merges two states of one page that were reached independently.
package page

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// CurrentFor is how long a page stays current after its last news, and how long a reply can name
	// its code.
	CurrentFor = 36 * time.Hour
	// maxAlerts bounds the alerts that a page keeps whole, and so the silences that one reply creates.
	maxAlerts = 20
	// maxDoc bounds the alerts that a page keeps whole, in bytes of JSON.
	maxDoc = 256 << 10
)

// Page is an outbox.Page with the decoded contents of its Doc. Its methods change both and add events.
// Only Schedule sets DueAt to a time.
type Page struct {
	outbox.Page
	Body
	byKey map[string][]*Alert // see index
	began time.Time           // Clock when the page was loaded

	firesAgain bool // see FiresAgain
}

// Body holds what on-call stores in the Doc of a page.
type Body struct {
	Notification templating.Notification `json:"notification"` // the latest firing one, with its most severe firing alerts
	Alerts       []*Alert                `json:"alerts"`
	Sources      map[string]string       `json:"sources,omitempty"`    // the senders of notifications, see SenderOf, by short name
	Cut          map[string]uint64       `json:"cut,omitempty"`        // how many alerts the latest notification of each source leaves out
	CutHeld      bool                    `json:"cut_held,omitempty"`   // these alerts are suppressed
	CutListed    bool                    `json:"cut_listed,omitempty"` // Alertmanager has listed further alerts of the group
	CutCovered   uint64                  `json:"cut_ack,omitempty"`    // how many of these alerts the holder knows
	People       Recipients              `json:"people"`

	// Clock is the time of the last event: when it came from outside, or when it was due if smspager
	// did it. So a replica that repeats an action from an older state computes the same Clock.
	Clock        time.Time `json:"clock,omitzero"`
	NotifiedAt   time.Time `json:"notified_at"`            // when the last notification came
	AskedAt      time.Time `json:"asked_at,omitzero"`      // when Alertmanager was last asked
	ConfirmedAt  time.Time `json:"confirmed_at,omitzero"`  // when Alertmanager last responded
	FailingSince time.Time `json:"failing_since,omitzero"` // when it first failed to respond since then; zero: it has not failed
	WaitsUntil   time.Time `json:"waits_until,omitzero"`   // nobody is paged before; see Learn
	SettlesAt    time.Time `json:"settles_at,omitzero"`    // when a flapping page that is over ends
	FlapNotedAt  time.Time `json:"flap_noted_at,omitzero"` // when a text last reported the flapping
	Progress
	RepeatAt time.Time `json:"repeat_at,omitzero"` // when somebody was last paged

	SilencedUntil time.Time   `json:"quiet_till,omitzero"`
	Holder        e164.Number `json:"number,omitempty"` // "" while the page is open
}

// Progress holds how far the escalation has come.
type Progress struct {
	StepsFrom    time.Time     `json:"from"`              // the time that Step.After counts from
	Late         time.Duration `json:"late,omitempty"`    // how far late steps have moved StepsFrom
	Steps        int           `json:"steps"`             // how many steps were taken
	StepAt       time.Time     `json:"step_at"`           // when the last step was taken, or the page opened
	NobodyPaged  bool          `json:"at_once,omitempty"` // the last step named nobody who can be paged
	ReachDecided bool          `json:"judged,omitempty"`  // it is no longer checked whether the last step reached anybody
	PassedBy     string        `json:"passed,omitempty"`  // who wants the next step taken now; "": nobody
}

// ErrUnreadable is the error of Load for a page whose Doc cannot be read. A retry does not help.
var ErrUnreadable = errors.New("its document cannot be read")

// Load decodes a stored page. order ranks its severities. Load clears Events, which then holds only
// the events to add.
func Load(stored outbox.Page, order *templating.SeverityOrder) (*Page, error) {
	p := &Page{Page: stored}
	p.Events = nil
	if err := json.Unmarshal(stored.Doc, &p.Body); err != nil {
		return nil, fmt.Errorf("page %s: %w: %w", stored.ID, ErrUnreadable, err)
	}
	if p.Clock.IsZero() {
		p.Clock = stored.UpdatedAt
	}
	p.began = p.Clock
	p.Notification.Order = order
	p.rebuild(nil)
	return p, nil
}

// Stored returns the page in the form to store.
func (p *Page) Stored() *outbox.Page {
	body := p.Body
	if slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.Live() && a.Whole != nil }) {
		body.Notification.Alerts = nil // Load rebuilds them from Alerts
	}
	p.AlertKeys = nil
	if p.State.Current() {
		for _, a := range p.Live() {
			p.AlertKeys = append(p.AlertKeys, a.base())
		}
	}
	doc, err := json.Marshal(body)
	if err != nil {
		panic(err) // impossible: strings, numbers and times
	}
	p.Doc = doc
	return &p.Page
}

// Note adds an event.
func (p *Page) Note(at time.Time, kind outbox.PageEventType, who, detail string) {
	p.Events = append(p.Events, outbox.PageEvent{At: at, Type: kind, Who: who, Detail: detail})
	p.UpdatedAt = at
	p.Clock = Latest(p.Clock, at)
}

// Held reports whether somebody holds the page.
func (p *Page) Held() bool { return p.State.Current() && p.State != outbox.PageOpen }

// rebuild updates the page's notification from its alerts. n is a new notification, nil if there is
// none.
func (p *Page) rebuild(n *templating.Notification) {
	if n != nil && n.Status == string(model.AlertFiring) {
		p.Notification = templating.MostSevere(*n, maxAlerts)
	}
	state, firing := Firing, 0
	if !slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.State == Firing && a.Whole != nil }) {
		state = Suppressed
	}
	var whole template.Alerts
	for _, a := range p.Alerts {
		if a.State == state {
			firing++
		}
		if a.State == state && a.Whole != nil {
			whole = append(whole, *a.Whole)
		}
	}
	if len(whole) == 0 {
		return
	}
	all := templating.Notification{Data: template.Data{Alerts: whole}}
	most := maxAlerts
	for {
		all = templating.MostSevere(all, most)
		doc, err := json.Marshal(all.Alerts)
		if err != nil || len(doc) <= maxDoc || len(all.Alerts) < 2 {
			break
		}
		most = len(all.Alerts) / 2
	}
	if len(all.Alerts) < len(whole) {
		p.keepWhole(all.Alerts)
	}
	r := &p.Notification
	r.Status, r.MayStillFire = string(model.AlertFiring), false
	r.TruncatedAlerts = p.Truncated() + uint64(firing-len(all.Alerts))
	r.Alerts = all.Alerts
	if n == nil && firing == len(r.Alerts) || n != nil && firing != len(n.Alerts.Firing()) { // not exactly the alerts of one notification
		r.CommonLabels = common(r.CommonLabels, r.Alerts, func(a *template.Alert) template.KV { return a.Labels })
		r.CommonAnnotations = common(r.CommonAnnotations, r.Alerts, func(a *template.Alert) template.KV { return a.Annotations })
	}
	p.Severity = templating.Severity(*r)
}

// keepWhole drops Whole of all alerts but the most severe.
func (p *Page) keepWhole(most template.Alerts) {
	type name struct {
		fingerprint string
		startsAt    time.Time
	}
	keep := make(map[name]bool)
	for _, a := range most {
		keep[name{a.Fingerprint, a.StartsAt}] = true
	}
	for _, a := range p.Alerts {
		if a.Whole != nil && !keep[name{a.Whole.Fingerprint, a.Whole.StartsAt}] {
			a.Whole = nil
		}
	}
}

// common returns the values that all alerts share. It keeps a common value of the payload whose name no
// alert has.
func common(payload template.KV, alerts template.Alerts, of func(*template.Alert) template.KV) template.KV {
	all := template.KV{}
	for name, value := range of(&alerts[0]) {
		if !slices.ContainsFunc(alerts, func(a template.Alert) bool { return of(&a)[name] != value }) {
			all[name] = value
		}
	}
	for name, value := range payload {
		if !slices.ContainsFunc(alerts, func(a template.Alert) bool { _, has := of(&a)[name]; return has }) {
			all[name] = value
		}
	}
	return all
}

// Latest returns the latest of some times.
func Latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// Span returns a duration in at most two units.
func Span(d time.Duration) string { return cmp.Or(templating.Duration(d), "0s") }
