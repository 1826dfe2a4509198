package page

import (
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// Reach holds how far the messages of a page's last step to one recipient have got.
type Reach struct {
	Who     string
	Detail  string // why they are lost, or what is missing
	Sent    bool   // the provider has accepted a message
	Arrived bool   // a message was delivered
	Lost    bool   // no message will arrive, or the recipient wants no more texts
}

// OfLastStep reports whether a message of the page was sent by its last step or later, to a recipient
// of that step.
func (p *Page) OfLastStep(m *outbox.Message) bool {
	return slices.ContainsFunc(p.People.of(p.Steps), func(person Paged) bool { return person.Number == m.To }) &&
		!m.Earliest().Before(p.StepAt.Truncate(time.Millisecond))
}

// Reached returns how far the messages to each recipient of the last step have got. ms are the messages
// OfLastStep, newest first, with the successors of superseded ones in their place. A recipient without
// messages counts as reached: they are not known yet.
func (p *Page) Reached(ms []outbox.Message, stopped func(e164.Number) bool) []Reach {
	var reached []Reach
	for _, person := range p.People.of(p.Steps) {
		r := Reach{Who: person.String(), Sent: true, Arrived: true}
		if stopped(person.Number) {
			r = Reach{Who: r.Who, Lost: true, Detail: "wants no more texts"}
		} else {
			r.count(person.Number, ms)
		}
		reached = append(reached, r)
	}
	return reached
}

// count sets how far the messages to a number have got. One that arrives is enough.
func (r *Reach) count(number e164.Number, ms []outbox.Message) {
	known := false
	for _, m := range ms {
		if m.To != number {
			continue
		}
		if !known {
			known = true
			r.Sent, r.Arrived, r.Lost, r.Detail = false, false, true, string(m.State)
			if len(m.Events) > 0 {
				r.Detail += " (" + m.LastDetail() + ")"
			}
		}
		if !m.State.Undelivered() {
			r.Lost, r.Detail = false, "no receipt"
		}
		r.Sent = r.Sent || m.State != outbox.Queued && m.State != outbox.Sending && !m.State.Undelivered()
		r.Arrived = r.Arrived || m.State == outbox.Delivered
	}
}

// all joins the details of all recipients. It returns "" if a recipient does not match.
func all(reached []Reach, match func(Reach) bool) string {
	var parts []string
	for _, r := range reached {
		if !match(r) {
			return ""
		}
		parts = append(parts, r.Who+": "+r.Detail)
	}
	return strings.Join(parts, "; ")
}
