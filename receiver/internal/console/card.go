package console

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// summaryShown is how many characters of a summary a card shows.
const summaryShown = 200

// card is a page in the list of open pages.
type card struct {
	*Frame
	Code     string
	Version  int
	Name     string // the name of the alert
	Where    string
	Summary  string
	Severity severity
	Opened   when
	State    outbox.PageState
	Holder   string
	Held     when
	Until    when // the end of the silence
	Paged    []string
	Next     string // who is paged next; "" if nobody is
	NextAt   when
	Waits    string  // why nobody is paged; "" if somebody will be
	Mine     bool    // the reader was paged
	Seen     int64   // when it last changed, in ms
	Result   *result // of the reader's action on it
}

// read returns a page with on-call's document. It leaves out a document that cannot be read.
func read(stored outbox.Page) *page.Page {
	p := &page.Page{Page: stored}
	if err := json.Unmarshal(stored.Doc, &p.Body); err != nil {
		p.Body = page.Body{}
	}
	return p
}

// card returns the card of a page.
func (c *Console) card(f *Frame, stored outbox.Page) card {
	p := read(stored)
	k := card{
		Frame: f, Code: p.Code, Version: p.Version, Seen: p.UpdatedAt.UnixMilli(), Severity: f.severityOf(c.order(), p.Severity), Opened: f.when(p.OpenedAt),
		State: p.State, Holder: p.AcknowledgedBy, Held: f.when(p.AcknowledgedAt), Until: f.when(p.SilencedUntil), Summary: f.Shown(begin(summary(p), summaryShown)),
	}
	k.Name, k.Where = f.title(p)
	for _, person := range p.People {
		if !slices.Contains(k.Paged, person.String()) {
			k.Paged = append(k.Paged, person.String())
		}
	}
	k.Mine = f.Caller.Contact != "" && slices.Contains(k.Paged, f.Caller.Contact)
	k.Next, k.NextAt, k.Waits = c.coming(f, p)
	return k
}

// coming returns who is paged next and when, or why nobody is.
func (c *Console) coming(f *Frame, p *page.Page) (next string, at when, waits string) {
	if p.State != outbox.PageOpen {
		return "", when{}, ""
	}
	plan := c.o.OnCall.Plan(p.Receiver)
	switch {
	case !p.Fires():
		return "", when{}, "Nobody is paged while Alertmanager holds back all of its alerts."
	case plan == nil:
		return "", when{}, "Receiver " + p.Receiver + " is no longer configured, so nobody else is paged."
	}
	coming, more := p.Coming(plan)
	coming.At = page.Latest(coming.At, f.now) // if the step is overdue
	switch {
	case !more && len(plan.Steps) > 0:
		return "", when{}, "All steps were taken: nobody else is paged."
	case !more:
		return "", when{}, "Nobody else is paged: receiver " + p.Receiver + " has no escalation."
	case coming.Number == 0:
		return "everybody again", f.when(coming.At), ""
	}
	return f.Shown(list(c.names(coming.Step.To, coming.At))), f.when(coming.At), ""
}

// names returns the names of configured recipients. For a rota, it returns the contacts on duty at the time.
func (c *Console) names(to []string, at time.Time) []string {
	var all []string
	for _, name := range to {
		rota, ok := strings.CutPrefix(name, config.RotaPrefix)
		if !ok {
			all = append(all, name)
			continue
		}
		on := c.o.People.Roster().Now(rota, at).Contacts
		if len(on) == 0 {
			all = append(all, "nobody on "+rota)
		}
		for _, contact := range on {
			if !slices.Contains(all, contact) {
				all = append(all, contact)
			}
		}
	}
	return all
}

// alerts returns the alerts of a page whose details are kept, the most severe first.
func alerts(p *page.Page) template.Alerts {
	if len(p.Notification.Alerts) > 0 {
		return p.Notification.Alerts
	}
	var all template.Alerts
	for _, a := range p.Alerts {
		if a.Whole != nil {
			all = append(all, *a.Whole)
		}
	}
	return all
}

// title returns what fires and where, as the reader may see it.
func (f *Frame) title(p *page.Page) (name, where string) {
	name, where = title(p)
	return f.Shown(name), f.Shown(where)
}

// title returns what fires and where.
func title(p *page.Page) (name, where string) {
	labels := p.Notification.CommonLabels
	if name = labels["alertname"]; name == "" {
		for _, a := range alerts(p) {
			name = a.Labels["alertname"]
			break
		}
	}
	if name == "" {
		return p.Headline, ""
	}
	for _, label := range []string{"cluster", "env", "environment", "service", "job", "instance"} {
		if where = labels[label]; where != "" {
			return name, where
		}
	}
	return name, ""
}

// summary returns the summary in the alerts' annotations.
func summary(p *page.Page) string {
	annotations := []template.KV{p.Notification.CommonAnnotations}
	for _, a := range alerts(p) {
		annotations = append(annotations, a.Annotations)
		break
	}
	for _, name := range []string{"summary", "title", "description", "message"} {
		for _, of := range annotations {
			if text := strings.TrimSpace(of[name]); text != "" {
				return sentence(text)
			}
		}
	}
	return ""
}
