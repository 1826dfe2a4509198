package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

const (
	// digestSegments is how long a digest may be.
	digestSegments = 2
	// digestAge is how long a digest may wait to be sent.
	digestAge = 24 * time.Hour
)

// digest sends one message in the place of several that were held.
func (a *attempts) digest(ctx context.Context, run queue.Run, term int64) queue.Result {
	now := time.Now()
	result := queue.Result{Run: run}
	retry := queue.Result{Run: run, Again: now.Add(storeRetry)}
	held := &tally{}
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
			at := &attempt{attempts: a, m: m, term: term}
			at.record(ctx, outbox.Needless(r.ID, now, why))
			continue
		}
		if alone = ""; len(folded) == 0 && !now.After(r.Expires) {
			alone = r.ID
		}
		folded = append(folded, m)
		held.add(m, 1+r.Missed)
	}
	if result.Alone = alone; len(folded) == 0 || alone != "" {
		return result
	}
	e := outbox.Entry{Messages: []outbox.Message{a.notices.notice(run.To, outbox.DigestGroup, run.Receiver, now, held.text("", fmt.Sprint(held.messages, " more")), "a digest of "+templating.Counted(len(folded), "message"))}}
	e.Term = term
	for _, m := range folded {
		c := outbox.Folded(m.ID, e.Messages[0].ID, now)
		c.Term = term
		e.Notes = append(e.Notes, c)
	}
	if _, err := a.spool.Commit(context.WithoutCancel(ctx), spool.Later, func(context.Context) (*outbox.Entry, error) { return &e, nil }); err != nil {
		a.logger.Error("cannot store a digest; trying again", "err", err)
		return retry
	}
	for i, m := range folded {
		if e.Notes[i].Apply(&m) {
			a.changed(m, e.Notes[i])
		}
	}
	a.metrics.digests.Inc()
	result.Digest = true
	return result
}

// tally counts messages by what they are about.
type tally struct {
	messages int
	groups   map[string]bool
	names    map[string]named
	pages    bool // one of them is about a page
}

// named is what several messages of one headline have in common.
type named struct{ messages, rank int }

func (t *tally) add(m outbox.Message, messages int) {
	if t.groups == nil {
		t.groups, t.names = make(map[string]bool), make(map[string]named)
	}
	t.messages += messages
	t.groups[m.Receiver+" "+m.GroupKey] = true
	rank := templating.SeverityRank(m.Severity)
	if known, ok := t.names[m.Headline]; ok {
		rank = min(rank, known.rank)
	}
	t.names[m.Headline] = named{t.names[m.Headline].messages + 1, rank}
	t.pages = t.pages || m.PageID != ""
}

// text is "14 more in 9 groups: CRITICAL TargetDown, WARNING DiskFull (3)", with as many
// names as fit, the most severe first.
func (t *tally) text(before, what string) string {
	head := fmt.Sprintf("%s%s in %s: ", before, what, templating.Counted(len(t.groups), "group"))
	names := make([]string, 0, len(t.names))
	for name := range t.names {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(t.names[a].rank-t.names[b].rank, strings.Compare(a, b))
	})
	tail := ""
	if t.pages {
		tail = "\nReply ? for their codes"
	}
	text := head
	for i, name := range names {
		if n := t.names[name].messages; n > 1 {
			name = fmt.Sprintf("%s (%d)", name, n)
		}
		separator := ", "
		if i == 0 {
			separator = ""
		}
		rest := ""
		if left := len(names) - i - 1; left > 0 {
			rest = fmt.Sprintf(", +%d", left)
		}
		if longer := text + separator + name; gsm7.Measure(longer+rest+tail).Segments <= digestSegments {
			text = longer
			continue
		}
		return gsm7.TruncateBefore(text+fmt.Sprintf("%s+%d", separator, len(names)-i), tail, digestSegments)
	}
	return text + tail
}
