package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// lateGroup and lateReceiver are those of notices about messages that were too old. No
// receiver of the configuration has this name.
const (
	lateGroup    = "smspager:late"
	lateReceiver = "smspager:late"
)

const (
	// digestAge is how long a digest may wait to be sent.
	digestAge = 24 * time.Hour
)

// digest sends one message in the place of several that were held. Urgent ones get as many
// as it takes to name each page and its code.
func (a *attempts) digest(ctx context.Context, s Settings, run queue.Run) outcome {
	now := time.Now()
	result := queue.Result{Run: run}
	retry := outcome{Result: queue.Result{Run: run, Again: now.Add(storeRetry)}}
	held := &tally{order: s.Severities}
	var folded []outbox.Message
	alone := "" // the one that is left, if it is not too old
	for _, r := range append([]queue.Run{run}, run.With...) {
		m, err := a.spool.Get(ctx, r.ID)
		switch {
		case errors.Is(err, outbox.ErrNotFound), err == nil && m.State != outbox.Queued:
			continue
		case err != nil:
			a.logger.Error("cannot read a message for a digest; trying again", "id", r.ID, "err", err)
			return retry
		}
		if why := a.unneeded(ctx, m, now); why != "" {
			at := &attempt{attempts: a, m: m}
			at.record(ctx, outbox.Needless(r.ID, now, why))
			continue
		}
		if alone = ""; len(folded) == 0 && !now.After(r.Expires) {
			alone = r.ID
		}
		folded = append(folded, m)
		held.add(m, 1+r.Missed, a.code(ctx, m.PageID))
	}
	if result.Alone = alone; len(folded) == 0 || alone != "" {
		return outcome{Result: result}
	}
	e := outbox.Entry{}
	for _, part := range held.digests(fmt.Sprint(held.messages, " more")) {
		m := a.notices.notice(run.To, outbox.DigestGroup, run.Receiver, now, part.text, "a digest of "+templating.Counted(len(part.ids), "message"))
		m.Severity = part.severity
		for _, id := range part.ids {
			e.Notes = append(e.Notes, outbox.Folded(id, m.ID, now))
		}
		e.Messages = append(e.Messages, m)
	}
	if _, err := a.spool.Commit(context.WithoutCancel(ctx), spool.Later, func(context.Context) (*outbox.Entry, error) { return &e, nil }); err != nil {
		a.logger.Error("cannot store a digest; trying again", "err", err)
		return retry
	}
	for _, m := range folded {
		i := slices.IndexFunc(e.Notes, func(c outbox.Change) bool { return c.ID == m.ID })
		if e.Notes[i].Apply(&m) {
			a.changed(m, e.Notes[i])
		}
	}
	a.metrics.digests.Add(float64(len(e.Messages)))
	result.Digest = true
	return outcome{Result: result}
}

// code returns the code of a current page, or "".
func (a *attempts) code(ctx context.Context, page string) string {
	if page == "" {
		return ""
	}
	p, err := a.spool.Page(ctx, page)
	if err != nil || !p.State.Current() {
		return ""
	}
	return p.Code
}

// notices are messages of delivery's own.
type notices struct {
	spool    *spool.Spool
	ids      *outbox.IDs
	logger   *slog.Logger
	settings func() *Settings

	mu   sync.Mutex
	late map[e164.Number]*tally // what was too old to be sent, and is in no notice that was sent
}

// notice makes one.
func (n *notices) notice(to e164.Number, group, receiver string, at time.Time, text, detail string) outbox.Message {
	size := gsm7.Measure(text)
	return outbox.Message{
		ID: n.ids.New(at), To: to, Receiver: receiver, GroupKey: group, Headline: "digest", Urgent: true,
		Text: text, Encoding: size.Encoding, Segments: size.Segments, State: outbox.Queued,
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(digestAge),
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued, Detail: detail}},
	}
}

// tooLate notifies the recipient of an expired message, once sending works again. Each
// notice supersedes those before it that were not sent either.
func (n *notices) tooLate(ctx context.Context, m *outbox.Message) {
	if m.GroupKey == outbox.DigestGroup || m.GroupKey == lateGroup || m.Receiver == outbox.ProbeReceiver {
		return
	}
	n.mu.Lock()
	late := n.late[m.To]
	if late == nil {
		if n.late == nil {
			n.late = make(map[e164.Number]*tally)
		}
		late = &tally{order: n.settings().Severities}
		n.late[m.To] = late
	}
	late.add(*m, 1, "")
	text := late.text("NOT SENT in time: ", templating.Counted(late.messages, "message"))
	n.mu.Unlock()
	e := outbox.Entry{Messages: []outbox.Message{n.notice(m.To, lateGroup, lateReceiver, time.Now(), text, "messages were too old to be sent (max_age)")}}
	if _, err := n.spool.Commit(context.WithoutCancel(ctx), spool.Later, func(context.Context) (*outbox.Entry, error) { return &e, nil }); err != nil {
		n.logger.Error("cannot store a notice of what was not sent", "err", err)
	}
}

// sent forgets what a notice lists once the provider has that notice.
func (n *notices) sent(m *outbox.Message) {
	if m.GroupKey == lateGroup {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.late, m.To)
	}
}
