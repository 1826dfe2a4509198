package oncall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// pageFor is how long a page is current after the last notification of it, and
	// so how long its code can be answered.
	pageFor = 36 * time.Hour
	// maxAlerts bounds the alerts that a page keeps whole, and so the silences that
	// one reply can ask for.
	maxAlerts = 20
	// maxDoc bounds, in bytes, what a page keeps of its notification.
	maxDoc = 256 << 10
)

// page is an outbox.Page and what on-call keeps in its Doc. Its methods change
// both, note what they did as events, and leave storing to the caller.
type page struct {
	outbox.Page
	body
}

// body is on-call's own part of a page.
type body struct {
	// Notification is the latest that fires, with the severest of its alerts.
	Notification templating.Notification `json:"notification"`
	Firing       []string                `json:"firing"`            // keys of all alerts that fire
	Covered      []string                `json:"covered,omitempty"` // of those that did when it was answered
	People       []paged                 `json:"people"`            // in the order in which they were paged

	HeardAt  time.Time `json:"heard_at"`           // when the last notification came
	From     time.Time `json:"from"`               // what the steps of the escalation count from
	Steps    int       `json:"steps"`              // so many were taken
	StepAt   time.Time `json:"step_at"`            // when the last was, or the page opened
	AtOnce   bool      `json:"at_once,omitempty"`  // the last named nobody who can be paged
	Judged   bool      `json:"judged,omitempty"`   // whether the last reached anybody is settled
	RepeatAt time.Time `json:"repeat_at,omitzero"` // when all were last paged

	QuietTill time.Time `json:"quiet_till,omitzero"` // when the silence ends
	Number    string    `json:"number,omitempty"`    // of who answered
}

// paged is somebody who was sent the page.
type paged struct {
	Name   string      `json:"name,omitempty"`
	Number e164.Number `json:"number"`
	Step   int         `json:"step"` // 0: when it opened, then of the escalation
}

func (p paged) person() outbox.Person { return outbox.Person{Name: p.Name, Number: p.Number} }

var errUnreadable = errors.New("what is kept of it cannot be read")

// load reads a stored page. Events are those to be added.
func load(stored outbox.Page) (*page, error) {
	p := &page{Page: stored}
	p.Events = nil
	if err := json.Unmarshal(stored.Doc, &p.body); err != nil {
		return nil, fmt.Errorf("page %s: %w: %w", stored.ID, errUnreadable, err)
	}
	return p, nil
}

// stored is the page as it is to be stored.
func (p *page) stored() *outbox.Page {
	doc, err := json.Marshal(p.body)
	if err != nil {
		panic(err) // of strings, numbers and times
	}
	p.Doc = doc
	return &p.Page
}

func (p *page) note(at time.Time, kind outbox.PageEventType, who, detail string) {
	p.Events = append(p.Events, outbox.PageEvent{At: at, Type: kind, Who: who, Detail: detail})
	p.UpdatedAt = at
}

// alertKeys tells alerts apart: a new firing of an old alert is another one.
func alertKeys(n *templating.Notification) []string {
	var keys []string
	for _, a := range n.Alerts {
		if a.Status == string(model.AlertFiring) || n.MayStillFire {
			keys = append(keys, fmt.Sprintf("%s@%d", a.Fingerprint, a.StartsAt.UnixMilli()))
		}
	}
	slices.Sort(keys)
	return keys
}

// open makes a page of a notification that fires, for people.
func open(id, code, receiver string, n *templating.Notification, people []outbox.Person, at time.Time) *page {
	p := &page{Page: outbox.Page{ID: id, Receiver: receiver, GroupKey: n.GroupKey, Code: code, State: outbox.PageOpen, OpenedAt: at}}
	p.heard(n, at)
	p.note(at, outbox.PageEventOpened, "", n.NotificationReason)
	p.begin(people, at)
	return p
}

// reopen makes an answered page one that somebody is to answer, told to people.
func (p *page) reopen(people []outbox.Person, at time.Time, why string) {
	p.People = nil
	p.note(at, outbox.PageEventReopened, "", why)
	p.begin(people, at)
}

// begin pages people, and lets the escalation begin: when the first of them is
// told, as some may have quiet hours.
func (p *page) begin(people []outbox.Person, at time.Time) {
	p.told(at, 0, outbox.PageEventPaged, people)
	p.restart(firstTold(people, at))
}

// firstTold is when the first of people who are paged at a time is told.
func firstTold(people []outbox.Person, at time.Time) time.Time {
	var first time.Time
	for _, person := range people {
		if told := latest(at, person.NotBefore); first.IsZero() || told.Before(first) {
			first = told
		}
	}
	return latest(at, first)
}

// restart makes the page open, with the steps of the escalation still to be taken.
func (p *page) restart(at time.Time) {
	p.From, p.StepAt, p.RepeatAt, p.Steps, p.AtOnce, p.Judged = at, at, at, 0, false, false
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Number, p.Covered, p.QuietTill = outbox.PageOpen, time.Time{}, "", "", nil, time.Time{}
}

// heard keeps what a notification that fires tells.
func (p *page) heard(n *templating.Notification, at time.Time) {
	p.HeardAt, p.Firing = at, alertKeys(n)
	p.Severity = templating.Severity(*n)
	p.Notification = templating.Severest(*n, maxAlerts)
	for {
		doc, err := json.Marshal(p.Notification)
		if err != nil || len(doc) <= maxDoc || len(p.Notification.Alerts) < 2 {
			return
		}
		p.Notification = templating.Severest(p.Notification, len(p.Notification.Alerts)/2)
	}
}

// told notes that people were paged.
func (p *page) told(at time.Time, step int, kind outbox.PageEventType, people []outbox.Person) {
	for _, person := range people {
		p.note(at, kind, person.String(), waits(person))
		if !slices.ContainsFunc(p.People, func(other paged) bool { return other.Number == person.Number && other.Step == step }) {
			p.People = append(p.People, paged{Name: person.Name, Number: person.Number, Step: step})
		}
	}
	p.RepeatAt = at
}

func waits(p outbox.Person) string {
	if p.NotBefore.IsZero() {
		return ""
	}
	return "after the quiet hours, at " + p.NotBefore.Format("15:04 MST")
}

// numbers are those of everybody who was paged, each once.
func (p *page) numbers() []e164.Number {
	var all []e164.Number
	for _, person := range p.People {
		if !slices.Contains(all, person.Number) {
			all = append(all, person.Number)
		}
	}
	return all
}

// ofStep are those who were paged by a step.
func (p *page) ofStep(step int) (people []paged) {
	for _, person := range p.People {
		if person.Step == step {
			people = append(people, person)
		}
	}
	return people
}

// names is who was paged last, for those who are paged next.
func (p *page) names(step int) string {
	var all []string
	for _, person := range p.ofStep(step) {
		all = append(all, person.person().String())
	}
	const most = 2
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("+%d", len(all)-most))
	}
	return strings.Join(all, ", ")
}

// covers reports whether what fires is what was answered.
func (p *page) covers(n *templating.Notification) bool {
	for _, key := range alertKeys(n) {
		if _, known := slices.BinarySearch(p.Covered, key); !known {
			return false
		}
	}
	return true
}

// acknowledge stops the escalation.
func (p *page) acknowledge(by outbox.Person, at time.Time, detail string) {
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.Number = outbox.PageAcknowledged, at, by.String(), string(by.Number)
	p.Covered = p.Firing
	p.note(at, outbox.PageEventAcknowledged, by.String(), detail)
}

// undo takes the answer back: the page is open again, and goes on where it was, as
// if its last step had been taken now.
func (p *page) undo(r *config.Receiver, by outbox.Person, at time.Time) {
	steps := p.Steps
	p.restart(at)
	p.Steps, p.Judged = steps, true
	if steps > 0 && r != nil && steps <= len(r.Escalate) {
		p.From = at.Add(-r.Escalate[steps-1].After)
	}
	p.note(at, outbox.PageEventUndone, by.String(), "")
}

// end brings the page to a final state.
func (p *page) end(state outbox.PageState, kind outbox.PageEventType, at time.Time, detail string) {
	p.State = state
	p.DueAt = time.Time{}
	p.note(at, kind, "", detail)
}

// expires is when the page is over if nothing more is heard of it. While it is
// silenced nothing is.
func (p *page) expires() time.Time { return latest(p.HeardAt, p.QuietTill).Add(pageFor) }

// schedule sets when the page is to be looked at again.
func (p *page) schedule(r *config.Receiver) {
	if !p.State.Current() {
		p.DueAt = time.Time{}
		return
	}
	due := p.expires()
	earlier := func(at time.Time) {
		if at.Before(due) {
			due = at
		}
	}
	if p.State == outbox.PageOpen && r != nil {
		if at, ok := p.nextStep(r); ok {
			earlier(at)
			if r.NoReceipt > 0 && !p.Judged {
				earlier(p.StepAt.Add(r.NoReceipt))
			}
		}
		if r.Repeat > 0 && len(p.People) > 0 {
			earlier(p.RepeatAt.Add(r.Repeat))
		}
	}
	p.DueAt = due.Add(time.Millisecond - 1).Truncate(time.Millisecond) // as it is stored, and no sooner
}

// nextStep is when the next step of the escalation is to be taken: at once where
// nobody could be paged by the one before it.
func (p *page) nextStep(r *config.Receiver) (time.Time, bool) {
	if p.Steps >= len(r.Escalate) {
		return time.Time{}, false
	}
	if len(p.People) == 0 || p.AtOnce {
		return p.StepAt, true
	}
	return p.From.Add(r.Escalate[p.Steps].After), true
}

// Needless says why a message that has waited need not be sent any more, "" if it must:
// its recipient wants no more texts, or somebody has the page that it tells of.
func (o *OnCall) Needless(ctx context.Context, m outbox.Message) string {
	switch {
	case people.AskedFor(&m):
		return ""
	case o.people.Stopped(m.To):
		return "its recipient wants no more texts"
	case m.PageID == "":
		return ""
	}
	p, err := o.newest(ctx, m.PageID)
	ended := p.UpdatedAt
	for _, e := range p.Events {
		if e.Type == outbox.PageEventResolved || e.Type == outbox.PageEventExpired {
			ended = e.At
		}
	}
	switch {
	case err != nil: // rather once too often
	case !p.State.Current() && m.CreatedAt.Before(ended):
		return "the page is " + string(p.State)
	case p.State.Current() && p.State != outbox.PageOpen && m.CreatedAt.Before(p.AcknowledgedAt):
		return p.AcknowledgedBy + " has the page"
	}
	return ""
}
