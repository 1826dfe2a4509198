package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// askFirst is how long after the last notification Alertmanager is first asked, and how often
	// while it holds back all alerts of the page. The longer a page has no news, the less often it is
	// asked: after a quarter of the time since, at least every askLast.
	askFirst = time.Minute
	askLast  = 30 * time.Minute
	// askAgain is how long after a question without a response it is first asked again; later after a
	// quarter of the time that it has not responded.
	askAgain = 15 * time.Second
)

// lateStep is how late a step must be for smspager to have been down.
const lateStep = time.Minute

// Plan is what a receiver wants for its pages.
type Plan struct {
	Pages     bool          // false: the receiver has no pages any more
	Asks      bool          // Alertmanager can be asked what it knows of the alerts
	Steps     []Step        // of the escalation
	NoReceipt time.Duration // how long the receipts of a step may be missing; 0: for ever
	Repeat    time.Duration // how often all are paged again; 0: never
}

// Step is one of an escalation.
type Step struct {
	After time.Duration // since the page opened
	To    []string      // recipients, as configured
}

// Facts hold what Next must know and the page does not.
type Facts struct {
	Plan       *Plan   // nil: the receiver is not configured
	HolderLeft string  // why the holder cannot be paged any more; "": the holder can
	Reached    []Reach // how far the messages of the last step got
}

// Kind is the kind of an Action.
type Kind string

// The kinds of actions.
const (
	Wait     Kind = "wait"     // nothing is due before DueAt
	Expire   Kind = "expire"   // the page is over
	HandBack Kind = "handback" // the page is reopened, as its holder wants no more texts
	Escalate Kind = "escalate" // the next step is taken
	Repeat   Kind = "repeat"   // all are paged again
	Ask      Kind = "ask"      // Alertmanager is to be asked what it knows of the alerts
	Settle   Kind = "settle"   // the page is over: it flapped, and has been over for a while
	Judge    Kind = "judge"    // it is settled whether the last step reached anybody
)

// Action is what is due for a page.
type Action struct {
	Kind      Kind
	Why       string // for the page's history if it expires, otherwise for those who are paged
	Unreached string // why the last step reached nobody; "" if it may have reached somebody
}

// Asks reports whether Alertmanager is to be asked before the action, because it pages people.
func (a Action) Asks() bool {
	switch a.Kind {
	case Ask, Escalate, Repeat, HandBack:
		return true
	}
	return false
}

// Next returns what is due for a page that is current.
func (p *Page) Next(f Facts, now time.Time) Action {
	switch {
	case !now.Before(p.expires()):
		return Action{Kind: Expire, Why: "no notification came for " + Span(CurrentFor)}
	case f.Plan != nil && !f.Plan.Pages:
		return Action{Kind: Expire, Why: "its receiver has no pages any more"}
	case !p.SettlesAt.IsZero() && !now.Before(p.SettlesAt) && p.Over():
		return Action{Kind: Settle, Why: "it has not fired again for " + Span(now.Sub(p.NotifiedAt))}
	case f.Plan != nil && f.Plan.Asks && p.SettlesAt.IsZero() && !now.Before(p.asks()):
		return Action{Kind: Ask}
	case p.State == outbox.PageAcknowledged && f.Plan != nil && f.HolderLeft != "":
		return Action{Kind: HandBack, Why: f.HolderLeft}
	case p.State != outbox.PageOpen || f.Plan == nil || !p.Fires() || now.Before(p.WaitsUntil):
		return Action{Kind: Wait}
	}
	at, more := p.next(f.Plan, len(p.People) == 0)
	due := more && !now.Before(at)
	impatient := f.Plan.NoReceipt > 0 && !p.Judged && now.Sub(p.StepAt) >= f.Plan.NoReceipt
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
	case !p.Judged && (unreached != "" || impatient):
		return Action{Kind: Judge, Unreached: unreached}
	}
	return Action{Kind: Wait}
}

// When is the time of what an action does in the history of the page: when it was due, but after the
// Clock. If the action is taken again from the same state, after a crash or by another process, the
// time is the same.
func (p *Page) When(a Action, plan *Plan) time.Time {
	var due time.Time
	switch a.Kind {
	case Escalate:
		if a.Unreached == "" && p.PassedBy == "" && !p.NobodyPaged && len(p.People) > 0 { // otherwise it did not wait for a time
			due = p.From.Add(plan.Steps[p.Steps].After - p.Late)
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

// After is a time, but later than all that the page knew when it was loaded.
func (p *Page) After(at time.Time) time.Time {
	return Latest(p.began.Truncate(time.Millisecond).Add(time.Millisecond), at)
}

// Origin names the state in which the page was loaded.
func (p *Page) Origin() string { return p.ID + " " + p.began.UTC().Format(time.RFC3339Nano) }

// Did sets the Clock to the time of what was done, see When, or back to what it was if nothing was sent.
func (p *Page) Did(at time.Time, sent bool) {
	if p.Clock = p.began; sent {
		p.Clock = at
	}
}

// Do carries out an action of Next, which pages people.
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
		p.Judged = true
		if a.Unreached != "" {
			p.Note(now, outbox.PageEventUnreached, "", a.Unreached+"; nobody else is to be paged")
		}
	}
}

func (p *Page) escalate(a Action, plan *Plan, people []outbox.Person, now time.Time) {
	if a.Unreached != "" {
		p.Note(now, outbox.PageEventUnreached, "", a.Unreached)
	}
	step := plan.Steps[p.Steps]
	if due := p.From.Add(step.After); now.Sub(due) > lateStep { // later steps keep their distance
		from := now.Add(-step.After)
		p.From, p.Late = from, p.Late+from.Sub(p.From)
	}
	p.Steps++
	p.StepAt, p.Judged, p.NobodyPaged, p.PassedBy = now, false, len(people) == 0, ""
	p.Note(now, outbox.PageEventEscalated, "", fmt.Sprintf("step %d of %d: %s", p.Steps, len(plan.Steps), strings.Join(step.To, ", ")))
	if p.NobodyPaged {
		p.Note(now, outbox.PageEventUnreached, "", "the step names nobody who can be paged")
	}
	p.paged(now, p.Steps, people)
}

// expires returns when the page is over if no notification comes. None comes while it is silenced.
func (p *Page) expires() time.Time {
	return Latest(Latest(p.NotifiedAt, p.ConfirmedAt), p.SilencedUntil).Add(CurrentFor)
}

// asks returns when Alertmanager is asked next, if nothing else leads to that. It does not notify of
// all that happens to alerts.
func (p *Page) asks() time.Time {
	last := Latest(p.NotifiedAt, p.AskedAt)
	at := last.Add(askFirst)
	if p.Fires() && !slices.ContainsFunc(p.Alerts, func(a *Alert) bool { return a.swallowed(last) }) {
		at = last.Add(min(max(askFirst, last.Sub(p.NotifiedAt)/4), askLast))
	}
	if again := p.AskedAt.Add(max(askAgain, p.AskedAt.Sub(p.UnheardAt)/4)); !p.UnheardAt.IsZero() && again.Before(at) {
		at = again
	}
	for _, a := range p.Alerts {
		if a.State == Suppressed && a.Until.After(last) && a.Until.Before(at) {
			at = a.Until
		}
	}
	if p.State == outbox.PageSilenced { // its end asks
		at = Latest(at, p.SilencedUntil.Add(askFirst))
	}
	if p.WaitsUntil.After(last) && p.WaitsUntil.Before(at) {
		at = p.WaitsUntil
	}
	return at
}

// Schedule sets DueAt: when Next must be asked again.
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
	} else if plan != nil && plan.Asks {
		earlier(p.asks())
	}
	if p.State == outbox.PageOpen && plan != nil && p.Fires() && !p.WaitsUntil.After(p.AskedAt) {
		if at, more := p.next(plan, len(p.People) == 0); more {
			earlier(at)
			if plan.NoReceipt > 0 && !p.Judged {
				earlier(p.StepAt.Add(plan.NoReceipt))
			}
		}
		if plan.Repeat > 0 && len(p.People) > 0 {
			earlier(p.RepeatAt.Add(plan.Repeat))
		}
	}
	p.DueAt = due.Add(time.Millisecond - 1).Truncate(time.Millisecond) // as it is stored, and no earlier
}

// next returns when the next step is due: immediately if nobody could be paged by the previous one.
func (p *Progress) next(plan *Plan, nobody bool) (at time.Time, more bool) {
	switch {
	case p.Steps >= len(plan.Steps):
		return time.Time{}, false
	case nobody || p.NobodyPaged || p.PassedBy != "":
		return p.StepAt, true
	}
	return p.From.Add(plan.Steps[p.Steps].After), true
}
