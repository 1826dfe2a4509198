package console

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// figuresOver is how far back the figures go, and figuresFor how long they are kept.
	figuresOver = 30 * 24 * time.Hour
	figuresFor  = time.Minute
	// messagesCounted and pagesCounted bound what is read for the figures, batch at a time.
	messagesCounted = 5000
	pagesCounted    = 2000
	batch           = 500
)

// figures are what the plots are made of. They are read at most once a minute, whoever looks.
type figures struct {
	mu     sync.Mutex
	readAt time.Time
	last   figuresRead
}

// figuresRead is what was read of the messages and pages of the last days, newest first.
type figuresRead struct {
	Texts    []textFigure
	Pages    []pageFigure
	TextsCut time.Time // older messages were left out; zero: none
	PagesCut time.Time // older pages were left out; zero: none
}

// textFigure is what counts of a message.
type textFigure struct {
	At       time.Time // when it could be sent
	Sent     time.Time // when the provider, or else the phone, had it; zero: neither is known
	Took     time.Duration
	To       e164.Number
	Segments int
	Probe    bool
	Asked    bool // the recipient asked for it
	State    outbox.State
}

// pageFigure is what counts of a page.
type pageFigure struct {
	At       time.Time
	Severity string
}

// readFigures returns the figures; those of the last minute, if there are any.
func (c *Console) readFigures(ctx context.Context, now time.Time) (figuresRead, error) {
	c.figures.mu.Lock()
	defer c.figures.mu.Unlock()
	if age := now.Sub(c.figures.readAt); age >= 0 && age < figuresFor {
		return c.figures.last, nil
	}
	var all figuresRead
	since := now.Add(-figuresOver)
	q := outbox.Query{Limit: batch}
	for more := true; more; {
		ms, err := c.o.Store.List(ctx, q)
		if err != nil {
			return figuresRead{}, err
		}
		for _, m := range ms {
			if m.CreatedAt.Before(since) {
				break
			}
			all.Texts = append(all.Texts, textFigureOf(m))
		}
		if more = len(ms) == batch && !ms[batch-1].CreatedAt.Before(since); more {
			q.Before = ms[batch-1].ID
			if len(all.Texts) >= messagesCounted {
				all.TextsCut, more = ms[batch-1].CreatedAt, false
			}
		}
	}
	pq := outbox.PageQuery{Limit: batch}
	for more := true; more; {
		ps, err := c.o.Store.Pages(ctx, pq)
		if err != nil {
			return figuresRead{}, err
		}
		for _, p := range ps {
			if p.OpenedAt.Before(since) {
				break
			}
			all.Pages = append(all.Pages, pageFigure{p.OpenedAt, p.Severity})
		}
		if more = len(ps) == batch && !ps[batch-1].OpenedAt.Before(since); more {
			pq.Before = ps[batch-1].ID
			if len(all.Pages) >= pagesCounted {
				all.PagesCut, more = ps[batch-1].OpenedAt, false
			}
		}
	}
	c.figures.last, c.figures.readAt = all, now
	return all, nil
}

func textFigureOf(m outbox.Message) textFigure {
	t := textFigure{
		At: m.CreatedAt, Sent: m.AcceptedAt, To: m.To, Segments: m.Segments, Probe: m.Receiver == outbox.ProbeReceiver, Asked: people.AskedFor(&m), State: m.State, Took: -1,
	}
	if m.NotBefore.After(t.At) {
		t.At = m.NotBefore
	}
	if m.State == outbox.Delivered {
		t.Took = max(0, m.UpdatedAt.Sub(t.At))
		if t.Sent.IsZero() {
			t.Sent = m.UpdatedAt
		}
	}
	return t
}

// delays are how long deliveries took in a time; -1: there were none.
type delays struct {
	P50, P90, Probe time.Duration
}

// delaysOf returns the delays in times that begin at each of some moments and end at the next.
func delaysOf(texts []textFigure, begins []time.Time) []delays {
	took, probes := make([][]time.Duration, len(begins)-1), make([][]time.Duration, len(begins)-1)
	for _, t := range texts {
		i := bucket(begins, t.At)
		switch {
		case i < 0 || t.Took < 0:
		case t.Probe:
			probes[i] = append(probes[i], t.Took)
		default:
			took[i] = append(took[i], t.Took)
		}
	}
	var all []delays
	for i := range took {
		all = append(all, delays{quantile(took[i], 0.5), quantile(took[i], 0.9), quantile(probes[i], 0.5)})
	}
	return all
}

// bucket returns the place of a time between some moments; -1: it is before or after them.
func bucket(begins []time.Time, at time.Time) int {
	i, found := slices.BinarySearchFunc(begins, at, time.Time.Compare)
	if !found {
		i--
	}
	if i >= len(begins)-1 {
		return -1
	}
	return i
}

// quantile returns the least value that a share of them does not exceed; -1 without values. It sorts them.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return -1
	}
	slices.Sort(values)
	i := int(share*float64(len(values))+0.999999) - 1
	return values[min(max(i, 0), len(values)-1)]
}

// nights are how often somebody was woken.
type nights struct {
	Who   string
	Count int
	Last  when
}

// Nights begin at nightFrom and end at nightTo, in the zone of the person.
const (
	nightFrom = 22
	nightTo   = 7
)

// nightsOf returns how many nights of the last ones each person was sent texts in, most of them first.
// Texts that somebody asked for wake nobody.
func (c *Console) nightsOf(f *Frame, texts []textFigure) []nights {
	type night struct {
		to  e164.Number
		day time.Time
	}
	seen := make(map[night]bool)
	by := make(map[e164.Number]*nights)
	for _, t := range texts {
		if t.Probe || t.Asked || t.Sent.IsZero() || t.To == e164.Test {
			continue
		}
		local := t.Sent.In(c.o.People.Zone(t.To))
		if local.Hour() >= nightTo && local.Hour() < nightFrom {
			continue
		}
		evening := local
		if local.Hour() < nightTo {
			evening = local.AddDate(0, 0, -1)
		}
		n := by[t.To]
		if n == nil {
			n = &nights{Who: c.recipient(f, t.To)}
			by[t.To] = n
		}
		if t.Sent.After(n.Last.at) {
			n.Last = f.when(t.Sent)
		}
		key := night{t.To, time.Date(evening.Year(), evening.Month(), evening.Day(), 0, 0, 0, 0, time.UTC)}
		if !seen[key] {
			seen[key] = true
			n.Count++
		}
	}
	var all []nights
	for _, n := range by {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b nights) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Who, b.Who)) })
	return all
}
