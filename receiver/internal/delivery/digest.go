package delivery

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// lateGroup and lateReceiver are those of messages that tell of others that were too
// old. No receiver of the configuration is named thus.
const (
	lateGroup    = "smspager:late"
	lateReceiver = "smspager:late"
)

const (
	// digestSegments is how long a digest may be.
	digestSegments = 2
	// digestAge is how long a digest may wait to be sent.
	digestAge = 24 * time.Hour
)

// fold stores a digest in the place of messages that the limits held back.
func (d *Delivery) fold(ctx context.Context, jobs []*job) result {
	first, now := jobs[0], time.Now()
	retry := result{job: first, again: now.Add(storeRetry)}
	told := &tally{}
	var ids []string
	var alone *job // what is left, if it is one, and not too old
	for _, j := range jobs {
		m, err := d.messageOf(ctx, j)
		if err != nil {
			d.logger.Error("cannot read a message for a digest; trying again", "id", j.id, "err", err)
			return retry
		}
		if why := d.needless(ctx, m, now); why != "" {
			d.record(ctx, outbox.Needless(j.id, now, why))
			continue
		}
		if alone = nil; len(ids) == 0 && !now.After(j.expires) {
			alone = j
		}
		ids = append(ids, j.id)
		told.add(m, 1+int(j.missed))
	}
	if len(ids) == 0 || alone != nil {
		return result{job: first, alone: alone}
	}
	digest := d.notice(first.lane.to, outbox.DigestGroup, first.receiver, now, told.text("", fmt.Sprint(told.messages, " more")), "a digest of "+counted(len(ids), "message"))
	folded, err := d.store.Fold(context.WithoutCancel(ctx), digest, ids)
	if err != nil {
		d.logger.Error("cannot store a digest; trying again", "err", err)
		return retry
	}
	for _, m := range folded {
		d.ended(m, outbox.Folded(m.ID, digest.ID, now))
	}
	if len(folded) > 0 {
		d.metrics.digests.Inc()
		d.Handover(digest)
	}
	return result{job: first, folded: len(folded) > 0}
}

// needless says why a message that has waited need not be sent any more, "" if it must.
func (d *Delivery) needless(ctx context.Context, m outbox.Message, now time.Time) string {
	const fresh = 2 * time.Second
	if d.pages == nil || now.Sub(m.CreatedAt) < fresh {
		return ""
	}
	return d.pages.Needless(ctx, m)
}

// messageOf is a job's message, from memory or from the store.
func (d *Delivery) messageOf(ctx context.Context, j *job) (outbox.Message, error) {
	if j.message != nil {
		return *j.message, nil
	}
	return d.store.Get(ctx, j.id)
}

// notice is a message of our own.
func (d *Delivery) notice(to e164.Number, group, receiver string, at time.Time, text, detail string) outbox.Message {
	size := gsm7.Measure(text)
	return outbox.Message{
		ID: d.ids.New(at), To: to, Receiver: receiver, GroupKey: group, Headline: "digest", Urgent: true,
		Text: text, Encoding: size.Encoding, Segments: size.Segments, State: outbox.Queued,
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(digestAge),
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued, Detail: detail}},
	}
}

// tally counts messages by what they are about.
type tally struct {
	messages int
	groups   map[string]bool
	names    map[string]named
	pages    bool // somebody is to answer one of them
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

// text is "14 more in 9 groups: CRITICAL TargetDown, WARNING DiskFull (3)", the
// severest first, with as many names as fit.
func (t *tally) text(before, what string) string {
	head := fmt.Sprintf("%s%s in %s: ", before, what, counted(len(t.groups), "group"))
	names := make([]string, 0, len(t.names))
	for name := range t.names {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(t.names[a].rank-t.names[b].rank, strings.Compare(a, b))
	})
	tail := ""
	if t.pages {
		tail = "\nAnswer ? for their codes"
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

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// late tells recipients, once sending works again, what was too old to be sent.
type late struct {
	mu    sync.Mutex
	tells map[e164.Number]*tally // what no notice that was sent tells yet
}

// tooLate has the recipient of an expired message told. Each notice takes the
// place of those before it that were not sent either.
func (d *Delivery) tooLate(ctx context.Context, m outbox.Message) {
	if m.GroupKey == outbox.DigestGroup || m.GroupKey == lateGroup || m.Receiver == outbox.ProbeReceiver {
		return
	}
	d.late.mu.Lock()
	told := d.late.tells[m.To]
	if told == nil {
		told = &tally{}
		d.late.tells[m.To] = told
	}
	told.add(m, 1)
	text := told.text("NOT SENT in time: ", counted(told.messages, "message"))
	d.late.mu.Unlock()
	notice := d.notice(m.To, lateGroup, lateReceiver, time.Now(), text, "messages were too old to be sent (max_age)")
	if _, err := d.store.Add(context.WithoutCancel(ctx), outbox.Entry{Messages: []outbox.Message{notice}}); err != nil {
		d.logger.Error("cannot store a notice of what was not sent; trying again", "err", err)
		d.recorder.later(func(ctx context.Context) error {
			_, err := d.store.Add(ctx, outbox.Entry{Messages: []outbox.Message{notice}})
			return err
		})
	}
	d.Handover(notice)
}

// toldLate forgets what a notice that the provider took has told.
func (d *Delivery) toldLate(to e164.Number) {
	d.late.mu.Lock()
	defer d.late.mu.Unlock()
	delete(d.late.tells, to)
}
