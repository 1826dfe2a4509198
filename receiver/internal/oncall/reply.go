package oncall

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// replyWindow is how long the same reply again is taken for a repeated callback.
const replyWindow = 48 * time.Hour

// Outcome says what became of a reply.
type Outcome string

const (
	outcomeDone      Outcome = "done"      // a command was carried out
	outcomeRefused   Outcome = "refused"   // a command could not be, and why was told
	outcomeAmbiguous Outcome = "ambiguous" // which page was meant is not clear
	outcomeUnclear   Outcome = "unclear"   // it is no command
	outcomeRepeated  Outcome = "repeated"  // the callback came before
	outcomeStranger  Outcome = "stranger"  // the number is not registered
)

// answer is what a reply leads to.
type answer struct {
	outcome  Outcome
	text     string  // for the phone that replied; "" for none
	pages    []*page // to be stored
	about    *page   // that the text is about; nil: none
	marks    []outbox.Mark
	contact  bool // one of the marks is a contact's
	others   []outbox.Message
	answered []time.Duration // how long the pages were open that are answered now
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
	} else {
		entry.Marks = []outbox.Mark{o.noteReply(from, r.Text, now)}
	}
	registered, err := o.registered(ctx, from, about)
	if err != nil {
		return "", err
	}
	if !registered {
		repeated, err := o.addOnce(ctx, entry)
		if err != nil || repeated {
			return outcomeRepeated, err
		}
		o.metrics.replies.WithLabelValues("", string(outcomeStranger)).Inc()
		o.logger.Warn("a number that is not registered replied; it is not answered", "from", from, "message", id)
		return outcomeStranger, nil
	}
	if o.actedOn(entry.Key) {
		return outcomeRepeated, nil
	}
	c := command.Parse(r.Text)
	mayAnswer, mayTell := o.limit.Allows(from, c.Verb, now)
	var done answer
	var repeated, decided bool
	var e outbox.Entry
	err = retrying(ctx, func() error {
		var err error
		decided = false
		if done, err = o.carryOut(ctx, c, from, about, now); err != nil {
			return err
		}
		decided, e = true, entry
		e.Marks = slices.Concat(entry.Marks, done.marks)
		e.Also = o.toStore(done.pages)
		if mayTell {
			e.Messages = done.others
		}
		if mayAnswer {
			if done.text != "" {
				m := o.notices.Notice(o.people.Person(from), people.ReplyGroup+o.notices.NewID(now), now, done.text)
				if done.about != nil {
					m.PageID = done.about.ID
				}
				e.Messages = append(e.Messages, m)
			}
		}
		repeated, err = o.addOnce(ctx, e)
		return err
	})
	if err != nil && decided && len(done.marks) == 0 && !errors.Is(err, outbox.ErrConflict) && ctx.Err() == nil && !o.shared {
		repeated, err = o.actPast(ctx, &e, now)
	}
	if err != nil {
		return "", err
	}
	if repeated {
		return outcomeRepeated, nil
	}
	if done.contact {
		_ = o.people.Refresh(ctx) // again soon, where it fails
		o.reviewSoon()            // one who wants no more texts has no page any more
	}
	o.limit.Count(from, c.Verb, mayAnswer, now)
	if !mayAnswer {
		o.metrics.unanswered.Inc()
		o.logger.Warn("a reply is not answered, as its number was answered often enough", "to", from)
	}
	o.metrics.replies.WithLabelValues(string(c.Verb), string(done.outcome)).Inc()
	for _, after := range done.answered {
		o.metrics.acknowledged.Observe(after.Seconds())
	}
	o.logger.Info("a phone replied", "from", from, "message", id, "command", c.Verb, "outcome", done.outcome)
	return done.outcome, nil
}

// actedOn reports whether a reply was acted on past the store, which may not know of it.
func (o *OnCall) actedOn(key outbox.Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.actedPast[key].IsZero()
}

// actPast does what a reply asks for although the store fails: an acknowledgement must
// not wait for a disk. It is recorded later; until then the same callback again is a
// repeat.
func (o *OnCall) actPast(ctx context.Context, e *outbox.Entry, now time.Time) (repeated bool, err error) {
	o.mu.Lock()
	for key, at := range o.actedPast {
		if now.Sub(at) > replyWindow {
			delete(o.actedPast, key)
		}
	}
	_, repeated = o.actedPast[e.Key]
	o.actedPast[e.Key] = now
	o.mu.Unlock()
	if repeated {
		return true, nil
	}
	if err := o.sender.SendNow(ctx, e); err != nil {
		o.mu.Lock()
		delete(o.actedPast, e.Key)
		o.mu.Unlock()
		return false, err
	}
	o.logger.Error("a reply was acted on, although the outbox cannot be written; it is recorded later")
	return false, nil
}

// toStore are pages as they are to be stored.
func (o *OnCall) toStore(pages []*page) []*outbox.Page {
	receivers := o.settings.Load().receivers
	var all []*outbox.Page
	for _, p := range pages {
		p.schedule(receivers[p.Receiver])
		all = append(all, p.stored())
	}
	slices.SortFunc(all, func(a, b *outbox.Page) int { return strings.Compare(a.ID, b.ID) }) // as all do, so that none waits for another
	return all
}

// noteReply keeps a text that answers no message of ours.
func (o *OnCall) noteReply(from e164.Number, text string, now time.Time) outbox.Mark {
	doc, err := json.Marshal(outbox.Reply{From: from, Text: text})
	if err != nil {
		panic(err) // of strings
	}
	return outbox.Mark{Kind: outbox.MarkReply, Name: o.notices.NewID(now), At: now, Doc: doc}
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
// it, or a page was sent to it that it answers, or that is current.
func (o *OnCall) registered(ctx context.Context, from e164.Number, about *page) (bool, error) {
	if o.people.Registered(from) || about != nil && slices.Contains(about.numbers(), from) {
		return true, nil
	}
	pages, err := o.pagesOf(ctx, from)
	return len(pages) > 0, err
}
