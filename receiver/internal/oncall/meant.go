package oncall

import (
	"context"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// meant finds the pages that a command is about: by their codes, by the message that the reply
// responds to, or because only one page is open. The provider's callback names the latest message to the
// phone, whatever the person meant, so an acknowledgement is about that message only if its page is open.
// Nothing is guessed. If meant returns no pages, the decision refuses the command; otherwise its text is
// added to the confirmation.
func (rs *replies) meant(ctx context.Context, r *received) ([]*page.Page, decision, error) {
	c := &r.command
	if len(c.Codes) > 1 && c.Verb != command.Acknowledge {
		return refuse(outcomeRefused, "Nothing was done: one code at a time for that, please.")
	}
	mine, open, err := rs.mine(ctx, r.from)
	if err != nil {
		return nil, decision{}, err
	}
	odd := false
	if len(c.Codes) > 0 {
		pages, problem, err := rs.coded(ctx, r, mine)
		if err != nil || len(pages) > 0 || problem.text != "" {
			return pages, problem, err
		}
		odd = len(open) > 1 // a number among other words may be a mistyped code
	}
	if c.All {
		return everyPage(c.Verb, mine, open, r)
	}
	if c.Verb == command.Undo {
		if held, problem, err := rs.lastActed(ctx, mine, r); err != nil || len(held) > 0 || problem.text != "" {
			return held, problem, err
		}
	}
	var about *page.Page
	if r.about != nil { // the page may have changed since the message was found
		if about, err = rs.pages.load(ctx, r.about.ID); err != nil {
			return nil, decision{}, err
		}
	}
	mayBe := func(p *page.Page) bool {
		return p.State == outbox.PageOpen || p.State.Current() && (c.Verb == command.Silence || c.Verb == command.More)
	}
	switch {
	case odd:
	case about != nil && (c.Verb == command.Undo || mayBe(about)):
		return []*page.Page{about}, decision{}, nil
	case len(open) == 1 && c.Verb != command.Undo && (about == nil || about.State.Current()):
		return open, decision{}, nil
	case about != nil:
		return []*page.Page{about}, decision{}, nil
	case c.Verb == command.Undo && len(mine) > 0:
		return refuse(outcomeRefused, "You have nothing to undo.")
	}
	switch {
	case len(mine) == 0:
		return refuse(outcomeRefused, "No page of yours is open.")
	case len(open) > 1:
		return refuse(outcomeAmbiguous, lines("Which one? Reply with its code.", open, r.from, r.at))
	case len(mine) > 1:
		return refuse(outcomeAmbiguous, lines("Which one? Reply with its code.", mine, r.from, r.at))
	}
	return mine, decision{}, nil
}

// mine returns the current pages that a number was paged for, open ones first, and the open ones alone.
func (rs *replies) mine(ctx context.Context, number e164.Number) (mine, open []*page.Page, err error) {
	mine, err = rs.pages.of(ctx, number)
	for _, p := range mine {
		if p.State == outbox.PageOpen {
			open = append(open, p)
		}
	}
	return mine, open, err
}

// everyPage returns the pages that "all" means.
func everyPage(v command.Verb, mine, open []*page.Page, r *received) ([]*page.Page, decision, error) {
	if len(open) == 0 && v == command.Silence {
		open = slices.DeleteFunc(slices.Clone(mine), func(p *page.Page) bool { return p.Holder != r.from })
	}
	if len(open) == 0 {
		return refuse(outcomeRefused, "No page of yours is open.")
	}
	return open, decision{}, nil
}

func refuse(outcome Outcome, text string) ([]*page.Page, decision, error) {
	return nil, decision{outcome: outcome, text: text}, nil
}

// coded finds the pages with the codes of a command. mine are the pages that the phone was paged for. If
// the reply has other words, a number that is not a page's code counts as a word.
func (rs *replies) coded(ctx context.Context, r *received, mine []*page.Page) ([]*page.Page, decision, error) {
	var found []*page.Page
	var unknown []string
	for _, code := range r.command.Codes {
		p, err := rs.pages.coded(ctx, code)
		if err != nil {
			return nil, decision{}, err
		}
		if r.command.Chat && (p == nil || !p.State.Current() && !slices.Contains(p.People.Numbers(), r.from)) {
			continue
		}
		if p == nil || !p.State.Current() && r.at.Sub(p.UpdatedAt) >= page.CurrentFor {
			unknown = append(unknown, code)
			continue
		}
		found = append(found, p)
	}
	no := "No page " + strings.Join(unknown, ", ") + "."
	switch {
	case len(unknown) == 0 && len(found) == 0 && r.command.Bare:
		return refuse(outcomeUnclear, notUnderstood)
	case len(unknown) == 0:
		return found, decision{}, nil
	case len(found) > 0:
		return found, decision{text: no}, nil
	case len(mine) == 0:
		return refuse(outcomeRefused, no+" None that you were paged for is open.")
	}
	return refuse(outcomeRefused, lines(no+" You were paged for:", mine, r.from, r.at))
}
