package oncall

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// replyWindow is how long an equal reply is recognised as a repeated callback.
const replyWindow = 48 * time.Hour

// undatedWindow is replyWindow for replies without a date: somebody may well write the same words again.
const undatedWindow = 10 * time.Second

// replyMarks store the replies that respond to no message of ours.
const replyMarks mark.Kind[outbox.Reply] = outbox.MarkReply

// Outcome is the result of a reply.
type Outcome string

const (
	outcomeDone      Outcome = "done"      // a command was carried out
	outcomeRefused   Outcome = "refused"   // a command cannot be carried out; the confirmation says why
	outcomeAmbiguous Outcome = "ambiguous" // several pages may be meant
	outcomeUnclear   Outcome = "unclear"   // the reply is not a command
	outcomeRepeated  Outcome = "repeated"  // the same callback has been handled before
	outcomeStranger  Outcome = "stranger"  // the number is not registered
)

// replies carry out what phones ask for.
type replies struct {
	tools
	escalation *escalation
	silences   *silences
	limit      command.Limit

	mu     sync.Mutex
	latest map[e164.Number]latest // of registered numbers
}

// latest holds the last reply from a phone and the last confirmation to it.
type latest struct {
	reply       *received // nil: none
	act         *act      // the last reply that did something; nil: unknown
	confirmed   string    // the text of the last confirmation
	confirmedAt time.Time
}

// decision is what a reply does.
type decision struct {
	outcome        Outcome
	text           string       // of the confirmation; "": none is sent
	about          *page.Page   // the page that the text is about; nil: none
	pages          []*page.Page // the changed pages, to store
	continues      bool         // the reply continues the previous one
	marks          []outbox.Mark
	changesContact bool // a mark changes the state of a contact
	others         []outbox.Message
	acknowledged   []time.Duration // how long each page that is acknowledged now was open
}

// received is a reply, or an Act, and what is known about it.
type received struct {
	from    e164.Number
	text    string
	command command.Command
	about   *page.Page // the page of the message that the reply responds to; nil: none
	at      time.Time
	date    time.Time    // from the callback; zero: unknown
	written time.Time    // from date; zero: unknown
	via     string       // how an Act came; "": this is a reply
	note    string       // the text for command.Note
	noted   outbox.Entry // the entry that stores the reply itself
	confirm bool         // limits allow a confirmation
	share   bool         // limits allow messages to others
}

// take handles a reply, see OnCall.Reply.
func (rs *replies) take(ctx context.Context, reply textinghouse.Reply) (Outcome, error) {
	r := &received{text: reply.Text, date: reply.Date, at: rs.spool.Now()}
	r.written = written(reply, r.at)
	m, about, err := rs.respondsTo(ctx, reply)
	if err != nil {
		return "", err
	}
	id := ""
	if m != nil {
		id = m.ID
	}
	r.from = rs.sender(reply, m)
	r.about, r.noted = about, outbox.Entry{Key: replyKey(reply), SeenAt: r.at, Window: replyWindow}
	if reply.Date.IsZero() {
		r.noted.Window = undatedWindow
	}
	if id != "" {
		r.noted.Notes = []outbox.Change{outbox.Replied(id, r.at, reply.Text)}
	} else {
		kept := mark.Mark[outbox.Reply]{Name: rs.texts.newID(r.at), Value: outbox.Reply{From: r.from, Text: reply.Text}}
		r.noted.Marks = []outbox.Mark{replyMarks.Set(kept, r.at)}
	}
	registered, err := rs.registered(ctx, r)
	if err != nil {
		return "", err
	}
	if !registered {
		return rs.stranger(ctx, r, id)
	}
	r.command = command.Parse(reply.Text)
	if r.command.Verb == command.Acknowledge && tooFast(r, m) {
		r.command = command.Command{Verb: command.Machine}
	}
	r.confirm, r.share = rs.limit.Allows(r.from, r.command.Verb, r.at)
	done, repeated, err := rs.commit(ctx, r)
	if err != nil {
		return "", err
	}
	if repeated {
		return outcomeRepeated, nil
	}
	rs.done(ctx, r, done, id)
	return done.outcome, nil
}

// written returns when a reply was written, zero if its date cannot be right. Dates are in whole seconds;
// written returns the end of the second.
func written(reply textinghouse.Reply, now time.Time) time.Time {
	const oldest = 24 * time.Hour
	if age := now.Sub(reply.Date); age < 0 || age > oldest {
		return time.Time{}
	}
	return reply.Date.Truncate(time.Second).Add(time.Second)
}

// commit decides on a reply and stores the decision. If the store fails, the decision takes effect and is
// stored later: an acknowledgement must not wait for a disk.
func (rs *replies) commit(ctx context.Context, r *received) (done *decision, repeated bool, err error) {
	added, err := rs.spool.Commit(ctx, spool.Later, func(ctx context.Context) (*outbox.Entry, error) {
		d, err := rs.carryOut(ctx, r)
		if err != nil {
			return nil, err
		}
		done = &d
		e := rs.entry(r, &d)
		return &e, nil
	})
	return done, added.Duplicate, err
}

// entry returns the entry that stores a reply and the decision on it.
func (rs *replies) entry(r *received, d *decision) outbox.Entry {
	e := r.noted
	e.Marks = slices.Concat(e.Marks, d.marks)
	for _, p := range d.pages {
		if !r.written.IsZero() {
			p.SetClock(after(d.pages, r.date), true)
		}
		p.Schedule(rs.pages.plan(p.Receiver))
		e.OtherPages = append(e.OtherPages, p.Stored())
	}
	// All entries use the same order, so two of them cannot deadlock.
	slices.SortFunc(e.OtherPages, func(a, b *outbox.Page) int { return strings.Compare(a.ID, b.ID) })
	if r.share {
		e.Messages = d.others
	}
	if r.confirm && d.text != "" && !rs.confirmed(r, d.text) {
		lane := hex.EncodeToString(e.Key[:])
		if d.about != nil { // a newer confirmation about the page supersedes an unsent one
			lane = d.about.ID
		}
		m := rs.texts.notices.Notice(rs.people.Person(r.from), people.ReplyGroup+lane, r.at, d.text)
		if d.about != nil {
			m.PageID = d.about.ID
		}
		e.Messages = append(e.Messages, m)
	}
	for i, m := range e.Messages {
		e.Messages[i].ID = rs.idOf(r, append(slices.Clone(d.pages), d.about), string(m.To), m.Text)
	}
	return e
}

// idOf returns the id of a message or silence that a reply about pages creates. The id is the same if the
// callback comes again after a crash. A reply without a date gets a new id, because it may be another
// reply with the same words.
func (rs *replies) idOf(r *received, about []*page.Page, of ...string) string {
	if r.written.IsZero() {
		return rs.texts.newID(r.at)
	}
	return rs.texts.notices.SameID(after(about, r.date), r.at, append(of, string(r.noted.Key[:]))...)
}

// after returns a time, moved if necessary to be later than the Clock of all pages as loaded.
func after(pages []*page.Page, at time.Time) time.Time {
	for _, p := range pages {
		if p != nil {
			at = p.After(at)
		}
	}
	return at
}

// done wakes the loops that a stored decision concerns, and logs and counts the reply.
func (rs *replies) done(ctx context.Context, r *received, d *decision, id string) {
	rs.acted(r, d)
	if d.changesContact {
		_ = rs.people.Refresh(ctx)    // if it fails, people refresh soon
		rs.escalation.reviewAllSoon() // the pages of somebody who wants no more texts are reopened
	}
	rs.remember(r, d)
	if !r.confirm {
		rs.metrics.unconfirmed.Inc()
		rs.logger.Warn("a reply is not confirmed: its number has reached the limit", "to", r.from)
	}
	rs.metrics.replies.WithLabelValues(string(r.command.Verb), string(d.outcome)).Inc()
	rs.logger.Info("a phone replied", "from", r.from, "message", id, "command", r.command.Verb, "outcome", d.outcome)
}

// acted wakes the loops that a stored decision of a reply or an Act concerns, and counts the decision.
func (rs *replies) acted(r *received, d *decision) {
	rs.wake.Ring()
	if len(d.marks) > 0 && !d.changesContact {
		rs.silences.changed.Ring()
	}
	rs.limit.Count(r.from, r.command.Verb, r.confirm, r.at)
	for _, after := range d.acknowledged {
		rs.metrics.acknowledged.Observe(after.Seconds())
	}
	if r.via != "" {
		rs.metrics.acts.WithLabelValues(string(r.command.Verb), string(d.outcome)).Inc()
		rs.logger.Info("somebody acted on a page", "by", rs.people.Person(r.from).String(), "via", r.via, "command", r.command.Verb, "outcome", d.outcome)
	}
}

// stranger only stores the reply, which comes from a number that is not registered.
func (rs *replies) stranger(ctx context.Context, r *received, id string) (Outcome, error) {
	added, err := rs.spool.Try(ctx, spool.Later, r.noted)
	if err != nil || added.Duplicate {
		return outcomeRepeated, err
	}
	rs.metrics.replies.WithLabelValues("", string(outcomeStranger)).Inc()
	rs.logger.Warn("a number that is not registered replied; the reply is not confirmed", "from", r.from, "message", id)
	return outcomeStranger, nil
}

// respondsTo finds the message that a reply responds to, and its page. Either may be missing.
func (rs *replies) respondsTo(ctx context.Context, r textinghouse.Reply) (*outbox.Message, *page.Page, error) {
	m, err := rs.spool.Get(ctx, r.ClientID)
	if errors.Is(err, outbox.ErrNotFound) && r.APIID != "" {
		var id string
		if id, err = rs.spool.FindAPIID(ctx, r.APIID); err == nil {
			m, err = rs.spool.Get(ctx, id)
		}
	}
	if errors.Is(err, outbox.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil || m.PageID == "" {
		return &m, nil, err
	}
	about, err := rs.pages.load(ctx, m.PageID)
	if errors.Is(err, outbox.ErrNotFound) {
		return &m, nil, nil
	}
	return &m, about, err
}

// registered reports whether the sender may give commands: the number is configured, or it was paged for
// a current page or for the page that the reply is about. A reply without a number that responds to no
// message has no known sender.
func (rs *replies) registered(ctx context.Context, r *received) (bool, error) {
	if r.from == "" {
		return false, nil
	}
	if rs.people.Registered(r.from) || r.about != nil && slices.Contains(r.about.People.Numbers(), r.from) {
		return true, nil
	}
	mine, err := rs.pages.of(ctx, r.from)
	return len(mine) > 0, err
}

// replyKey returns the key of a reply. Repeated callbacks have the same key.
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
