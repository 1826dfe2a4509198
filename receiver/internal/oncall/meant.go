package oncall

import (
	"context"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// meant finds the pages that a command is about: by their codes, by the message that the reply
// responds to, or the only one there is. Nothing is guessed. Without pages, the decision refuses the
// command; with pages, its text is to be added to the confirmation.
func (rs *replies) meant(ctx context.Context, r *received) ([]*page.Page, decision, error) {
	c := &r.command
	if len(c.Codes) > 1 && c.Verb != command.Acknowledge {
		return refuse(outcomeRefused, "Nothing was done: one code at a time for that, please.")
	}
	mine, err := rs.pages.of(ctx, r.from)
	if err != nil {
		return nil, decision{}, err
	}
	open := slices.DeleteFunc(slices.Clone(mine), func(p *page.Page) bool { return p.State != outbox.PageOpen })
	switch {
	case len(c.Codes) > 0:
		return rs.coded(ctx, r, mine)
	case c.All && len(open) > 0:
		return open, decision{}, nil
	case c.All:
		return refuse(outcomeRefused, "No page of yours is open.")
	case r.about != nil: // as it is now, not as it was when the message was found
		p, err := rs.pages.load(ctx, r.about.ID)
		return []*page.Page{p}, decision{}, err
	case c.Verb == command.Undo:
		return lastHeld(mine, r)
	case len(open) == 1:
		return open, decision{}, nil
	case len(mine) == 0:
		return refuse(outcomeRefused, "No page of yours is open.")
	case len(mine) > 1:
		return refuse(outcomeAmbiguous, lines("Which one? Reply with its code.", mine, r.from, r.at))
	}
	return mine, decision{}, nil
}

func refuse(outcome Outcome, text string) ([]*page.Page, decision, error) {
	return nil, decision{outcome: outcome, text: text}, nil
}

// lastHeld returns the page that a phone acknowledged last.
func lastHeld(mine []*page.Page, r *received) ([]*page.Page, decision, error) {
	held := slices.DeleteFunc(slices.Clone(mine), func(p *page.Page) bool { return p.Holder != r.from })
	if len(held) == 0 {
		return refuse(outcomeRefused, "There is nothing of yours to take back.")
	}
	slices.SortFunc(held, func(a, b *page.Page) int { return b.AcknowledgedAt.Compare(a.AcknowledgedAt) })
	return held[:1], decision{}, nil
}

// coded finds the pages with the codes of a command. mine are those that the phone was paged for.
func (rs *replies) coded(ctx context.Context, r *received, mine []*page.Page) ([]*page.Page, decision, error) {
	var found []*page.Page
	var unknown []string
	for _, code := range r.command.Codes {
		p, err := rs.pages.coded(ctx, code)
		if err != nil {
			return nil, decision{}, err
		}
		if p == nil || !p.State.Current() && r.at.Sub(p.UpdatedAt) >= page.CurrentFor {
			unknown = append(unknown, code)
			continue
		}
		found = append(found, p)
	}
	no := "No page " + strings.Join(unknown, ", ") + "."
	switch {
	case len(unknown) == 0:
		return found, decision{}, nil
	case len(found) > 0:
		return found, decision{text: no}, nil
	case len(mine) == 0:
		return refuse(outcomeRefused, no+" None that you were paged for is open.")
	}
	return refuse(outcomeRefused, lines(no+" You were paged for:", mine, r.from, r.at))
}
