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
	// figuresOver is the period that the figures cover; figuresFor is how long they are cached.
	figuresOver = 30 * 24 * time.Hour
	figuresFor  = time.Minute
	// messagesCounted, probesCounted (enough for one in five minutes) and pagesCounted limit what is read for
	// the figures. It is read in batches.
	messagesCounted = 5000
	probesCounted   = 9000
	pagesCounted    = 2000
	batch           = 500
)

// figures caches the data of the plots, so that it is read at most once a minute, however many people look.
type figures struct {
	mu     sync.Mutex
	readAt time.Time
	last   figuresRead
}

// figuresRead holds the data of the last days' messages and pages, newest first.
type figuresRead struct {
	Texts  []textFigure // without probes
	Probes []textFigure
	Pages  []pageFigure
	// If there were too many, older ones were left out, and the data begin at these times; zero: they are
	// complete.
	TextsCut, ProbesCut, PagesCut time.Time
}

// textFigure is the data of a message.
type textFigure struct {
	At       time.Time // when it could be sent
	Sent     time.Time // when the provider accepted it, or else when it was delivered; zero: neither is known
	Took     time.Duration
	To       e164.Number
	Segments int
	Asked    bool // the recipient asked for it
	State    outbox.State
}

// pageFigure is the data of a page.
type pageFigure struct {
	At       time.Time
	Severity string
}

// readFigures returns the figures, from the cache if they are less than a minute old.
func (c *Console) readFigures(ctx context.Context, now time.Time) (figuresRead, error) {
	c.figures.mu.Lock()
	defer c.figures.mu.Unlock()
	if age := now.Sub(c.figures.readAt); age >= 0 && age < figuresFor {
		return c.figures.last, nil
	}
	var all figuresRead
	var err error
	since := now.Add(-figuresOver)
	if all.Texts, all.TextsCut, err = c.messagesSince(ctx, outbox.Query{ExceptReceiver: outbox.ProbeReceiver}, since, messagesCounted); err != nil {
		return figuresRead{}, err
	}
	if all.Probes, all.ProbesCut, err = c.messagesSince(ctx, outbox.Query{Receiver: outbox.ProbeReceiver}, since, probesCounted); err != nil {
		return figuresRead{}, err
	}
	if all.Pages, all.PagesCut, err = c.pagesSince(ctx, since); err != nil {
		return figuresRead{}, err
	}
	c.figures.last, c.figures.readAt = all, now
	return all, nil
}

// messagesSince returns the figures of messages since a time, newest first. If it reads fewer than there are,
// cut is when the figures begin.
func (c *Console) messagesSince(ctx context.Context, q outbox.Query, since time.Time, most int) (all []textFigure, cut time.Time, err error) {
	for q.Limit = batch; ; {
		ms, err := c.o.Store.List(ctx, q)
		if err != nil {
			return nil, cut, err
		}
		for _, m := range ms {
			if m.CreatedAt.Before(since) {
				return all, cut, nil
			}
			all = append(all, textFigureOf(m))
		}
		switch {
		case len(ms) < batch:
			return all, cut, nil
		case len(all) >= most:
			return all, ms[batch-1].CreatedAt, nil
		}
		q.Before = ms[batch-1].ID
	}
}

// pagesSince does the same as messagesSince, for pages.
func (c *Console) pagesSince(ctx context.Context, since time.Time) (all []pageFigure, cut time.Time, err error) {
	for q := (outbox.PageQuery{Limit: batch}); ; {
		ps, err := c.o.Store.Pages(ctx, q)
		if err != nil {
			return nil, cut, err
		}
		for _, p := range ps {
			if p.OpenedAt.Before(since) {
				return all, cut, nil
			}
			all = append(all, pageFigure{p.OpenedAt, p.Severity})
		}
		switch {
		case len(ps) < batch:
			return all, cut, nil
		case len(all) >= pagesCounted:
			return all, ps[batch-1].OpenedAt, nil
		}
		q.Before = ps[batch-1].ID
	}
}

func textFigureOf(m outbox.Message) textFigure {
	t := textFigure{
		At: m.Earliest(), Sent: m.AcceptedAt, To: m.To, Segments: m.Segments, Asked: people.AskedFor(&m), State: m.State, Took: -1,
	}
	if m.State == outbox.Delivered {
		t.Took = max(0, m.UpdatedAt.Sub(t.At))
		if t.Sent.IsZero() {
			t.Sent = m.UpdatedAt
		}
	}
	return t
}

// delays summarizes the delivery times of a period; -1: nothing was delivered.
type delays struct {
	P50, P90, Probe time.Duration
}

// delaysOf returns the delays of the periods between consecutive times.
func delaysOf(read *figuresRead, begins []time.Time) []delays {
	texts, probes := tookByPeriod(read.Texts, begins), tookByPeriod(read.Probes, begins)
	var all []delays
	for i := range texts {
		all = append(all, delays{quantile(texts[i], 0.5), quantile(texts[i], 0.9), quantile(probes[i], 0.5)})
	}
	return all
}

// tookByPeriod returns the delivery times in each of these periods.
func tookByPeriod(texts []textFigure, begins []time.Time) [][]time.Duration {
	all := make([][]time.Duration, len(begins)-1)
	for _, t := range texts {
		if i := bucket(begins, t.At); i >= 0 && t.Took >= 0 {
			all[i] = append(all[i], t.Took)
		}
	}
	return all
}

// bucket returns the index of the period that contains a time, or -1.
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

// quantile returns the smallest value that at least a share of the values do not exceed, or -1 without values. It sorts
// the values.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return -1
	}
	slices.Sort(values)
	i := int(share*float64(len(values))+0.999999) - 1
	return values[min(max(i, 0), len(values)-1)]
}

// nights counts the nights in which a person was woken.
type nights struct {
	Who   string
	Count int
	Last  when
}

// A night lasts from nightFrom to nightTo in the person's zone.
const (
	nightFrom = 22
	nightTo   = 7
)

// nightsOf returns for each person in how many nights they were sent texts, the highest number first.
// It ignores texts that the person asked for, because those wake nobody.
func (c *Console) nightsOf(f *Frame, texts []textFigure) []nights {
	type night struct {
		to  e164.Number
		day time.Time
	}
	seen := make(map[night]bool)
	by := make(map[e164.Number]*nights)
	for _, t := range texts {
		if t.Asked || t.Sent.IsZero() || t.To == e164.Test {
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
