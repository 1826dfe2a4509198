package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// Alertmanager is asked about a page askFirst after the page's last notification, and then less and
	// less often: after a quarter of the time since that notification, at least every askLast. While
	// all alerts of the page are suppressed, it is asked every askFirst.
	askFirst = time.Minute
	askLast  = 30 * time.Minute
	// askAgain is how long after a question without a response Alertmanager is first asked again. Later it
	// is asked after a quarter of the time without a response.
	askAgain = 15 * time.Second
)

// lateStep is how late a step must be to postpone the later ones: smspager must have been down.
const lateStep = time.Minute

// Plan is a receiver's configuration of its pages.
type Plan struct {
	Pages     bool          // whether the receiver still has pages
	Asks      bool          // whether Alertmanager can be asked about the alerts
	Steps     []Step        // the steps of the escalation
	NoReceipt time.Duration // how long the receipts of a step may be missing; 0: for ever
	Repeat    time.Duration // how often everybody is paged again; 0: never
}

// Step is a step of an escalation.
type Step struct {
	After time.Duration // since the page opened
	To    []string      // contacts, numbers in E.164, and rotas as rota:NAME
}

// Facts holds what Next needs in addition to the page.
type Facts struct {
	Plan       *Plan   // nil: the receiver is not configured
	HolderLeft string  // why the holder cannot be paged any more; "": the holder can
	Reached    []Reach // how far the messages of the last step have got
}

// Kind is the kind of an Action.
type Kind string

// The kinds of actions.
const (
	Wait     Kind = "wait"     // nothing is due before DueAt
	Expire   Kind = "expire"   // the page is over: it has had no news for too long, or its receiver has no pages
	HandBack Kind = "handback" // the page is reopened, because its holder cannot be paged any more
	Escalate Kind = "escalate" // the next step is taken
	Repeat   Kind = "repeat"   // everybody is paged again
	Ask      Kind = "ask"      // Alertmanager is asked about the alerts
	Settle   Kind = "settle"   // the page ends: it flapped, and its alerts have been over for a while
	Judge    Kind = "judge"    // it is decided whether the last step reached anybody, and not checked again
)

// Action is what is due for a page.
type Action struct {
	Kind      Kind
	Why       string // the reason: for the people who are paged, or for the page's history if nobody is
	Unreached string // why the last step reached nobody; "" if it may have reached somebody
}

// Asks reports whether Alertmanager must be asked before the action, which pages people, or is the
// question itself.
func (a Action) Asks() bool {
	switch a.Kind {
	case Ask, Escalate, Repeat, HandBack:
		return true
	}
	return false
}

// Next returns what is due for a current page.
func (p *Page) Next(f Facts, now time.Time) Action {
	switch {
	case !now.Before(p.expires()):
		return Action{Kind: Expire, Why: "no notification came for " + Span(CurrentFor)}
	case f.Plan != nil && !f.Plan.Pages:
		return Action{Kind: Expire, Why: "its receiver no longer has pages"}
	case !p.SettlesAt.IsZero() && !now.Before(p.SettlesAt) && p.Over():
		return Action{Kind: Settle, Why: "it has not fired again for " + Span(now.Sub(p.NotifiedAt))}
	case p.Asks(f.Plan) && p.SettlesAt.IsZero() && !now.Before(p.asks()):
		return Action{Kind: Ask}
	case p.State == outbox.PageAcknowledged && f.Plan != nil && f.HolderLeft != "":
		return Action{Kind: HandBack, Why: f.HolderLeft}
	case p.State != outbox.PageOpen || f.Plan == nil || !p.Fires() || now.Before(p.WaitsUntil):
		return Action{Kind: Wait}
	}
	at, more := p.next(f.Plan)
	due := more && !now.Before(at)
	impatient := f.Plan.NoReceipt > 0 && !p.ReachDecided && now.Sub(p.StepAt) >= f.Plan.NoReceipt
	unreached := all(f.Reached, func(r Reach) bool { return r.Lost || impatient && !r.Arrived })
	paged := p.People.of(p.Steps)
	switch {
	case more && p.PassedBy != "":
		return Action{Kind: Escalate, Why: p.PassedBy + " passed it on"}
	case due && all(f.Reached, func(r Reach) bool { return r.Lost || !r.Sent }) != "":
		return Action{Kind: Escalate, Why: paged.after("Not reached:")}
	case due:
		return Action{Kind: Escalate, Why: paged.after("No answer from")}
	case more && unreached != "":
		return Action{Kind: Escalate, Why: paged.after("Not reached:"), Unreached: unreached}
	case f.Plan.Repeat > 0 && len(p.People) > 0 && now.Sub(p.RepeatAt) >= f.Plan.Repeat:
		return Action{Kind: Repeat}
	case !p.ReachDecided && (unreached != "" || impatient):
		return Action{Kind: Judge, Unreached: unreached}
	}
	return Action{Kind: Wait}
}

// When returns the time to record for an action in the history of the page: when it was due, but after
// the Clock. If the action is repeated from the same state, after a crash or by another replica, the time
// is the same.
func (p *Page) When(a Action, plan *Plan) time.Time {
	var due time.Time
	switch a.Kind {
	case Escalate:
		if a.Unreached == "" && p.PassedBy == "" && !p.NobodyPaged && len(p.People) > 0 { // otherwise it has no due time
			due = p.StepsFrom.Add(plan.Steps[p.Steps].After - p.Late)
		}
	case Repeat:
		due = p.RepeatAt.Add(plan.Repeat)
	case Settle:
		due = p.SettlesAt
	case Ask:
		due = p.asks()
	}
	return p.After(due)
}

// After returns a time, moved if necessary to be later than the Clock of the page as loaded.
func (p *Page) After(at time.Time) time.Time {
	return Latest(p.began.Truncate(time.Millisecond).Add(time.Millisecond), at)
}

// Origin returns a name for the state in which the page was loaded.
func (p *Page) Origin() string { return p.ID + " " + p.began.UTC().Format(time.RFC3339Nano) }

// SetClock sets the Clock to the time of an action, see When, or back to its loaded value if nothing was sent.
func (p *Page) SetClock(at time.Time, sent bool) {
	if p.Clock = p.began; sent {
		p.Clock = at
	}
}

// Do changes the page as an action of Next requires. The action pages people.
func (p *Page) Do(a Action, plan *Plan, people []outbox.Person, now time.Time) {
	switch a.Kind {
	case Expire:
		p.end(outbox.PageExpired, outbox.PageEventExpired, now, a.Why)
	case HandBack:
		p.Reopen(people, now, a.Why)
	case Escalate:
		p.escalate(a, plan, people, now)
	case Settle:
		p.End(now, a.Why)
	case Repeat:
		p.RepeatAt = now
		p.Note(now, outbox.PageEventRepeated, "", "nobody has acknowledged it")
	case Judge:
		p.ReachDecided = true
		if a.Unreached != "" {
			p.Note(now, outbox.PageEventUnreached, "", a.Unreached+"; there is nobody else to page")
		}
	}
}

func (p *Page) escalate(a Action, plan *Plan, people []outbox.Person, now time.Time) {
	if a.Unreached != "" {
		p.Note(now, outbox.PageEventUnreached, "", a.Unreached)
	}
	step := plan.Steps[p.Steps]
	if due := p.StepsFrom.Add(step.After); now.Sub(due) > lateStep { // later steps keep their distance
		from := now.Add(-step.After)
		p.StepsFrom, p.Late = from, p.Late+from.Sub(p.StepsFrom)
	}
	p.Steps++
	p.StepAt, p.ReachDecided, p.NobodyPaged, p.PassedBy = now, false, len(people) == 0, ""
	p.Note(now, outbox.PageEventEscalated, "", fmt.Sprintf("step %d of %d: %s", p.Steps, len(plan.Steps), strings.Join(step.To, ", ")))
	if p.NobodyPaged {
		p.Note(now, outbox.PageEventUnreached, "", "the step has nobody to page")
	}
	p.paged(now, p.Steps, people)
}

// expires returns when the page is over if no notification comes. None is expected while it is silenced.
func (p *Page) expires() time.Time {
	return Latest(p.NotifiedAt, p.ConfirmedAt, p.SilencedUntil).Add(CurrentFor)
}

// Asks reports whether the page depends on what Alertmanager responds: it can be asked, or it suppressed
// alerts when it could be. See NoResponse for the latter.
func (p *Page) Asks(plan *Plan) bool {
	return plan != nil && (plan.Asks || p.CutHeld || slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.State == Suppressed }))
}

// asks returns when Alertmanager is asked next, unless an action asks it earlier. Notifications do not
// report everything that happens to alerts.
func (p *Page) asks() time.Time {
	last := Latest(p.NotifiedAt, p.AskedAt)
	at := last.Add(askFirst)
	if p.Fires() && !slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.FiresSilently(last) }) {
		at = last.Add(min(max(askFirst, last.Sub(p.NotifiedAt)/4), askLast))
	}
	if again := p.AskedAt.Add(max(askAgain, p.AskedAt.Sub(p.FailingSince)/4)); !p.FailingSince.IsZero() && again.Before(at) {
		at = again
	}
	for _, a := range p.Alerts {
		if a.State == Suppressed && a.Until.After(last) && a.Until.Before(at) {
			at = a.Until
		}
	}
	if p.State == outbox.PageSilenced { // the end of the silence asks
		at = Latest(at, p.SilencedUntil.Add(askFirst))
	}
	if p.WaitsUntil.After(last) && p.WaitsUntil.Before(at) {
		at = p.WaitsUntil
	}
	return at
}

// Schedule sets DueAt to the time to call Next again.
func (p *Page) Schedule(plan *Plan) {
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
	if !p.SettlesAt.IsZero() {
		earlier(p.SettlesAt)
	} else if p.Asks(plan) {
		earlier(p.asks())
	}
	if p.State == outbox.PageOpen && plan != nil && p.Fires() && !p.WaitsUntil.After(p.AskedAt) {
		if at, more := p.next(plan); more {
			earlier(at)
			if plan.NoReceipt > 0 && !p.ReachDecided {
				earlier(p.StepAt.Add(plan.NoReceipt))
			}
		}
		if plan.Repeat > 0 && len(p.People) > 0 {
			earlier(p.RepeatAt.Add(plan.Repeat))
		}
	}
	p.DueAt = due.Add(time.Millisecond - 1).Truncate(time.Millisecond) // rounded up to milliseconds, as it is stored
}

// next returns when the next step is due, and false if there is none. The step is due immediately if
// nobody could be paged by the previous one, or if somebody has passed the page on.
func (p *Page) next(plan *Plan) (at time.Time, more bool) {
	switch {
	case p.Steps >= len(plan.Steps):
		return time.Time{}, false
	case len(p.People) == 0 || p.NobodyPaged || p.PassedBy != "":
		return p.StepAt, true
	}
	return p.StepsFrom.Add(plan.Steps[p.Steps].After), true
}
