package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// digestAge is how long a digest may wait before it expires.
const digestAge = 24 * time.Hour

// digest replaces several messages that were held by one. Urgent messages are replaced by as many
// as it takes to name each page and its code.
func (a *attempts) digest(ctx context.Context, s Settings, run queue.Run, term int64) queue.Result {
	now := a.spool.Now()
	result := queue.Result{Run: run}
	retry := queue.Result{Run: run, Again: now.Add(storeRetry)}
	held := &tally{order: s.Severities}
	var digested []outbox.Message
	alone := "" // the only message that is left, if it is not too old
	for _, r := range append([]queue.Run{run}, run.With...) {
		m, err := a.spool.Get(ctx, r.ID)
		switch {
		case errors.Is(err, outbox.ErrNotFound), err == nil && m.State != outbox.Queued:
			continue
		case errors.Is(err, outbox.ErrDamaged):
			a.logDamage(r.ID, err)
			continue
		case err != nil:
			a.logger.Error("cannot read a message for a digest; trying again", "id", r.ID, "err", err)
			return retry
		}
		if why := a.whyDrop(ctx, m, now); why != "" {
			at := &attempt{attempts: a, m: m, known: &m, term: term}
			at.record(ctx, outbox.NotNeeded(r.ID, now, why))
			continue
		}
		if alone = ""; len(digested) == 0 && !now.After(r.Expires) {
			alone = r.ID
		}
		digested = append(digested, m)
		held.add(m, 1+r.Missed, a.code(ctx, m.PageID))
	}
	if result.Alone = alone; len(digested) == 0 || alone != "" {
		return result
	}
	e := outbox.Entry{Term: term}
	for _, part := range held.digests(fmt.Sprint(held.messages, " more")) {
		m := a.notices.notice(run.To, outbox.DigestGroup, run.Receiver, now, part.text, "a digest of "+templating.Counted(len(part.ids), "message"))
		m.Severity = part.severity
		for _, id := range part.ids {
			c := outbox.Digested(id, m.ID, now)
			c.Term = term
			e.Notes = append(e.Notes, c)
		}
		e.Messages = append(e.Messages, m)
	}
	if _, err := a.spool.Try(context.WithoutCancel(ctx), spool.Later, e); err != nil {
		a.logger.Error("cannot store a digest; trying again", "err", err)
		return retry
	}
	for _, m := range digested {
		i := slices.IndexFunc(e.Notes, func(c outbox.Change) bool { return c.ID == m.ID })
		if e.Notes[i].Apply(&m) {
			a.d.Changed(m, e.Notes[i])
		}
	}
	a.metrics.digests.Add(float64(len(e.Messages)))
	result.Digest = true
	return result
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
