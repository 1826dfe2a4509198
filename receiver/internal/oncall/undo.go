package oncall

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// act is what a reply did.
type act struct {
	verb  command.Verb
	pages []acted // the pages that it changed
}

// acted is a page that a reply changed.
type acted struct {
	id, code     string
	acknowledged bool // the reply acknowledged the page
}

// actOf returns what a reply did, nil if it asked for information, repeated an acknowledgement, continued
// another reply, or was written by a machine.
func actOf(r *received, d *decision) *act {
	switch r.command.Verb {
	case command.Help, command.Who, command.Status, command.Machine:
		return nil
	}
	if d.continues || d.outcome == outcomeDone && r.command.Verb == command.Acknowledge && len(d.pages) == 0 {
		return nil
	}
	a := &act{verb: r.command.Verb}
	for _, p := range d.pages {
		a.pages = append(a.pages, acted{p.ID, p.Code, p.AcknowledgedAt.Equal(r.at)})
	}
	return a
}

// lastAct returns what the last reply of a phone did, nil if that is unknown.
func (rs *replies) lastAct(r *received) *act {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.latest[r.from].act
}

// lastActed returns the pages that the last reply of a phone acknowledged or silenced. If that reply did
// nothing that can be undone, the decision refuses the undo. If it was an undo, or is unknown since a
// restart, lastActed returns the pages of lastHeld.
func (rs *replies) lastActed(ctx context.Context, mine []*page.Page, r *received) ([]*page.Page, decision, error) {
	last := rs.lastAct(r)
	if last == nil || last.verb == command.Undo && len(last.pages) > 0 {
		pages, err := rs.lastHeld(ctx, mine, r)
		return pages, decision{}, err
	}
	var codes []string
	var pages []*page.Page
	for _, p := range last.pages {
		codes = append(codes, p.code)
		now, err := rs.pages.load(ctx, p.id)
		if err != nil {
			return nil, decision{}, err
		}
		pages = append(pages, now)
	}
	switch {
	case last.verb == command.Next && len(pages) > 0:
		return refuse(outcomeRefused, fmt.Sprintf("Nothing was undone: NEXT has paged somebody else for %s. OK %[1]s acknowledges.", strings.Join(codes, ", ")))
	case last.verb == command.Stop || last.verb == command.Start || last.verb == command.Verify:
		return refuse(outcomeRefused, "Nothing was undone: START gets you texts again, STOP ends them.")
	case len(pages) > 0:
		return pages, decision{}, nil
	}
	nothing := "Nothing was undone: your last reply did nothing."
	held := slices.DeleteFunc(slices.Clone(mine), func(p *page.Page) bool { return p.Holder != r.from })
	if len(held) > 0 {
		nothing = listed(nothing+" UNDO and a code opens a page that is yours:", held, brief)
	}
	return refuse(outcomeRefused, nothing)
}

// lastHeld returns the pages that a phone last acknowledged or silenced, all by one reply.
func (rs *replies) lastHeld(ctx context.Context, mine []*page.Page, r *received) ([]*page.Page, error) {
	at := make(map[string]time.Time) // by page
	for _, p := range mine {
		if p.Holder == r.from {
			at[p.ID] = p.AcknowledgedAt
		}
	}
	silences, err := rs.silences.of(ctx, "")
	for _, w := range silences {
		if w.Number == r.from && (w.State == silenceWanted || w.State == silenceSet) {
			at[w.Page] = page.Latest(at[w.Page], w.Until.Add(-w.For))
		}
	}
	last := time.Time{}
	for _, t := range at {
		last = page.Latest(last, t.Truncate(time.Millisecond))
	}
	acted := slices.DeleteFunc(slices.Clone(mine), func(p *page.Page) bool {
		t, ok := at[p.ID]
		return !ok || !t.Truncate(time.Millisecond).Equal(last)
	})
	return acted, err
}

// onlySilenced reports whether a reply undoes a silence of a page that its sender held already.
func (rs *replies) onlySilenced(p *page.Page, r *received) bool {
	last := rs.lastAct(r)
	return len(r.command.Codes) == 0 && last != nil && last.verb == command.Silence &&
		slices.ContainsFunc(last.pages, func(a acted) bool { return a.id == p.ID && !a.acknowledged })
}

// undo opens a page that somebody holds and ends its silences. If somebody else holds it, the reply must
// name its code. If the last reply only silenced the page, its holder keeps it.
func (rs *replies) undo(ctx context.Context, p *page.Page, by outbox.Person, r *received) (decision, error) {
	now, byCode, keeps := r.at, len(r.command.Codes) > 0, rs.onlySilenced(p, r)
	silences, err := rs.silences.of(ctx, p.ID)
	if err != nil {
		return decision{}, err
	}
	silences = slices.DeleteFunc(silences, func(w *silence) bool { return w.State == silenceEnding || w.State == silenceOver })
	d := decision{outcome: outcomeDone, about: p}
	had := p.AcknowledgedBy
	switch {
	case (!p.Held() || keeps) && len(silences) == 0:
		d.outcome = outcomeRefused
		if d.text = overText(p, now); d.text == "" {
			d.text = fmt.Sprintf("%s is %s, there is nothing to undo: %s", p.Code, p.State, p.Headline)
		}
		return d, nil
	case p.Held() && p.Holder != by.Number && !byCode:
		d.outcome = outcomeRefused
		d.text = fmt.Sprintf("%s has %s since %s. UNDO %s reopens it: %s", had, p.Code, page.Span(now.Sub(p.AcknowledgedAt)), p.Code, p.Headline)
		return d, nil
	case p.Held() && keeps:
		p.EndSilence(by, now)
		d.pages = []*page.Page{p}
		d.others = rs.texts.noticesToOthers(p, by.Number, now, fmt.Sprintf("%s ended the silence of %s: %s", by, p.Code, p.Headline))
	case p.Held():
		what := fmt.Sprintf("%s undid the acknowledgement of %s", by, p.Code)
		d.text = fmt.Sprintf("Undone: %s is open again: %s", p.Code, p.Headline)
		if p.Holder != by.Number {
			what = fmt.Sprintf("%s undid %s's acknowledgement of %s", by, had, p.Code)
			d.text = fmt.Sprintf("Undone: %s is open again, %s has it no more: %s", p.Code, had, p.Headline)
		}
		p.Undo(rs.pages.plan(p.Receiver), by, now)
		d.pages = []*page.Page{p}
		d.others = rs.texts.noticesToOthers(p, by.Number, now, fmt.Sprintf("%s. It is open again: %s. Re %s", what, p.Headline, p.Code))
	}
	for i, w := range silences {
		w.end(now)
		w.By, w.Number, w.Seen = by.String(), by.Number, r.via != ""
		w.Report = i == len(silences)-1 // the confirmation comes when the last one has ended
		d.marks = append(d.marks, w.stored(now))
		d.text = ""
	}
	return d, nil
}
