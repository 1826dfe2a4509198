package oncall

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// pageMessages is how many of a page's latest messages are read.
const pageMessages = 500

// escalation takes the steps of pages that are due.
type escalation struct {
	tools
	rounds   prometheus.Counter
	failures map[string]*failure // only the loop uses it

	mu        sync.Mutex
	toReview  map[string]bool // IDs of pages to review before they are due
	reviewAll bool            // review all current pages
}

// step is an action that was due for a page, and the entry that stores it.
type step struct {
	page   *page.Page
	action page.Action
	at     time.Time       // see page.When
	people []outbox.Person // the people that the action pages
	entry  *outbox.Entry
}

// take takes the step that is due for a page. If the store fails, the step is sent first and stored
// later, unless another replica may take it too.
func (e *escalation) take(ctx context.Context, id string) error {
	var s *step
	_, err := e.spool.Commit(ctx, spool.Later, func(ctx context.Context) (_ *outbox.Entry, err error) {
		if s, err = e.decide(ctx, id); s == nil {
			return nil, err
		}
		return s.entry, nil
	})
	if err == nil && s != nil {
		e.taken(s)
	}
	return err
}

// decide returns the step that is due for a page, nil if none is.
func (e *escalation) decide(ctx context.Context, id string) (*step, error) {
	p, err := e.pages.load(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return nil, nil
	}
	if err != nil || !p.State.Current() {
		return nil, err
	}
	now, due, conf := e.spool.Now(), p.DueAt, e.settings.Load()
	r, facts := conf.receivers[p.Receiver], page.Facts{Plan: conf.plan(p.Receiver)}
	if r != nil {
		facts.HolderLeft = e.texts.holderLeft(p)
	} else {
		e.logger.Error("the receiver of a page is no longer configured; the page is neither escalated nor repeated", "page", p.ID, "receiver", p.Receiver)
	}
	if p.State == outbox.PageOpen && facts.Plan != nil {
		if facts.Reached, err = e.reached(ctx, p); err != nil {
			return nil, err
		}
	}
	s := &step{page: p, action: p.Next(facts, now)}
	s.at = p.When(s.action, facts.Plan)
	asks := s.action.Asks() && p.Asks(facts.Plan)
	if asks {
		if done := e.ask(ctx, s, now); done {
			e.finish(s, now)
			return s, nil
		}
		s.action = p.Next(facts, now)
		s.at = p.When(s.action, facts.Plan)
	}
	s.people = e.recipients(conf, p, s.action, now)
	paged := p.People.Numbers()
	p.Do(s.action, facts.Plan, s.people, now)
	if p.Schedule(facts.Plan); s.action.Kind == page.Wait && p.DueAt.Equal(due) && !asks {
		return nil, nil
	}
	s.entry = &outbox.Entry{}
	switch {
	case s.action.Kind == page.Settle && (r == nil || r.SendResolved):
		s.entry.Messages = e.texts.noticesToOthers(p, "", now, over("RESOLVED", p, p.FlapText(now)))
	case len(s.people) > 0:
		s.entry.Messages = e.texts.messages(conf, p, s.people, paged, now, s.action.Why)
	}
	e.finish(s, now)
	return s, nil
}

// finish completes the entry of a step. If the process ends after it has sent the step and before it has
// stored it, the step is taken again from the same state. The messages then have the same ids, and
// smspager asks the provider about them before it sends them again.
func (e *escalation) finish(s *step, now time.Time) {
	p := s.page
	e.texts.identify(s.entry.Messages, s.at, now, p.Origin(), string(s.action.Kind))
	p.SetClock(s.at, len(s.entry.Messages) > 0)
	s.entry.Page = p.Stored()
}

// ask asks Alertmanager about a page before people are paged. It returns true if the response is a step of
// its own: the page is over, or suppressed alerts fire, or may fire, again.
func (e *escalation) ask(ctx context.Context, s *step, now time.Time) bool {
	p, conf := s.page, e.settings.Load()
	fired, watched := p.Fires(), newWatch(e.texts.newID(now), p, now)
	why := "no longer suppressed"
	if !e.asking.about(ctx, p, now) {
		why = "Alertmanager does not respond"
	}
	r, again := conf.receivers[p.Receiver], p.FiresAgain()
	s.entry = &outbox.Entry{}
	switch {
	case !p.State.Current():
		s.action = page.Action{Kind: page.Wait}
		s.entry.Marks = watched.watchMarks(now)
		if r == nil || r.SendResolved {
			s.entry.Messages = e.texts.noticesToOthers(p, "", now, over("RESOLVED", p, "Alertmanager no longer lists it"))
		}
	case r != nil && again != "":
		reopens := ""
		if p.Held() {
			reopens = again
		}
		s.action = page.Action{Kind: page.HandBack}
		s.people = e.texts.everybody(p, r, now)
		p.Notified(again, page.Effect{}, s.people, reopens, now)
		s.entry.Messages = e.texts.messages(conf, p, s.people, nil, now, "")
	case r != nil && !fired && p.Fires() && p.State == outbox.PageOpen:
		paged := p.People.Numbers()
		s.action = page.Action{Kind: page.HandBack}
		s.people = e.texts.everybody(p, r, now)
		p.Reopen(s.people, now, why)
		s.entry.Messages = e.texts.messages(conf, p, s.people, paged, now, sentence(why))
	default:
		return false
	}
	p.Schedule(conf.plan(p.Receiver))
	return true
}

// over returns the text of the end of a page.
func over(what string, p *page.Page, why string) string {
	text := what + " " + p.Code + ": " + p.Headline
	if why != "" {
		text += ". " + sentence(why)
	}
	return text
}

// recipients returns the people that an action pages.
func (e *escalation) recipients(conf *settings, p *page.Page, a page.Action, now time.Time) []outbox.Person {
	r, severities := conf.receivers[p.Receiver], templating.Severities(p.Notification)
	switch a.Kind {
	case page.Escalate:
		people := e.people.People(r.Escalate[p.Steps].Recipients, severities, now)
		if p.Truncated() > 0 {
			people = unheld(people)
		}
		return people
	case page.HandBack:
		return e.texts.everybody(p, r, now)
	case page.Repeat:
		return e.texts.withPaged(p, severities, nil, now)
	}
	return nil
}

// taken logs and counts a step that is stored or sent.
func (e *escalation) taken(s *step) {
	p := s.page
	switch {
	case s.action.Kind == page.Escalate:
		e.metrics.escalations.WithLabelValues(p.Receiver).Inc()
		if len(s.people) == 0 {
			e.logger.Error("a step of an escalation has nobody to page; the next one is taken immediately", "page", p.ID, "receiver", p.Receiver, "step", p.Steps)
		}
	case s.action.Kind == page.Judge && s.action.Unreached != "":
		e.logger.Error("a page reached nobody and has no further step", "page", p.ID, "receiver", p.Receiver, "why", s.action.Unreached)
	}
}

// reached returns how far the messages of a page's last step have got.
func (e *escalation) reached(ctx context.Context, p *page.Page) ([]page.Reach, error) {
	all, err := e.spool.List(ctx, outbox.Query{Page: p.ID, Limit: pageMessages})
	var ms []outbox.Message
	for _, m := range all {
		if err == nil && p.OfLastStep(&m) {
			m, err = e.successor(ctx, m)
			ms = append(ms, m)
		}
	}
	return p.Reached(ms, e.people.Stopped), err
}

// successor returns the message that supersedes m, or m itself if none does.
func (e *escalation) successor(ctx context.Context, m outbox.Message) (outbox.Message, error) {
	const most = 10 // in a row
	for range most {
		if m.State != outbox.Superseded || m.SupersededBy == "" {
			break
		}
		next, err := e.spool.Get(ctx, m.SupersededBy)
		if errors.Is(err, outbox.ErrNotFound) {
			break
		}
		if err != nil {
			return m, err
		}
		m = next
	}
	return m, nil
}

// final handles a message that has reached its final state, see OnCall.Final.
func (e *escalation) final(m outbox.Message) {
	switch {
	case !m.State.Undelivered():
	case m.PageID != "":
		e.reviewSoon(m.PageID)
	case m.GroupKey == outbox.DigestGroup: // it may have reported any page
		e.reviewAllSoon()
	}
}

// reviewSoon makes the loop review a page, due or not.
func (e *escalation) reviewSoon(id string) {
	e.mu.Lock()
	e.toReview[id] = true
	e.mu.Unlock()
	e.wake.Ring()
}

// reviewAllSoon makes the loop review all current pages, due or not.
func (e *escalation) reviewAllSoon() {
	e.mu.Lock()
	e.reviewAll = true
	e.mu.Unlock()
	e.wake.Ring()
}
