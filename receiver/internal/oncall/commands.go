package oncall

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const notUnderstood = "Not understood, nothing was done. " + helpText

// carryOut decides what a reply does. It stores nothing.
func (rs *replies) carryOut(ctx context.Context, r *received) (decision, error) {
	if rs.continues(r) {
		return decision{outcome: outcomeUnclear, continues: true}, nil
	}
	switch r.command.Verb {
	case command.Help:
		return decision{outcome: outcomeDone, text: helpText}, nil
	case command.Who:
		return decision{outcome: outcomeDone, text: dutyText(rs.people, rs.settings.Load().cfg.Receivers, r.at)}, nil
	case command.Status:
		all, err := rs.pages.of(ctx, "")
		return decision{outcome: outcomeDone, text: openText(all, r.from, r.at)}, err
	case command.Unknown:
		return decision{outcome: outcomeUnclear, text: notUnderstood}, nil
	case command.Decline, command.Question, command.Machine:
		return rs.noAction(ctx, r)
	case command.Stop, command.Start, command.Verify:
		if err := rs.people.Refresh(ctx); err != nil {
			return decision{}, err
		}
		return rs.aboutContact(r), nil
	}
	pages, problem, err := rs.meant(ctx, r)
	if err != nil || len(pages) == 0 {
		return problem, err
	}
	d, err := rs.onPages(ctx, pages, problem.text, r)
	if err == nil && d.outcome == outcomeRefused && len(pages) == 1 && !pages[0].State.Current() {
		return rs.withOpen(ctx, d, r)
	}
	return d, err
}

// onPages decides what a command does to pages. An acknowledgement adds problem to its confirmation.
func (rs *replies) onPages(ctx context.Context, pages []*page.Page, problem string, r *received) (d decision, err error) {
	switch by := rs.people.Person(r.from); r.command.Verb {
	case command.Acknowledge:
		d, err = rs.acknowledgeAnd(ctx, pages, by, problem, r)
	case command.Silence:
		d, err = rs.each(pages, func(p *page.Page) (decision, error) { return rs.silence(p, by, r), nil })
	case command.Next:
		d = rs.pass(pages[0], by, r)
	case command.More:
		d = rs.more(pages[0], r)
	case command.Note:
		d = addNote(pages[0], by, r)
	default:
		d, err = rs.each(pages, func(p *page.Page) (decision, error) { return rs.undo(ctx, p, by, r) })
	}
	return d, err
}

// each decides on each page, and joins the decisions.
func (rs *replies) each(pages []*page.Page, decide func(*page.Page) (decision, error)) (decision, error) {
	if len(pages) == 1 {
		return decide(pages[0])
	}
	all := decision{outcome: outcomeRefused}
	var texts []string
	for _, p := range pages {
		d, err := decide(p)
		if err != nil {
			return decision{}, err
		}
		if d.outcome == outcomeDone {
			all.outcome = outcomeDone
		}
		if d.text != "" {
			texts = append(texts, d.text)
		}
		all.pages, all.marks = append(all.pages, d.pages...), append(all.marks, d.marks...)
		all.others, all.acknowledged = append(all.others, d.others...), append(all.acknowledged, d.acknowledged...)
	}
	all.text = strings.Join(texts, "\n")
	return all, nil
}

// acknowledgeAnd acknowledges pages, and adds to the confirmation what else the person should know: how
// to silence the page too, a problem, or which of their pages are still open.
func (rs *replies) acknowledgeAnd(ctx context.Context, pages []*page.Page, by outbox.Person, problem string, r *received) (decision, error) {
	d := rs.acknowledge(pages, by, r)
	if r.command.Length > 0 && d.outcome == outcomeDone {
		d.text += fmt.Sprintf(". To silence it too: S %s", page.Span(r.command.Length))
	}
	if problem != "" {
		d.text += "\n" + problem
	}
	if len(r.command.Codes) > 0 && !r.command.Chat || !pages[0].State.Current() {
		return d, nil
	}
	_, open, err := rs.mine(ctx, r.from)
	open = slices.DeleteFunc(open, func(p *page.Page) bool {
		return slices.ContainsFunc(pages, func(done *page.Page) bool { return done.ID == p.ID })
	})
	if err == nil && len(open) > 0 {
		d.text = listed(d.text+"\nStill open:", open, brief)
	}
	return d, err
}

// noAction responds to a reply that does nothing: a refusal, a question, or an automatic text. The
// confirmation lists the open pages that the reply may be about. An automatic text gets no
// confirmation if no page is open.
func (rs *replies) noAction(ctx context.Context, r *received) (decision, error) {
	_, open, err := rs.mine(ctx, r.from)
	d := decision{outcome: outcomeUnclear}
	switch {
	case len(open) == 0 && r.command.Verb == command.Machine:
	case len(open) == 0:
		d.text = "Nothing was done. No page of yours is open."
	case r.command.Verb == command.Decline:
		d.text = lines("Nothing was done. NEXT pages the next person, OK acknowledges:", open, r.from, r.at)
	case r.command.Verb == command.Machine:
		d.text = lines("Nothing was done: did a person write that? OK acknowledges:", open, r.from, r.at)
	default:
		d.text = lines("Nothing was done. OK acknowledges:", open, r.from, r.at)
	}
	return d, err
}

// pass pages the next person, and reopens the page if the sender holds it.
func (rs *replies) pass(p *page.Page, by outbox.Person, r *received) decision {
	d := decision{outcome: outcomeRefused, about: p}
	plan := rs.pages.plan(p.Receiver)
	switch {
	case overText(p, r.at) != "":
		d.text = overText(p, r.at)
	case p.Held() && p.Holder != by.Number:
		d.text = fmt.Sprintf("%s has %s since %s: %s", p.AcknowledgedBy, p.Code, page.Span(r.at.Sub(p.AcknowledgedAt)), p.Headline)
	case p.State == outbox.PageSilenced:
		d.text = fmt.Sprintf("%s is silenced. UNDO %s ends that: %s", p.Code, p.Code, p.Headline)
	case plan == nil || p.Steps >= len(plan.Steps):
		d.text = fmt.Sprintf("There is nobody else to page for %s, nothing was done: %s", p.Code, p.Headline)
	default:
		if p.Held() {
			p.Undo(plan, by, r.at)
		}
		p.Pass(by, r.at)
		d.outcome, d.pages = outcomeDone, []*page.Page{p}
		d.text = fmt.Sprintf("OK, %s is paged for %s now: %s", strings.Join(plan.Steps[p.Steps].To, ", "), p.Code, p.Headline)
	}
	return d
}

// withOpen adds the current pages of the sender to the confirmation of a command on a page that is over.
func (rs *replies) withOpen(ctx context.Context, d decision, r *received) (decision, error) {
	mine, err := rs.pages.of(ctx, r.from)
	if err == nil && len(mine) > 0 {
		d.text = lines(d.text+"\nYou were paged for:", mine, r.from, r.at)
	}
	return d, err
}

// newer returns a text about the alerts of a page that came after the reply was written, "" if none did.
// If the reply names the code of a page that opened later, its date must be wrong, and newer returns "".
func (rs *replies) newer(p *page.Page, r *received) string {
	if r.written.IsZero() || slices.Contains(r.command.Codes, p.Code) && p.OpenedAt.After(r.written) {
		return ""
	}
	n, ok := p.Newer(r.written)
	if !ok {
		return ""
	}
	return fmt.Sprintf("since you wrote, %s has new alerts: %s. OK %s acknowledges.", p.Code, rs.named(n, p), p.Code)
}

// named returns the names of the first alerts of a notification.
func (rs *replies) named(n templating.Notification, p *page.Page) string {
	const most = 4
	s := rs.settings.Load()
	var names []string
	for _, a := range n.Alerts[:min(len(n.Alerts), most)] {
		if name := rs.texts.alertHeadline(s, p, n, a); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if more := len(n.Alerts) - most; more > 0 {
		names = append(names, fmt.Sprintf("+%d", more))
	}
	return strings.Join(names, ", ")
}

// acknowledge makes somebody the holder of pages, except those that got alerts after the reply was
// written.
func (rs *replies) acknowledge(pages []*page.Page, by outbox.Person, r *received) decision {
	now := r.at
	var lines []string
	d := decision{outcome: outcomeRefused}
	for _, p := range pages {
		switch over, newer := overText(p, now), rs.newer(p, r); {
		case over != "":
			lines = append(lines, over)
		case p.State == outbox.PageOpen && newer != "":
			lines = append(lines, "NOT acknowledged: "+newer)
		case p.State == outbox.PageOpen:
			d.outcome = outcomeDone
			d.acknowledged = append(d.acknowledged, now.Sub(p.OpenedAt))
			p.Acknowledge(by, now, cmp.Or(r.via, "by reply")+", "+page.Span(now.Sub(p.OpenedAt))+" after it opened")
			d.pages = append(d.pages, p)
			lines = append(lines, fmt.Sprintf("OK, %s is yours: %s", p.Code, p.Headline))
		case p.Holder == by.Number:
			d.outcome = outcomeDone
			lines = append(lines, fmt.Sprintf("%s is yours already: %s", p.Code, p.Headline))
		default:
			lines = append(lines, fmt.Sprintf("%s has %s since %s: %s", p.AcknowledgedBy, p.Code, page.Span(now.Sub(p.AcknowledgedAt)), p.Headline))
		}
	}
	const most = 3 // pages that are confirmed one by one
	switch {
	case len(pages) == 1:
		d.about = pages[0]
		d.text = lines[0]
	case len(pages) > most && len(d.pages) == len(pages):
		d.text = listed(fmt.Sprintf("OK, %d pages are yours:", len(pages)), pages, brief)
	default:
		d.text = strings.Join(lines, "\n")
	}
	d.others = rs.newHolder(d.pages, by, now)
	return d
}

// newHolder returns the messages that report the new holder of pages, one to each of the others who were
// paged.
func (rs *replies) newHolder(pages []*page.Page, by outbox.Person, now time.Time) []outbox.Message {
	if len(pages) == 1 {
		p := pages[0]
		return rs.texts.noticesToOthers(p, by.Number, now, fmt.Sprintf("%s has %s: %s", by, p.Code, p.Headline))
	}
	var order []e164.Number
	theirs := make(map[e164.Number][]*page.Page)
	for _, p := range pages {
		for _, number := range p.People.Numbers() {
			if number == by.Number || rs.texts.left(p, number) != "" {
				continue
			}
			if theirs[number] == nil {
				order = append(order, number)
			}
			theirs[number] = append(theirs[number], p)
		}
	}
	var ms []outbox.Message
	for _, number := range order {
		var severities []string
		for _, p := range theirs[number] {
			severities = append(severities, p.Severity)
		}
		text := listed(by.String()+" has:", theirs[number], brief)
		ms = append(ms, rs.texts.notices.Notice(rs.people.Recipient(number, severities, now), "smspager:answered:"+rs.texts.newID(now), now, text))
	}
	return ms
}

// silence acknowledges the page and stores a silence to ask Alertmanager for. The outcome is confirmed
// later.
func (rs *replies) silence(p *page.Page, by outbox.Person, r *received) decision {
	length, now := r.command.Length, r.at
	if r.command.Until != "" {
		length = until(r.command.Until, now.In(rs.people.Zone(by.Number)))
	}
	refuse := func(format string, args ...any) decision {
		return decision{outcome: outcomeRefused, about: p, text: fmt.Sprintf(format, args...)}
	}
	s := rs.settings.Load()
	w := newSilence(rs.idOf(r, []*page.Page{p}, "silence", p.ID), p, by, length, now)
	w.Seen = r.via != ""
	switch longest := s.cfg.Alertmanager.MaxSilence; {
	case overText(p, now) != "":
		return refuse("%s", overText(p, now))
	case p.State == outbox.PageOpen && rs.newer(p, r) != "":
		return refuse("NOT silenced: %s", rs.newer(p, r))
	case p.ByHand():
		return refuse("NOT silenced: a person made this page, and Alertmanager does not know it. OK %s acknowledges.", p.Code)
	case s.silencer == nil:
		return refuse("NOT silenced: silences are not set up here. OK %s acknowledges.", p.Code)
	case length > longest:
		return refuse("NOT silenced: at most %s is allowed. OK %s acknowledges.", page.Span(longest), p.Code)
	case p.Notification.TruncatedAlerts > 0 || len(w.Alerts) == 0:
		return refuse("NOT silenced: there are more alerts than a text can silence, use Alertmanager. OK %s acknowledges.", p.Code)
	}
	d := decision{outcome: outcomeDone, about: p, pages: []*page.Page{p}, marks: []outbox.Mark{w.stored(now)}}
	does := "silences " + p.Code
	if p.State == outbox.PageOpen {
		does = "has " + p.Code + ", and silences it"
		d.acknowledged = []time.Duration{now.Sub(p.OpenedAt)}
		p.Acknowledge(by, now, "with a silence, "+page.Span(now.Sub(p.OpenedAt))+" after it opened")
	}
	p.Note(now, outbox.PageEventSilencing, by.String(), "for "+page.Span(length))
	d.others = rs.texts.noticesToOthers(p, by.Number, now, fmt.Sprintf("%s %s for %s: %s", by, does, page.Span(length), p.Headline))
	return d
}

// aboutContact decides what a reply about its own number does. The state of the number has been
// refreshed.
func (rs *replies) aboutContact(r *received) decision {
	by := rs.people.Person(r.from)
	switch r.command.Verb {
	case command.Stop:
		return rs.stop(by, r.at)
	case command.Start:
		return decision{outcome: outcomeDone, text: "You get texts again. STOP ends that.", marks: []outbox.Mark{rs.people.Start(r.from, r.at)}, changesContact: true}
	}
	verified, ok := rs.people.Verified(r.from, r.command.Codes[0], r.at)
	if !ok {
		return decision{outcome: outcomeRefused, text: "That is not the code of a verification of this phone."}
	}
	return decision{outcome: outcomeDone, text: "Thank you, " + cmp.Or(by.Name, "this phone") + " is verified.", marks: []outbox.Mark{verified}, changesContact: true}
}

// stop ends the texts to somebody, and informs the people who share a receiver with them.
func (rs *replies) stop(by outbox.Person, now time.Time) decision {
	if rs.people.Stopped(by.Number) {
		return decision{outcome: outcomeDone}
	}
	d := decision{
		outcome: outcomeDone, text: "You get no more texts from smspager. START undoes that.",
		marks: []outbox.Mark{rs.people.Stop(by.Number, now)}, changesContact: true,
	}
	for _, number := range rs.people.Teammates(by.Number) {
		d.others = append(d.others, rs.texts.notices.Notice(rs.people.Recipient(number, nil, now), "smspager:stopped:"+string(by.Number), now,
			fmt.Sprintf("%s has stopped texts from smspager and is not paged any more.", by)))
	}
	return d
}
