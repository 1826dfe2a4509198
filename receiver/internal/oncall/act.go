package oncall

import (
	"cmp"
	"context"
	"fmt"

	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// Act carries out an action that does not come from a phone. It does what a reply would, but sends no
// confirmation to the phone. The error is a *command.ChangedError if the page is not what the person
// saw, a *command.UnknownContactError, or outbox.ErrNotFound. After an error nothing was done.
func (o *OnCall) Act(ctx context.Context, a command.Act) (command.Acted, error) {
	return o.replies.act(ctx, a)
}

func (rs *replies) act(ctx context.Context, a command.Act) (command.Acted, error) {
	number := a.Number
	if number == "" {
		who, ok := rs.people.Named(a.By)
		if !ok || who.Name == "" {
			return command.Acted{}, &command.UnknownContactError{Name: a.By}
		}
		number = who.Number
	}
	r := &received{
		from: number, via: a.Via, note: a.Text, at: rs.spool.Now(),
		command: command.Command{Verb: a.Verb, Length: a.Length, Until: a.Until},
	}
	_, r.share = rs.limit.Allows(r.from, a.Verb, r.at)
	var done decision
	var id string
	_, err := rs.spool.Commit(ctx, spool.Later, func(ctx context.Context) (*outbox.Entry, error) {
		stored, err := outbox.FindPage(ctx, rs.spool, a.Page)
		if err != nil {
			return nil, err
		}
		if a.Version != command.AnyVersion && stored.Version != a.Version {
			return nil, &command.ChangedError{Page: stored, Seen: a.Version}
		}
		p, err := rs.pages.read(stored)
		if err != nil {
			return nil, err
		}
		id, r.command.Codes = p.ID, []string{p.Code}
		if done, err = rs.onPages(ctx, []*page.Page{p}, "", r); err != nil {
			return nil, err
		}
		if len(done.pages) == 0 && len(done.marks) == 0 {
			return nil, nil
		}
		e := rs.entry(r, &done)
		return &e, nil
	})
	if err != nil {
		return command.Acted{}, err
	}
	rs.acted(r, &done)
	acted := command.Acted{Done: done.outcome == outcomeDone, Text: cmp.Or(done.text, requested(r))}
	acted.Page, err = rs.spool.Page(ctx, id)
	return acted, err
}

// requested returns the confirmation that Alertmanager is asked for a silence, or for its end. The page
// shows the outcome.
func requested(r *received) string {
	if r.command.Verb == command.Undo {
		return fmt.Sprintf("OK, the silence of %s is being ended", r.command.Codes[0])
	}
	return fmt.Sprintf("OK, the silence of %s is being set in Alertmanager", r.command.Codes[0])
}

// addNote adds somebody's note to a page's history.
func addNote(p *page.Page, by outbox.Person, r *received) decision {
	p.Note(r.at, outbox.PageEventNote, by.String(), r.note)
	return decision{outcome: outcomeDone, about: p, pages: []*page.Page{p}, text: "OK, the note is added to " + p.Code}
}
