package oncall

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// replyWindow is how long the same reply again is taken for a repeated callback.
const replyWindow = 48 * time.Hour

// maxOpen bounds the current pages that are looked through for a reply.
const maxOpen = 1000

// Outcome says what became of a reply.
type Outcome string

const (
	OutcomeDone      Outcome = "done"      // a command was carried out
	OutcomeRefused   Outcome = "refused"   // a command could not be, and why was told
	OutcomeAmbiguous Outcome = "ambiguous" // which page was meant is not clear
	OutcomeUnclear   Outcome = "unclear"   // it is no command
	OutcomeRepeated  Outcome = "repeated"  // the callback came before
	OutcomeStranger  Outcome = "stranger"  // the number is not registered
)

// answer is what a reply leads to.
type answer struct {
	outcome Outcome
	text    string // for the phone that replied; "" for none
	page    *page  // to be stored; nil: none
	about   *page  // that the text is about; nil: none
	marks   []outbox.Mark
	others  []outbox.Message
}

// Reply takes in a text from a phone (MO). It acts once however often the callback
// comes. An error means that nothing was done, and that the callback should be
// repeated.
func (o *OnCall) Reply(ctx context.Context, r textinghouse.Reply) (Outcome, error) {
	from := e164.Number(r.From)
	now := time.Now()
	id, about, err := o.answered(ctx, r)
	if err != nil {
		return "", err
	}
	entry := outbox.Entry{Key: replyKey(r), SeenAt: now, Window: replyWindow}
	if id != "" {
		entry.Notes = []outbox.Change{outbox.Replied(id, now, r.Text)}
	}
	if !o.registered(from, about) {
		repeated, err := o.addOnce(ctx, entry)
		if err != nil || repeated {
			return OutcomeRepeated, err
		}
		o.metrics.replies.WithLabelValues("", string(OutcomeStranger)).Inc()
		o.logger.Warn("a number that is not registered replied; it is not answered", "from", from, "message", id)
		return OutcomeStranger, nil
	}
	c := parseCommand(r.Text)
	var done answer
	var repeated bool
	mayAnswer := sync.OnceValue(func() bool { return o.mayAnswer(from, c.verb, now) })
	err = retrying(ctx, func() error {
		var err error
		if done, err = o.carryOut(ctx, c, from, about, now); err != nil {
			return err
		}
		e := entry
		e.Marks = done.marks
		e.Messages = done.others
		if done.page != nil {
			done.page.schedule(o.settings.Load().receivers[done.page.Receiver])
			e.Page = done.page.stored()
		}
		if done.text != "" && mayAnswer() {
			m := o.notice(o.settings.Load().directory.person(from), "smspager:reply:"+o.ids.New(now), now, done.text)
			if done.about != nil {
				m.PageID = done.about.ID
			}
			e.Messages = append(e.Messages, m)
		}
		repeated, err = o.addOnce(ctx, e)
		return err
	})
	if err != nil {
		return "", err
	}
	if repeated {
		return OutcomeRepeated, nil
	}
	o.metrics.replies.WithLabelValues(string(c.verb), string(done.outcome)).Inc()
	if done.page != nil && done.page.State == outbox.PageAcknowledged && done.outcome == OutcomeDone && c.verb == verbAcknowledge {
		o.metrics.acknowledged.Observe(now.Sub(done.page.OpenedAt).Seconds())
	}
	o.logger.Info("a phone replied", "from", from, "message", id, "command", c.verb, "outcome", done.outcome)
	return done.outcome, nil
}

// replyKey tells replies apart.
func replyKey(r textinghouse.Reply) outbox.Key {
	h := sha256.New()
	for _, s := range []string{"reply", r.APIID, r.ClientID, r.From, r.Text, r.Date.UTC().Format(time.RFC3339)} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	var key outbox.Key
	h.Sum(key[:0])
	return key
}

// answered finds the message that a reply answers, and the page that it tells of.
// Either may be missing.
func (o *OnCall) answered(ctx context.Context, r textinghouse.Reply) (id string, about *page, err error) {
	id = r.ClientID
	if id == "" {
		if id, err = o.store.FindAPIID(ctx, r.APIID); errors.Is(err, outbox.ErrNotFound) {
			return "", nil, nil
		} else if err != nil {
			return "", nil, err
		}
	}
	m, err := o.store.Get(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return "", nil, nil
	}
	if err != nil || m.PageID == "" {
		return id, nil, err
	}
	stored, err := o.store.Page(ctx, m.PageID)
	if errors.Is(err, outbox.ErrNotFound) {
		return id, nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	about, err = load(stored)
	return id, about, err
}

// registered reports whether a number may give commands: the configuration names
// it, or the page that it answers was sent to it.
func (o *OnCall) registered(from e164.Number, about *page) bool {
	return o.settings.Load().directory.registered[from] || about != nil && slices.Contains(about.numbers(), from)
}

// carryOut decides what a command leads to. Nothing is stored yet.
func (o *OnCall) carryOut(ctx context.Context, c command, from e164.Number, about *page, now time.Time) (answer, error) {
	s := o.settings.Load()
	by := s.directory.person(from)
	switch c.verb {
	case verbHelp:
		return answer{outcome: OutcomeDone, text: helpText}, nil
	case verbWho:
		return answer{outcome: OutcomeDone, text: s.dutyText(now)}, nil
	case verbStatus:
		mine, err := o.pagesOf(ctx, "")
		return answer{outcome: OutcomeDone, text: openText(mine, now)}, err
	case verbStop:
		return o.stopContact(s, by, now), nil
	case verbStart:
		mark := o.contacts.changed(from, now, func(st *contactState) { st.StoppedAt = time.Time{} })
		return answer{outcome: OutcomeDone, text: "You get texts again. STOP ends that.", marks: []outbox.Mark{mark}}, nil
	case verbVerify:
		return o.verified(c.code, by, now), nil
	case verbUnknown:
		return answer{outcome: OutcomeUnclear, text: "Not understood, nothing was done. " + helpText}, nil
	}
	p, problem, err := o.meant(ctx, c, from, about, now)
	if err != nil || p == nil {
		return problem, err
	}
	switch c.verb {
	case verbAcknowledge:
		return o.acknowledge(s, p, by, now), nil
	case verbSilence:
		return o.askSilence(s, p, by, c.long, now), nil
	default:
		return o.takeBack(s, p, by, now), nil
	}
}

// pagesOf are the current pages, newest first; with a number, those that it was paged
// for.
func (o *OnCall) pagesOf(ctx context.Context, number e164.Number) ([]*page, error) {
	stored, err := o.store.Pages(ctx, outbox.PageQuery{Current: true, Limit: maxOpen})
	if err != nil {
		return nil, err
	}
	var all []*page
	for _, s := range stored {
		p, err := load(s)
		if err != nil {
			return nil, err
		}
		if number == "" || slices.Contains(p.numbers(), number) {
			all = append(all, p)
		}
	}
	return all, nil
}

// meant finds the page that a command means: by its code, by the message that was
// answered, or as the only one there is. It never guesses: without a page it
// returns what to answer instead.
func (o *OnCall) meant(ctx context.Context, c command, from e164.Number, about *page, now time.Time) (*page, answer, error) {
	if c.code != "" {
		stored, err := o.store.Pages(ctx, outbox.PageQuery{Code: c.code, Limit: 1})
		if err != nil {
			return nil, answer{}, err
		}
		if len(stored) > 0 && (stored[0].State.Current() || now.Sub(stored[0].UpdatedAt) < pageFor) {
			p, err := load(stored[0])
			return p, answer{}, err
		}
		mine, err := o.pagesOf(ctx, from)
		return nil, answer{outcome: OutcomeRefused, text: lines("No page "+c.code+". "+openHead(mine), mine, now)}, err
	}
	mine, err := o.pagesOf(ctx, from)
	if err != nil {
		return nil, answer{}, err
	}
	if about != nil && (about.State.Current() || len(mine) == 0) {
		// As it is now, not as it was when the message was found.
		stored, err := o.store.Page(ctx, about.ID)
		if err != nil {
			return nil, answer{}, err
		}
		p, err := load(stored)
		return p, answer{}, err
	}
	candidates := mine
	if c.verb == verbUndo {
		candidates = slices.DeleteFunc(slices.Clone(mine), func(p *page) bool { return p.Number != string(from) })
		slices.SortFunc(candidates, func(a, b *page) int { return b.AcknowledgedAt.Compare(a.AcknowledgedAt) })
		if len(candidates) > 1 { // the last thing that this phone did
			candidates = candidates[:1]
		}
	} else if open := slices.DeleteFunc(slices.Clone(mine), func(p *page) bool { return p.State != outbox.PageOpen }); len(open) == 1 {
		candidates = open
	}
	switch len(candidates) {
	case 1:
		return candidates[0], answer{}, nil
	case 0:
		text := "No page of yours is open."
		if c.verb == verbUndo {
			text = "There is nothing to take back."
		}
		return nil, answer{outcome: OutcomeRefused, text: text}, nil
	}
	return nil, answer{outcome: OutcomeAmbiguous, text: lines("Which one? Answer with its code.", mine, now)}, nil
}

func openHead(pages []*page) string {
	if len(pages) == 0 {
		return "None of yours is open."
	}
	return "Yours are:"
}

// openText lists what is current.
func openText(pages []*page, now time.Time) string {
	if len(pages) == 0 {
		return "Nothing is open."
	}
	return lines(fmt.Sprintf("%d open:", len(pages)), pages, now)
}

// isOver is what a command about a page that is over is answered; "" if it is not.
func (p *page) isOver(now time.Time) string {
	if p.State.Current() {
		return ""
	}
	return fmt.Sprintf("%s is %s, since %s: %s", p.Code, p.State, span(now.Sub(p.UpdatedAt)), p.Headline)
}

func (o *OnCall) acknowledge(s *settings, p *page, by outbox.Person, now time.Time) answer {
	if over := p.isOver(now); over != "" {
		return answer{outcome: OutcomeRefused, text: over, about: p}
	}
	if p.State != outbox.PageOpen {
		if p.Number == string(by.Number) {
			return answer{outcome: OutcomeDone, text: fmt.Sprintf("%s is yours already: %s", p.Code, p.Headline), about: p}
		}
		return answer{outcome: OutcomeRefused, about: p,
			text: fmt.Sprintf("%s has %s since %s: %s", p.AcknowledgedBy, p.Code, span(now.Sub(p.AcknowledgedAt)), p.Headline)}
	}
	p.acknowledge(by, now, "by reply, "+span(now.Sub(p.OpenedAt))+" after it opened")
	return answer{
		outcome: OutcomeDone, page: p, about: p, text: fmt.Sprintf("OK, %s is yours: %s", p.Code, p.Headline),
		others: o.others(s, p, by.Number, now, fmt.Sprintf("%s has %s: %s", by, p.Code, p.Headline)),
	}
}

// askSilence acknowledges the page, and has Alertmanager asked for the silence. What
// came of that is told then.
func (o *OnCall) askSilence(s *settings, p *page, by outbox.Person, long time.Duration, now time.Time) answer {
	refuse := func(format string, args ...any) answer {
		return answer{outcome: OutcomeRefused, about: p, text: fmt.Sprintf(format, args...)}
	}
	alerts := len(p.Notification.Alerts) + int(min(p.Notification.TruncatedAlerts, 1<<20))
	switch {
	case p.isOver(now) != "":
		return refuse("%s", p.isOver(now))
	case s.silencer == nil:
		return refuse("NOT silenced: silences are not set up here. OK %s acknowledges.", p.Code)
	case long > s.cfg.Alertmanager.MaxSilence:
		return refuse("NOT silenced: at most %s is allowed. OK %s acknowledges.", span(s.cfg.Alertmanager.MaxSilence), p.Code)
	case alerts > maxAlerts:
		return refuse("NOT silenced: %d alerts are too many for a text, use Alertmanager. OK %s acknowledges.", alerts, p.Code)
	case p.Silence != nil && !p.Silence.NextAt.IsZero():
		return refuse("%s is being silenced by %s.", p.Code, p.Silence.By)
	}
	if p.State == outbox.PageOpen {
		p.acknowledge(by, now, "with a silence, "+span(now.Sub(p.OpenedAt))+" after it opened")
	}
	p.Silence = &silence{
		By: by.String(), Number: by.Number, For: long, Until: now.Add(long), NextAt: now,
		Comment: fmt.Sprintf("smspager page %s (%s) by reply %s", p.ID, p.Code, o.ids.New(now)),
	}
	p.note(now, outbox.PageEventSilencing, by.String(), "for "+span(long))
	return answer{outcome: OutcomeDone, page: p, about: p}
}

// takeBack makes an answered page open again.
func (o *OnCall) takeBack(s *settings, p *page, by outbox.Person, now time.Time) answer {
	if over := p.isOver(now); over != "" {
		return answer{outcome: OutcomeRefused, text: over, about: p}
	}
	if p.State == outbox.PageOpen {
		return answer{outcome: OutcomeRefused, about: p, text: fmt.Sprintf("%s is open, there is nothing to take back: %s", p.Code, p.Headline)}
	}
	w := p.Silence
	p.undo(s.receivers[p.Receiver], by, now)
	others := o.others(s, p, by.Number, now, fmt.Sprintf("%s gave %s back, it is open again: %s. Re %s", by, p.Code, p.Headline, p.Code))
	if w != nil {
		w.End, w.Tries, w.NextAt, w.By, w.Number = true, 0, now, by.String(), by.Number
		p.Silence = w
		return answer{outcome: OutcomeDone, page: p, about: p, others: others} // told when the silence has ended
	}
	return answer{outcome: OutcomeDone, page: p, about: p, others: others, text: fmt.Sprintf("Undone: %s is open again: %s", p.Code, p.Headline)}
}

// stopContact sends somebody no more texts, and tells the others.
func (o *OnCall) stopContact(s *settings, by outbox.Person, now time.Time) answer {
	if o.contacts.stopped(by.Number) {
		return answer{outcome: OutcomeDone}
	}
	a := answer{
		outcome: OutcomeDone, text: "You get no more texts from smspager. START undoes that.",
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
		return answer{outcome: OutcomeRefused, text: "That is not the code of a verification of this phone."}
	}
	return answer{
		outcome: OutcomeDone, text: "Thank you, " + cmp.Or(by.Name, "this phone") + " is verified.",
		marks: []outbox.Mark{o.contacts.changed(by.Number, now, func(st *contactState) { st.VerifiedAt, st.Code, st.CodeAt = now, "", time.Time{} })},
	}
}
