// Package page is the life of a page, which its methods move on. It is pure: it knows no store,
// clock, or network. Callers pass the time, store the page, and send its messages.
//
//	         ┌─────────────── undo, reopen ───────────────┐
//	         ▼                                            │
//	Open → open ── acknowledge → acknowledged ── silence → silenced
//	        │ │ step, repeat          │                   │
//	        │ └─┘                     │                   │
//	        └─────────────────────────┴───────────────────┤
//	                                    all resolved ─────┴─→ resolved
//	                                    36 h without news ──→ expired
//
// A page is open while somebody must respond to it. [Page.Next] decides what is due then: the next
// step of the escalation, a repeat, or nothing. A person who acknowledges or silences the page holds
// it. It is reopened if alerts fire that were not there when it was acknowledged, if the silence ends
// while they fire, or if the holder wants no more texts. A final state never changes.
//
// [Page.Merge] joins two states of one page that were reached independently.
package page

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// CurrentFor is how long a page is current after its last notification, and how long a reply
	// can name its code.
	CurrentFor = 36 * time.Hour
	// maxAlerts bounds the alerts that a page keeps whole, and so the silences that one reply can
	// ask for.
	maxAlerts = 20
	// maxDoc bounds what a page keeps of its notification, in bytes.
	maxDoc = 256 << 10
)

// Page is an outbox.Page and what on-call keeps in its Doc. Its methods change both and add events;
// they do not set DueAt, which Schedule does.
type Page struct {
	outbox.Page
	Body
}

// Body is what on-call keeps in the Doc of a page.
type Body struct {
	Notification templating.Notification `json:"notification"`      // the latest that fires, with its most severe alerts
	Firing       []string                `json:"firing"`            // keys of all alerts that fire
	Covered      []string                `json:"covered,omitempty"` // keys of those that the holder has seen
	People       Recipients              `json:"people"`

	NotifiedAt time.Time            `json:"heard_at"`        // when the last notification came
	NewAt      time.Time            `json:"new_at,omitzero"` // when the newest alerts came
	Came       map[string]time.Time `json:"came,omitempty"`  // when the alerts of Notification came, by key
	Progress
	RepeatAt time.Time `json:"repeat_at,omitzero"` // when all were last paged

	SilencedUntil time.Time   `json:"quiet_till,omitzero"`
	Holder        e164.Number `json:"number,omitempty"` // "" while the page is open
}

// Progress is how far the escalation has come.
type Progress struct {
	From        time.Time `json:"from"`              // what the times of the steps count from
	Steps       int       `json:"steps"`             // how many steps were taken
	StepAt      time.Time `json:"step_at"`           // when the last step was taken, or the page opened
	NobodyPaged bool      `json:"at_once,omitempty"` // the last step named nobody who can be paged
	Judged      bool      `json:"judged,omitempty"`  // it is settled whether the last step reached anybody
}

// ErrUnreadable is the error of Load for a page whose Doc cannot be read; another try is useless.
var ErrUnreadable = errors.New("its document cannot be read")

// Load reads a stored page. Its events are left behind: Events are those to add.
func Load(stored outbox.Page) (*Page, error) {
	p := &Page{Page: stored}
	p.Events = nil
	if err := json.Unmarshal(stored.Doc, &p.Body); err != nil {
		return nil, fmt.Errorf("page %s: %w: %w", stored.ID, ErrUnreadable, err)
	}
	return p, nil
}

// Stored returns the page as it is to be stored.
func (p *Page) Stored() *outbox.Page {
	doc, err := json.Marshal(p.Body)
	if err != nil {
		panic(err) // of strings, numbers and times
	}
	p.Doc = doc
	return &p.Page
}

// Note adds an event.
func (p *Page) Note(at time.Time, kind outbox.PageEventType, who, detail string) {
	p.Events = append(p.Events, outbox.PageEvent{At: at, Type: kind, Who: who, Detail: detail})
	p.UpdatedAt = at
}

// Held reports whether somebody holds the page.
func (p *Page) Held() bool { return p.State.Current() && p.State != outbox.PageOpen }

// keys returns the keys of the alerts that fire: an old alert that fires anew has another one.
func keys(n *templating.Notification) []string {
	var all []string
	for i, a := range n.Alerts {
		if a.Status == string(model.AlertFiring) || n.MayStillFire {
			all = append(all, keyOf(n, i))
		}
	}
	slices.Sort(all)
	return all
}

func keyOf(n *templating.Notification, i int) string {
	return fmt.Sprintf("%s@%d", n.Alerts[i].Fingerprint, n.Alerts[i].StartsAt.UnixMilli())
}

// Latest returns the later of two times.
func Latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Span returns a length of time in two units.
func Span(d time.Duration) string { return cmp.Or(templating.Duration(d), "0s") }
