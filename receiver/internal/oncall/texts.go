package oncall

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// SampleTail returns the end of a page's text, with an invented code. links makes the receiver's links;
// the zero value makes none.
func SampleTail(links link.Links) (short, long string) {
	const code = "4821"
	end := strings.TrimSpace("Re " + code + " " + links.Of(code))
	return end, howToReply + end
}

// howToReply precedes the code in the first text about a page to a phone, if there is room.
const howToReply = "OK? "

// texts makes the messages about pages.
type texts struct {
	people   *people.Directory
	notices  *people.Notices
	settings *atomic.Pointer[settings]
}

func (t *texts) newID(at time.Time) string { return t.notices.NewID(at) }

// identify sets the ids of messages. An id depends only on when the messages were due, on of, and on the
// recipient, so messages that are made again get the same ids.
func (t *texts) identify(ms []outbox.Message, due, now time.Time, of ...string) {
	for i := range ms {
		ms[i].ID = t.notices.SameID(due, now, append(of, string(ms[i].To))...)
	}
}

// tail returns the end of a page's text: why, which is the reason for a further message, then the code,
// and a link to the page if the receiver has links.
func (t *texts) tail(p *page.Page, why string) (short, long string) {
	if why != "" {
		why += ". "
	}
	end := strings.TrimSpace("Re " + p.Code + " " + t.link(p))
	return why + end, why + howToReply + end
}

// link returns the link in the texts of a page, "" if they have none.
func (t *texts) link(p *page.Page) string {
	s := t.settings.Load()
	if r := s.receivers[p.Receiver]; r == nil || !r.Link || !p.State.Current() {
		return ""
	}
	return s.links.Of(p.Code)
}

// messages returns messages about a page in its current state to people. paged are the numbers that have
// received the page before.
func (t *texts) messages(s *settings, p *page.Page, to []outbox.Person, paged []e164.Number, now time.Time, why string) []outbox.Message {
	r := s.receivers[p.Receiver]
	if n := p.Truncated(); n > 0 {
		why = strings.TrimPrefix(why+". "+templating.Unlisted(n), ". ")
	}
	first := templating.Budget{}
	first.Tail, first.LongTail = t.tail(p, why)
	again := templating.Budget{Tail: first.Tail, Again: true}
	var ms []outbox.Message
	for _, person := range to {
		budget := first
		if slices.Contains(paged, person.Number) {
			budget = again
		}
		rendered := s.render[p.Receiver](p.Notification, budget)
		p.Headline = rendered.Headline
		ms = append(ms, outbox.Message{
			ID: t.newID(now), To: person.Number, Receiver: p.Receiver, GroupKey: p.GroupKey, PageID: p.ID,
			Headline: p.Headline, Severity: p.Severity, Urgent: s.order.IsUrgent(p.Severity, r.Urgent) || p.Truncated() > 0,
			Text: rendered.Text, Encoding: rendered.Size.Encoding, Segments: rendered.Size.Segments, State: outbox.Queued,
			CreatedAt: now, UpdatedAt: now, NotBefore: person.NotBefore, ExpiresAt: person.Earliest(now).Add(r.MaxAge),
			Events: []outbox.Event{{At: now, Type: outbox.EventQueued, Detail: why}},
		})
	}
	return ms
}

// left returns why somebody who was paged gets no more texts about a page, "" if they still get them.
func (t *texts) left(p *page.Page, number e164.Number) string {
	r := t.settings.Load().receivers[p.Receiver]
	switch person := p.People.Person(number); {
	case t.people.Stopped(number):
		return person.String() + " wants no more texts"
	case r != nil && !t.people.Registered(number) && (r.ToLabel == "" || person.Name != ""): // a label may name any number
		return person.String() + " is not configured any more"
	}
	return ""
}

// holderLeft returns why the holder of a page cannot be paged any more, "" if they can.
func (t *texts) holderLeft(p *page.Page) string {
	if !p.Held() {
		return ""
	}
	return t.left(p, p.Holder)
}

// everybody returns the recipients of a page's receiver, and everybody who was paged before.
func (t *texts) everybody(p *page.Page, r *config.Receiver, at time.Time) []outbox.Person {
	severities := templating.Severities(p.Notification)
	return t.withPaged(p, severities, t.people.People(r.Recipients, severities, at), at)
}

// withPaged adds everybody who was paged before to the recipients of a page.
func (t *texts) withPaged(p *page.Page, severities []string, to []outbox.Person, at time.Time) []outbox.Person {
	all := slices.Clone(to)
	for _, number := range p.People.Numbers() {
		if !slices.ContainsFunc(all, func(other outbox.Person) bool { return other.Number == number }) && t.left(p, number) == "" {
			all = append(all, t.people.Recipient(number, severities, at))
		}
	}
	if p.Truncated() > 0 {
		all = unheld(all)
	}
	return all
}

// unheld returns people without their quiet hours: alerts that a notification leaves out may have any
// severity.
func unheld(people []outbox.Person) []outbox.Person {
	all := slices.Clone(people)
	for i := range all {
		all[i].NotBefore = time.Time{}
	}
	return all
}

// headline returns the headline of a page from its current alerts.
func (t *texts) headline(s *settings, p *page.Page) string {
	render := s.render[p.Receiver]
	if render == nil {
		return p.Headline
	}
	return render(p.Notification, templating.Budget{}).Headline
}

// alertHeadline returns the headline of one alert of a notification.
func (t *texts) alertHeadline(s *settings, p *page.Page, n templating.Notification, a template.Alert) string {
	render := s.render[p.Receiver]
	if render == nil {
		return p.Headline
	}
	n.Alerts, n.TruncatedAlerts = []template.Alert{a}, 0
	return render(n, templating.Budget{}).Headline
}

// sentence begins a text with a capital letter.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// notice returns a notice to somebody who was paged, in the lane of the page: it is sent after the page's
// message, or supersedes that if it is unsent. It has no severity, and no limit holds it.
func (t *texts) notice(p *page.Page, to outbox.Person, at time.Time, text string) outbox.Message {
	m := t.notices.Notice(to, p.GroupKey, at, text)
	m.Receiver, m.PageID, m.Headline = p.Receiver, p.ID, p.Headline
	return m
}

// noticeTo is notice for a number. It returns nothing if the number gets no more texts about the page.
func (t *texts) noticeTo(p *page.Page, number e164.Number, at time.Time, text string) []outbox.Message {
	if t.left(p, number) != "" {
		return nil
	}
	return []outbox.Message{t.notice(p, t.people.Recipient(number, nil, at), at, text)}
}

// noticesToOthers returns notices to everybody who was paged except one number.
func (t *texts) noticesToOthers(p *page.Page, but e164.Number, at time.Time, text string) []outbox.Message {
	var ms []outbox.Message
	for _, number := range p.People.Numbers() {
		if number != but && t.left(p, number) == "" {
			ms = append(ms, t.notice(p, t.people.Recipient(number, []string{p.Severity}, at), at, text))
		}
	}
	return ms
}

// line returns a page's line in a list for a phone: its code, headline, age and holder.
func line(p *page.Page, reader e164.Number, now time.Time) string {
	text := fmt.Sprintf("%s %s, %s", p.Code, p.Headline, page.Span(now.Sub(p.OpenedAt)))
	switch {
	case p.State == outbox.PageSilenced:
		text += ", silenced"
	case p.AcknowledgedBy == "":
	case p.Holder == reader:
		text += ", you have it"
	default:
		text += ", " + p.AcknowledgedBy + " has it"
	}
	return text
}

// brief returns a page's line in a list without ages and holders.
func brief(p *page.Page) string { return p.Code + " " + p.Headline }

// lines lists as many pages as fit, and how many more there are.
func lines(head string, pages []*page.Page, reader e164.Number, now time.Time) string {
	return listed(head, pages, func(p *page.Page) string { return line(p, reader, now) })
}

func listed(head string, pages []*page.Page, line func(*page.Page) string) string {
	text := head
	for i, p := range pages {
		longer := text + "\n" + line(p)
		rest := ""
		if left := len(pages) - i - 1; left > 0 {
			rest = fmt.Sprintf("\n+%d more", left)
		}
		if !people.Fits(longer + rest) {
			return fmt.Sprintf("%s\n+%d more", text, len(pages)-i)
		}
		text = longer
	}
	return text
}

// openText lists the current pages.
func openText(pages []*page.Page, reader e164.Number, now time.Time) string {
	if len(pages) == 0 {
		return "Nothing is open."
	}
	return lines(templating.Counted(len(pages), "page")+":", pages, reader, now)
}

// overText returns the confirmation of a command on a page that is over, "" if the page is current.
func overText(p *page.Page, now time.Time) string {
	if p.State.Current() {
		return ""
	}
	return fmt.Sprintf("%s is %s, since %s: %s", p.Code, p.State, page.Span(now.Sub(p.UpdatedAt)), p.Headline)
}

const helpText = "OK or a code: I have it. 4821 2h: silence it. NEXT: page the next. UNDO: undo my last reply. MORE: details. ?: what is open. WHO: on duty. STOP: no more texts."

// dutyText lists who is on duty in each rota or, if there is none, who each receiver pages.
func dutyText(d *people.Directory, receivers []config.Receiver, now time.Time) string {
	roster := d.Roster()
	var parts []string
	for _, name := range roster.Rotas() {
		on := roster.At(name, now)
		who := strings.Join(on.Contacts, ", ")
		switch {
		case who == "":
			who = "nobody"
		case on.Gap:
			who += " (default)"
		}
		parts = append(parts, fmt.Sprintf("%s: %s until %s", name, who, on.End.In(roster.Zone(name)).Format("Mon 15:04 MST")))
	}
	if len(parts) == 0 {
		for _, r := range receivers {
			var names []string
			for _, recipient := range r.Recipients {
				names = append(names, d.Person(recipient.Number).String())
			}
			if len(names) > 0 && !config.IsContactReceiver(r.Name) {
				parts = append(parts, r.Name+": "+strings.Join(names, ", "))
			}
		}
	}
	if len(parts) == 0 {
		return "No rota and no recipients are set up."
	}
	return strings.Join(parts, "\n")
}
