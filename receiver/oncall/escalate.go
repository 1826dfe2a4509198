package oncall

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// dueBatch is how many due pages are looked at before anything else is.
	dueBatch = 100
	// longestRetry is how long a page that cannot be looked after waits at most.
	longestRetry = 30 * time.Second
	// pageMessages is how many of a page's latest messages are looked at.
	pageMessages = 500
)

// Final takes in the end of a message. One of a page that did not arrive lets its
// escalation go on at once.
func (o *OnCall) Final(m outbox.Message) {
	switch {
	case !m.State.Undelivered():
	case m.PageID != "":
		o.lookAgain(m.PageID)
	case m.GroupKey == outbox.DigestGroup: // it may have told of any
		o.reviewSoon()
	}
}

// lookAgain has a page looked at whether it is due or not.
func (o *OnCall) lookAgain(id string) {
	o.mu.Lock()
	o.again[id] = true
	o.mu.Unlock()
	signal(o.wake)
}

// Undelivered takes in that some process found that a message did not arrive.
func (o *OnCall) Undelivered(ctx context.Context, id string) {
	if m, err := o.store.Get(ctx, id); err == nil {
		o.Final(m)
	}
}

// failure is of a page that could not be looked after.
type failure struct {
	times  int
	until  time.Time     // when it is tried again
	unsent *outbox.Entry // some of which may have been sent past the store; nil: none
}

// runPages does what is due until the context ends. All that it goes by is in the
// outbox, so that a restart changes nothing, and each step is guarded by the
// page's version, so that of several processes one takes it.
func (o *OnCall) runPages(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := make(map[string]*failure)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-o.wake:
		}
		wait, err := o.doDue(ctx, failures)
		if err != nil && ctx.Err() == nil {
			o.logger.Error("cannot read the pages; trying again", "err", err)
			wait = min(wait, storeRetry)
		}
		timer.Reset(wait)
	}
}

// doDue does what is due, and returns the time until more is. A page that cannot be
// looked after is tried again a little later, and keeps no other waiting.
func (o *OnCall) doDue(ctx context.Context, failures map[string]*failure) (wait time.Duration, err error) {
	reviewed := o.review(ctx, failures)
	for ctx.Err() == nil {
		var due []string
		if due, wait, err = o.due(ctx, time.Now(), failures); len(due) == 0 {
			break
		}
		for _, id := range due {
			o.try(ctx, id, failures)
		}
	}
	for _, f := range failures {
		wait = min(wait, max(0, time.Until(f.until)))
	}
	return wait, cmp.Or(reviewed, err)
}

// due are pages that are due, without those that failed a moment ago, and the time
// until others are.
func (o *OnCall) due(ctx context.Context, now time.Time, failures map[string]*failure) (ids []string, wait time.Duration, err error) {
	wait = o.gap
	take := func(p *outbox.Page) {
		switch {
		case p.DueAt.IsZero(), failures[p.ID] != nil && now.Before(failures[p.ID].until):
		case p.DueAt.After(now):
			wait = min(wait, p.DueAt.Sub(now))
		default:
			ids = append(ids, p.ID)
		}
	}
	ahead := make(map[string]bool)
	for _, p := range o.past.all() {
		ahead[p.ID] = true
		take(&p)
	}
	ps, err := o.store.Pages(ctx, outbox.PageQuery{DueBy: now.Add(10 * pageFor), Limit: dueBatch + len(failures) + len(ahead)})
	for _, p := range ps {
		if !ahead[p.ID] {
			take(&p)
		}
	}
	return ids, wait, err
}

// review looks at pages that may be due though their time has not come: some, or
// all that are current.
func (o *OnCall) review(ctx context.Context, failures map[string]*failure) error {
	o.mu.Lock()
	again, all := o.again, o.reviewAll
	o.again, o.reviewAll = make(map[string]bool), false
	o.mu.Unlock()
	var err error
	if all {
		err = o.eachCurrent(ctx, func(p outbox.Page) error {
			again[p.ID] = true
			return nil
		})
	}
	for id := range again {
		if o.try(ctx, id, failures) {
			delete(again, id)
		}
	}
	o.mu.Lock() // none is forgotten
	defer o.mu.Unlock()
	for id := range again {
		o.again[id] = true
	}
	o.reviewAll = o.reviewAll || all && err != nil
	return err
}

// eachCurrent yields all pages that are current, newest first.
func (o *OnCall) eachCurrent(ctx context.Context, yield func(outbox.Page) error) error {
	for before := ""; ; {
		ps, err := o.store.Pages(ctx, outbox.PageQuery{Current: true, Before: before, Limit: dueBatch})
		if err != nil {
			return err
		}
		for _, p := range ps {
			before = p.ID
			if err := yield(p); err != nil {
				return err
			}
		}
		if len(ps) < dueBatch {
			return nil
		}
	}
}

// try looks after a page, unless it failed a moment ago, and reports whether it did.
func (o *OnCall) try(ctx context.Context, id string, failures map[string]*failure) bool {
	f := failures[id]
	if f == nil {
		f = &failure{}
	} else if time.Now().Before(f.until) {
		return false
	}
	err := retrying(ctx, func() error { return o.lookAfter(ctx, id, f) })
	if err == nil {
		delete(failures, id)
		return true
	}
	if ctx.Err() == nil {
		f.until = time.Now().Add(min(storeRetry<<min(f.times, 10), longestRetry))
		if errors.Is(err, errUnreadable) { // time does not mend it
			f.until = time.Now().Add(time.Hour)
		}
		f.times++
		failures[id] = f
		o.logger.Error("a page cannot be looked after; trying again", "page", id, "tries", f.times, "err", err)
	}
	return false
}

// lookAfter does what is due for a page.
func (o *OnCall) lookAfter(ctx context.Context, id string, f *failure) error {
	if f.unsent != nil {
		return o.finish(ctx, f)
	}
	p, err := o.stored(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return nil
	}
	if err != nil || !p.State.Current() {
		return err
	}
	s := o.settings.Load()
	return o.step(ctx, &visit{page: p, settings: s, receiver: s.receivers[p.Receiver], now: time.Now(), failure: f})
}

// visit is a page that is looked after.
type visit struct {
	page     *page
	settings *settings
	receiver *config.Receiver // nil: it is no longer configured
	now      time.Time
	failure  *failure
}

// step does the one thing that is due for a page that is current. The next is due
// at once, or at its time.
func (o *OnCall) step(ctx context.Context, v *visit) error {
	p, r, now := v.page, v.receiver, v.now
	due := p.DueAt
	switch {
	case !now.Before(p.expires()):
		p.end(outbox.PageExpired, outbox.PageEventExpired, now, "nothing was heard of it for "+span(pageFor))
		return o.save(ctx, v, nil)
	case p.State != outbox.PageOpen || r == nil:
		p.schedule(r)
		if p.DueAt.Equal(due) {
			return nil
		}
		return o.save(ctx, v, nil)
	}
	impatient := r.NoReceipt > 0 && !p.Judged && now.Sub(p.StepAt) >= r.NoReceipt
	last, err := o.reached(ctx, p)
	if err != nil {
		return err
	}
	lost := why(last, func(r reach) bool { return r.lost || impatient && !r.arrived })
	at, more := p.nextStep(r)
	switch {
	case more && !now.Before(at) && why(last, func(r reach) bool { return r.lost || !r.sent }) != "":
		return o.escalate(ctx, v, "Not reached:")
	case more && !now.Before(at):
		return o.escalate(ctx, v, "No answer from")
	case more && lost != "":
		p.note(now, outbox.PageEventUnreached, "", lost)
		return o.escalate(ctx, v, "Not reached:")
	case r.Repeat > 0 && len(p.People) > 0 && now.Sub(p.RepeatAt) >= r.Repeat:
		return o.repeat(ctx, v)
	}
	if !p.Judged && (lost != "" || impatient) {
		p.Judged = true
		if lost != "" {
			p.note(now, outbox.PageEventUnreached, "", lost+"; nobody else is to be paged")
			o.logger.Error("a page reached nobody, and there is no further step", "page", p.ID, "receiver", p.Receiver, "why", lost)
		}
		return o.save(ctx, v, nil)
	}
	if p.schedule(r); p.DueAt.Equal(due) {
		return nil
	}
	return o.save(ctx, v, nil)
}

// reach is how far the newest text got to somebody whom a page's last step paged.
type reach struct {
	who     string
	detail  string
	sent    bool // the provider took it
	arrived bool
	lost    bool // it will not arrive, or its owner wants no more texts
}

// reached is how far the last step's texts got.
func (o *OnCall) reached(ctx context.Context, p *page) ([]reach, error) {
	people := p.ofStep(p.Steps)
	if len(people) == 0 {
		return nil, nil
	}
	ms, err := o.store.List(ctx, outbox.Query{Page: p.ID, Limit: pageMessages})
	if err != nil && p.Version == unrecorded {
		return nil, nil // nothing is known of them yet
	}
	if err != nil {
		return nil, err
	}
	newest := make(map[e164.Number]outbox.Message)
	for _, m := range ms { // newest first
		if _, seen := newest[m.To]; !seen {
			newest[m.To] = m
		}
	}
	var all []reach
	for _, person := range people {
		r := reach{who: person.person().String()}
		m, known := newest[person.Number]
		if known {
			if m, err = o.successor(ctx, m); err != nil {
				return nil, err
			}
		}
		switch {
		case o.contacts.stopped(person.Number):
			r.lost, r.detail = true, "wants no more texts"
		case !known: // before what is looked at, or not recorded yet
			r.sent, r.arrived = true, true
		case m.State.Undelivered():
			r.lost, r.detail = true, lastDetail(m)
		default:
			r.sent, r.arrived, r.detail = m.State != outbox.Queued && m.State != outbox.Sending, m.State == outbox.Delivered, "no receipt"
		}
		all = append(all, r)
	}
	return all, nil
}

// successor is the message that tells what a superseded one was to tell.
func (o *OnCall) successor(ctx context.Context, m outbox.Message) (outbox.Message, error) {
	const most = 10 // one after the other
	for range most {
		if m.State != outbox.Superseded || m.OutdatedBy == "" {
			break
		}
		next, err := o.store.Get(ctx, m.OutdatedBy)
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

// why says why nobody has a page, where that holds for all whom it was sent to; it
// is "" otherwise.
func why(all []reach, without func(reach) bool) string {
	var parts []string
	for _, r := range all {
		if !without(r) {
			return ""
		}
		parts = append(parts, r.who+": "+r.detail)
	}
	return strings.Join(parts, "; ")
}

func lastDetail(m outbox.Message) string {
	if len(m.Events) == 0 {
		return string(m.State)
	}
	return string(m.State) + " (" + m.Events[len(m.Events)-1].Detail + ")"
}

// escalate takes the next step.
func (o *OnCall) escalate(ctx context.Context, v *visit, why string) error {
	p, r, now := v.page, v.receiver, v.now
	step := r.Escalate[p.Steps]
	people := o.People(step.Recipients, templating.Severities(p.Notification), now)
	if names := p.names(p.Steps); names != "" {
		why += " " + names
	} else {
		why = ""
	}
	p.Steps++
	p.StepAt, p.Judged, p.AtOnce = now, false, len(people) == 0
	p.note(now, outbox.PageEventEscalated, "", fmt.Sprintf("step %d of %d: %s", p.Steps, len(r.Escalate), strings.Join(step.To, ", ")))
	if p.AtOnce {
		p.note(now, outbox.PageEventUnreached, "", "the step names nobody who can be paged")
		o.logger.Error("a step of an escalation names nobody who can be paged; the next one is taken at once", "page", p.ID, "receiver", p.Receiver, "step", p.Steps)
	}
	p.told(now, p.Steps, outbox.PageEventPaged, people)
	err := o.save(ctx, v, o.texts(v.settings, p, people, now, why))
	if err == nil {
		o.metrics.escalations.WithLabelValues(p.Receiver).Inc()
	}
	return err
}

// repeat pages everybody again.
func (o *OnCall) repeat(ctx context.Context, v *visit) error {
	p := v.page
	people := o.withPaged(v.settings, p, templating.Severities(p.Notification), nil, v.now)
	p.RepeatAt = v.now
	p.note(v.now, outbox.PageEventRepeated, "", "nobody has answered")
	return o.save(ctx, v, o.texts(v.settings, p, people, v.now, ""))
}

// texts are a page's text, as of now, for people.
func (o *OnCall) texts(s *settings, p *page, people []outbox.Person, now time.Time, why string) []outbox.Message {
	r := s.receivers[p.Receiver]
	n := p.Notification
	n.NotificationReason = "repeat interval elapsed" // it fires still
	rendered := s.render[p.Receiver](n, p.tail(why))
	var ms []outbox.Message
	for _, person := range people {
		ms = append(ms, outbox.Message{
			ID: o.ids.New(now), To: person.Number, Receiver: p.Receiver, GroupKey: p.GroupKey, PageID: p.ID,
			Headline: p.Headline, Urgent: slices.Contains(r.Urgent, p.Severity),
			Text: rendered.Text, Encoding: rendered.Size.Encoding, Segments: rendered.Size.Segments, State: outbox.Queued,
			CreatedAt: now, UpdatedAt: now, NotBefore: person.NotBefore, ExpiresAt: latest(now, person.NotBefore).Add(r.MaxAge),
			Events: []outbox.Event{{At: now, Type: outbox.EventQueued, Detail: why}},
		})
	}
	return ms
}

// save stores a page that was looked after, with messages that tell of it. Where the
// store fails time and again they are sent past it, unless another process may do
// the same.
func (o *OnCall) save(ctx context.Context, v *visit, ms []outbox.Message) error {
	v.page.schedule(v.receiver)
	e := outbox.Entry{Key: newKey(), SeenAt: v.now, Window: pageFor, Messages: ms, Page: v.page.stored()}
	if v.page.Version != unrecorded {
		err := o.add(ctx, e)
		if err == nil || errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil || o.shared || v.failure.times == 0 {
			return err
		}
	}
	return o.sendNow(ctx, e, v.failure)
}

// sendNow sends an entry past the store. Of one that cannot be sent either some may
// have been, so it is kept.
func (o *OnCall) sendNow(ctx context.Context, e outbox.Entry, f *failure) error {
	f.unsent = &e
	if err := o.sender.SendNow(ctx, f.unsent); err != nil {
		return err
	}
	f.unsent = nil
	return nil
}

// finish stores what could neither be stored nor sent before, or sends it past the
// store. Where the page was changed meanwhile only what may have been sent is left.
func (o *OnCall) finish(ctx context.Context, f *failure) error {
	e := *f.unsent
	err := o.add(ctx, e)
	if err == nil {
		f.unsent = nil
		return nil
	}
	if _, ahead := o.past.get(e.Page.ID); errors.Is(err, outbox.ErrConflict) && !ahead {
		e.Messages = slices.DeleteFunc(e.Messages, func(m outbox.Message) bool { return m.State == outbox.Queued })
		if len(e.Messages) == 0 {
			f.unsent = nil
			return nil
		}
	}
	return o.sendNow(ctx, e, f)
}

// add stores an entry and hands its messages over.
func (o *OnCall) add(ctx context.Context, e outbox.Entry) error {
	_, err := o.addOnce(ctx, e)
	return err
}

// addOnce is add, and tells a repeat.
func (o *OnCall) addOnce(ctx context.Context, e outbox.Entry) (duplicate bool, err error) {
	added, err := o.store.Add(ctx, e)
	if err != nil || added.Duplicate {
		return added.Duplicate, err
	}
	for _, m := range e.Marks {
		switch m.Kind {
		case contactMark:
			_ = o.loadContacts(ctx) // again soon, where it fails
			o.reviewSoon()          // one who wants no more texts has no page any more
		case silenceMark:
			signal(o.silencesChanged)
		}
	}
	o.sender.Handover(e.Messages...)
	signal(o.wake)
	return false, nil
}

// retrying does something again, from what is stored by then, where it was changed
// meanwhile. What is changed time and again is left, with ErrConflict.
func retrying(ctx context.Context, do func() error) (err error) {
	const most, hasty = 20, 3
	for i := range most {
		if err = do(); !errors.Is(err, outbox.ErrConflict) || ctx.Err() != nil {
			return err
		}
		if i >= hasty {
			sleep(ctx, time.Duration(i)*5*time.Millisecond)
		}
	}
	return err
}

// newKey is one that is like no other.
func newKey() (key outbox.Key) {
	_, _ = rand.Read(key[:]) // it never fails
	return key
}
