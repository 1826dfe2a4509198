package oncall

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// carryOut decides what a command leads to. Nothing is stored yet.
func (o *OnCall) carryOut(ctx context.Context, c command, from e164.Number, about *page, now time.Time) (answer, error) {
	s := o.settings.Load()
	by := s.directory.person(from)
	switch c.verb {
	case verbHelp:
		return answer{outcome: outcomeDone, text: helpText}, nil
	case verbWho:
		return answer{outcome: outcomeDone, text: s.dutyText(now)}, nil
	case verbStatus:
		all, err := o.pagesOf(ctx, "")
		return answer{outcome: outcomeDone, text: openText(all, from, now)}, err
	case verbUnknown:
		return answer{outcome: outcomeUnclear, text: "Not understood, nothing was done. " + helpText}, nil
	case verbStop, verbStart, verbVerify:
		if err := o.loadContacts(ctx); err != nil { // as they are stored now
			return answer{}, err
		}
		switch c.verb {
		case verbStop:
			return o.stopContact(s, by, now), nil
		case verbStart:
			mark := o.contacts.changed(from, now, func(st *contactState) { st.StoppedAt = time.Time{} })
			return answer{outcome: outcomeDone, text: "You get texts again. STOP ends that.", marks: []outbox.Mark{mark}}, nil
		}
		return o.verified(c.codes[0], by, now), nil
	}
	pages, problem, err := o.meant(ctx, c, from, about, now)
	if err != nil || len(pages) == 0 {
		return problem, err
	}
	switch c.verb {
	case verbAcknowledge:
		a := o.acknowledge(s, pages, by, now)
		if problem.text != "" {
			a.text += "\n" + problem.text
		}
		if c.long > 0 && a.outcome == outcomeDone {
			a.text += fmt.Sprintf(". To silence it too: S %s", span(c.long))
		}
		return o.withOpen(ctx, a, pages, from, now)
	case verbSilence:
		return o.withOpen(ctx, o.askSilence(s, pages[0], by, c.long, now), pages, from, now)
	}
	a, err := o.takeBack(ctx, s, pages[0], by, len(c.codes) > 0, now)
	if err != nil {
		return a, err
	}
	return o.withOpen(ctx, a, pages, from, now)
}

// withOpen adds to what a command about a page that is over is answered which pages
// are open.
func (o *OnCall) withOpen(ctx context.Context, a answer, pages []*page, from e164.Number, now time.Time) (answer, error) {
	if a.outcome != outcomeRefused || len(pages) > 1 || pages[0].State.Current() {
		return a, nil
	}
	mine, err := o.pagesOf(ctx, from)
	if err == nil && len(mine) > 0 {
		a.text = lines(a.text+"\nYou were paged for:", mine, from, now)
	}
	return a, err
}

// pagesOf are the current pages, the severest first and of those the oldest; with a
// number, those that it was paged for.
func (o *OnCall) pagesOf(ctx context.Context, number e164.Number) ([]*page, error) {
	var all []*page
	take := func(stored outbox.Page) {
		p, err := load(stored)
		if err != nil { // it must not keep others from being answered
			o.logger.Error("a page cannot be used", "err", err)
		} else if number == "" || slices.Contains(p.numbers(), number) {
			all = append(all, p)
		}
	}
	past := make(map[string]bool)
	for _, p := range o.past.all() {
		if past[p.ID] = true; p.State.Current() {
			take(p)
		}
	}
	err := o.eachCurrent(ctx, func(stored outbox.Page) error {
		if !past[stored.ID] {
			take(stored)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b *page) int {
		return cmp.Or(templating.SeverityRank(a.Severity)-templating.SeverityRank(b.Severity), strings.Compare(a.ID, b.ID))
	})
	return all, err
}

// meant finds the pages that a command means: by their codes, by the message that was
// answered, or the only one there is. It never guesses: without a page it
// returns what to answer instead, and with pages what to say besides.
func (o *OnCall) meant(ctx context.Context, c command, from e164.Number, about *page, now time.Time) ([]*page, answer, error) {
	refuse := func(outcome Outcome, text string) ([]*page, answer, error) {
		return nil, answer{outcome: outcome, text: text}, nil
	}
	if len(c.codes) > 1 && c.verb != verbAcknowledge {
		return refuse(outcomeRefused, "Nothing was done: one code at a time for that, please.")
	}
	mine, err := o.pagesOf(ctx, from)
	if err != nil {
		return nil, answer{}, err
	}
	open := slices.DeleteFunc(slices.Clone(mine), func(p *page) bool { return p.State != outbox.PageOpen })
	switch {
	case len(c.codes) > 0:
		var pages []*page
		var unknown []string
		for _, code := range c.codes {
			p, err := o.coded(ctx, code)
			if err != nil {
				return nil, answer{}, err
			}
			if p == nil || !p.State.Current() && now.Sub(p.UpdatedAt) >= pageFor {
				unknown = append(unknown, code)
				continue
			}
			pages = append(pages, p)
		}
		no := "No page " + strings.Join(unknown, ", ") + "."
		switch {
		case len(unknown) == 0:
			return pages, answer{}, nil
		case len(pages) > 0:
			return pages, answer{text: no}, nil
		case len(mine) == 0:
			return refuse(outcomeRefused, no+" None that you were paged for is open.")
		}
		return refuse(outcomeRefused, lines(no+" You were paged for:", mine, from, now))
	case c.all && len(open) > 0:
		return open, answer{}, nil
	case c.all:
		return refuse(outcomeRefused, "No page of yours is open.")
	case about != nil: // as it is now, not as it was when the message was found
		p, err := o.stored(ctx, about.ID)
		return []*page{p}, answer{}, err
	}
	candidates := mine
	switch {
	case c.verb == verbUndo: // the last thing that this phone did
		candidates = slices.DeleteFunc(slices.Clone(mine), func(p *page) bool { return p.Number != string(from) })
		slices.SortFunc(candidates, func(a, b *page) int { return b.AcknowledgedAt.Compare(a.AcknowledgedAt) })
		if len(candidates) == 0 {
			return refuse(outcomeRefused, "There is nothing of yours to take back.")
		}
		return candidates[:1], answer{}, nil
	case len(open) == 1:
		candidates = open
	case len(mine) == 0:
		return refuse(outcomeRefused, "No page of yours is open.")
	}
	if len(candidates) > 1 {
		return refuse(outcomeAmbiguous, lines("Which one? Answer with its code.", mine, from, now))
	}
	return candidates, answer{}, nil
}

// coded is the newest page that has a code, nil without one.
func (o *OnCall) coded(ctx context.Context, code string) (*page, error) {
	for _, p := range o.past.all() {
		if p.Code == code {
			return load(p)
		}
	}
	stored, err := o.store.Pages(ctx, outbox.PageQuery{Code: code, Limit: 1})
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	return load(stored[0])
}

// openText lists what is current.
func openText(pages []*page, reader e164.Number, now time.Time) string {
	if len(pages) == 0 {
		return "Nothing is open."
	}
	return lines(counted(len(pages), "page")+":", pages, reader, now)
}

// isOver is what a command about a page that is over is answered; "" if it is not.
func (p *page) isOver(now time.Time) string {
	if p.State.Current() {
		return ""
	}
	return fmt.Sprintf("%s is %s, since %s: %s", p.Code, p.State, span(now.Sub(p.UpdatedAt)), p.Headline)
}

// acknowledge lets somebody have pages.
func (o *OnCall) acknowledge(s *settings, pages []*page, by outbox.Person, now time.Time) answer {
	var texts []string
	a := answer{outcome: outcomeRefused}
	for _, p := range pages {
		switch over := p.isOver(now); {
		case over != "":
			texts = append(texts, over)
		case p.State == outbox.PageOpen:
			a.outcome = outcomeDone
			a.answered = append(a.answered, now.Sub(p.OpenedAt))
			p.acknowledge(by, now, "by reply, "+span(now.Sub(p.OpenedAt))+" after it opened")
			a.pages = append(a.pages, p)
			texts = append(texts, fmt.Sprintf("OK, %s is yours: %s", p.Code, p.Headline))
		case p.Number == string(by.Number):
			a.outcome = outcomeDone
			texts = append(texts, fmt.Sprintf("%s is yours already: %s", p.Code, p.Headline))
		default:
			texts = append(texts, fmt.Sprintf("%s has %s since %s: %s", p.AcknowledgedBy, p.Code, span(now.Sub(p.AcknowledgedAt)), p.Headline))
		}
	}
	const most = 3 // told one by one
	switch {
	case len(pages) == 1:
		a.about = pages[0]
		a.text = texts[0]
	case len(pages) > most && len(a.pages) == len(pages):
		a.text = listed(fmt.Sprintf("OK, %d pages are yours:", len(pages)), pages, (*page).brief)
	default:
		a.text = strings.Join(texts, "\n")
	}
	a.others = o.tellWhoHas(s, a.pages, by, now)
	return a
}

// tellWhoHas tells everybody else who was paged who has the pages, in one text each.
func (o *OnCall) tellWhoHas(s *settings, pages []*page, by outbox.Person, now time.Time) []outbox.Message {
	if len(pages) == 1 {
		p := pages[0]
		return o.others(s, p, by.Number, now, fmt.Sprintf("%s has %s: %s", by, p.Code, p.Headline))
	}
	var order []e164.Number
	theirs := make(map[e164.Number][]*page)
	for _, p := range pages {
		for _, number := range p.numbers() {
			if number == by.Number || o.contacts.stopped(number) {
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
		text := listed(by.String()+" has:", theirs[number], (*page).brief)
		ms = append(ms, o.notice(s.told(number, severities, now), "smspager:answered:"+o.ids.New(now), now, text))
	}
	return ms
}

// askSilence acknowledges the page, and has Alertmanager asked for the silence. What
// came of that is told then.
func (o *OnCall) askSilence(s *settings, p *page, by outbox.Person, long time.Duration, now time.Time) answer {
	refuse := func(format string, args ...any) answer {
		return answer{outcome: outcomeRefused, about: p, text: fmt.Sprintf(format, args...)}
	}
	w := newSilence(o.ids.New(now), p, by, long, now)
	switch {
	case p.isOver(now) != "":
		return refuse("%s", p.isOver(now))
	case s.silencer == nil:
		return refuse("NOT silenced: silences are not set up here. OK %s acknowledges.", p.Code)
	case long > s.cfg.Alertmanager.MaxSilence:
		return refuse("NOT silenced: at most %s is allowed. OK %s acknowledges.", span(s.cfg.Alertmanager.MaxSilence), p.Code)
	case p.Notification.TruncatedAlerts > 0 || len(w.Alerts) == 0 || len(w.Alerts) < len(p.Firing):
		return refuse("NOT silenced: there are more alerts than a text can silence, use Alertmanager. OK %s acknowledges.", p.Code)
	}
	a := answer{outcome: outcomeDone, about: p, pages: []*page{p}}
	does := "silences " + p.Code
	if p.State == outbox.PageOpen {
		does = "has " + p.Code + ", and silences it"
		a.answered = []time.Duration{now.Sub(p.OpenedAt)}
		p.acknowledge(by, now, "with a silence, "+span(now.Sub(p.OpenedAt))+" after it opened")
	}
	a.marks = []outbox.Mark{w.stored(now)}
	p.note(now, outbox.PageEventSilencing, by.String(), "for "+span(long))
	a.others = o.others(s, p, by.Number, now, fmt.Sprintf("%s %s for %s: %s", by, does, span(long), p.Headline))
	return a
}

// takeBack makes an answered page open again, and ends its silences. Somebody else's
// is taken back by its code only.
func (o *OnCall) takeBack(ctx context.Context, s *settings, p *page, by outbox.Person, byCode bool, now time.Time) (answer, error) {
	silences, err := o.silences(ctx, p.ID)
	if err != nil {
		return answer{}, err
	}
	silences = slices.DeleteFunc(silences, func(w *silenceInStore) bool { return w.State == silenceEnding })
	a := answer{outcome: outcomeDone, about: p}
	had := p.AcknowledgedBy
	switch answered := p.State.Current() && p.State != outbox.PageOpen; {
	case !answered && len(silences) == 0:
		a.outcome = outcomeRefused
		if a.text = p.isOver(now); a.text == "" {
			a.text = fmt.Sprintf("%s is open, there is nothing to take back: %s", p.Code, p.Headline)
		}
		return a, nil
	case answered && p.Number != string(by.Number) && !byCode:
		a.outcome = outcomeRefused
		a.text = fmt.Sprintf("%s has %s since %s. UNDO %s takes it back: %s", had, p.Code, span(now.Sub(p.AcknowledgedAt)), p.Code, p.Headline)
		return a, nil
	case answered:
		what := fmt.Sprintf("%s gave %s back", by, p.Code)
		a.text = fmt.Sprintf("Undone: %s is open again: %s", p.Code, p.Headline)
		if p.Number != string(by.Number) {
			what = fmt.Sprintf("%s took %s back from %s", by, p.Code, had)
			a.text = fmt.Sprintf("Undone: %s is open again, %s has it no more: %s", p.Code, had, p.Headline)
		}
		p.undo(s.receivers[p.Receiver], by, now)
		a.pages = []*page{p}
		a.others = o.others(s, p, by.Number, now, fmt.Sprintf("%s, it is open again: %s. Re %s", what, p.Headline, p.Code))
	}
	for i, w := range silences {
		w.end(now)
		w.By, w.Number = by.String(), by.Number
		w.Tell = i == len(silences)-1 // of the last, what was done is told when it has ended
		a.marks = append(a.marks, w.stored(now))
		a.text = ""
	}
	return a, nil
}

// stopContact sends somebody no more texts, and tells the others.
func (o *OnCall) stopContact(s *settings, by outbox.Person, now time.Time) answer {
	if o.contacts.stopped(by.Number) {
		return answer{outcome: outcomeDone}
	}
	a := answer{
		outcome: outcomeDone, text: "You get no more texts from smspager. START undoes that.",
		marks: []outbox.Mark{o.contacts.changed(by.Number, now, func(st *contactState) { st.StoppedAt = now })},
	}
	for _, number := range s.directory.fellows[by.Number] {
		if !o.contacts.stopped(number) {
			a.others = append(a.others, o.notice(s.told(number, nil, now), "smspager:stopped:"+string(by.Number), now,
				fmt.Sprintf("%s has stopped texts from smspager and is not paged any more.", by)))
		}
	}
	return a
}

// verified takes a verification's answer.
func (o *OnCall) verified(code string, by outbox.Person, now time.Time) answer {
	state := o.contacts.get(by.Number)
	if state.Code != code || now.Sub(state.CodeAt) > verifyFor {
		return answer{outcome: outcomeRefused, text: "That is not the code of a verification of this phone."}
	}
	return answer{
		outcome: outcomeDone, text: "Thank you, " + cmp.Or(by.Name, "this phone") + " is verified.",
		marks: []outbox.Mark{o.contacts.changed(by.Number, now, func(st *contactState) { st.VerifiedAt, st.Code, st.CodeAt = now, "", time.Time{} })},
	}
}
