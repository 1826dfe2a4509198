package page

import (
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// Coming is what happens to an open page if nobody acts and nothing changes.
type Coming struct {
	At     time.Time
	Step   Step // the next step of the escalation
	Number int  // the number of Step, from 1; 0: everybody is paged again instead
}

// Coming returns what happens next, and false if nothing does.
func (p *Page) Coming(plan *Plan) (Coming, bool) {
	if plan == nil || !plan.Pages || p.State != outbox.PageOpen || !p.Fires() {
		return Coming{}, false
	}
	at, more := p.next(plan)
	next := Coming{At: at, Number: p.Steps + 1}
	if more {
		next.Step = plan.Steps[p.Steps]
	}
	if again := p.RepeatAt.Add(plan.Repeat); plan.Repeat > 0 && len(p.People) > 0 && (!more || again.Before(at)) {
		next, more = Coming{At: again}, true
	}
	next.At = Latest(next.At, p.WaitsUntil)
	return next, more
}
