package oncall

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// Alertmanager is asked every silenceRetry, silenceTries times in all. To end a silence, it is then
	// asked every endRetry.
	silenceRetry = 10 * time.Second
	silenceTries = 6
	endRetry     = time.Minute
	// askFor bounds one attempt, and claimFor is how long other replicas leave it alone.
	askFor   = 20 * time.Second
	claimFor = 30 * time.Second
	// silencesAsked is how many silences are handled simultaneously.
	silencesAsked = 8
)

// silences ask Alertmanager for the silences that replies want, and report the outcome.
type silences struct {
	tools
	changed loop.Bell // a silence is new or has changed
	rounds  prometheus.Counter
}

// of returns the stored silences of a page, or of all pages if pageID is "", oldest first.
func (ss *silences) of(ctx context.Context, pageID string) ([]*silence, error) {
	marks, err := silenceMarks.All(ctx, ss.spool)
	if err != nil {
		return nil, err
	}
	var all []*silence
	for _, m := range marks {
		w := m.Value
		w.id, w.version = m.Name, m.Version
		if pageID == "" || w.Page == pageID {
			all = append(all, &w)
		}
	}
	return all, nil
}

// run handles the silences that are due until the context ends.
func (ss *silences) run(ctx context.Context) {
	loop.Repeat(ctx, ss.rounds, ss.changed, func() time.Duration {
		wait, err := ss.askDue(ctx)
		if err != nil && ctx.Err() == nil {
			ss.logger.Error("cannot store the outcome of silences; trying again", "err", err)
			wait = spool.Retry
		}
		return wait
	})
}

// askDue handles the silences that are due, and returns the time until others are.
func (ss *silences) askDue(ctx context.Context) (time.Duration, error) {
	all, err := ss.of(ctx, "")
	if err != nil {
		return 0, err
	}
	wait := ss.gap
	now := ss.spool.Now()
	var asking errgroup.Group
	asking.SetLimit(silencesAsked)
	for _, w := range all {
		if left := w.NextAt.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		wait = 0
		asking.Go(func() error { return ss.handle(ctx, w) })
	}
	return wait, asking.Wait()
}

// handle asks Alertmanager for what is due about a silence, and stores the outcome.
func (ss *silences) handle(ctx context.Context, w *silence) error {
	now := ss.spool.Now()
	w.Tries++
	w.NextAt, w.AskedTill = now.Add(claimFor), now.Add(claimFor) // so only one replica asks
	if _, err := ss.spool.Try(ctx, spool.Later, outbox.Entry{Marks: []outbox.Mark{w.stored(now)}}); errors.Is(err, outbox.ErrConflict) {
		return nil
	} else if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askFor)
	response := ss.ask(asking, w, now)
	cancel()
	if response.err != nil && ctx.Err() == nil {
		ss.logger.Warn("request to Alertmanager failed", "page", w.Page, "silence", w.State, "try", w.Tries, "err", response.err)
	}
	// What Alertmanager did is stored even if smspager stops.
	_, err := ss.spool.Commit(context.WithoutCancel(ctx), spool.Later, func(storing context.Context) (*outbox.Entry, error) {
		return ss.outcome(storing, w, response, ctx.Err() != nil)
	})
	ss.wake.Ring()
	return err
}

// outcome returns the entry that stores the response of Alertmanager. If smspager is stopping, the
// response may be incomplete.
func (ss *silences) outcome(ctx context.Context, asked *silence, response response, stopping bool) (*outbox.Entry, error) {
	all, err := ss.of(ctx, asked.Page)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(other *silence) bool { return other.id == asked.id })
	if at < 0 {
		return nil, nil
	}
	now, w := ss.spool.Now(), all[at]
	w.AskedTill = time.Time{}
	if w.State != asked.State || stopping { // undone meanwhile, or to be repeated: due now
		if w.State == asked.State {
			w.Tries--
		}
		w.NextAt = now
		return &outbox.Entry{Marks: []outbox.Mark{w.stored(now)}}, nil
	}
	p, err := ss.pages.load(ctx, asked.Page)
	switch {
	case errors.Is(err, outbox.ErrNotFound): // pruned, long after it was over
		return &outbox.Entry{Marks: []outbox.Mark{w.deleted()}}, nil
	case err != nil:
		return nil, err
	}
	due := p.After(time.Time{})
	if w.State == silenceSet {
		due = page.Latest(due, w.Until)
	}
	e, err := ss.react(ctx, &handled{silence: w, page: p, others: slices.Delete(all, at, at+1), response: response, now: now})
	if e.Page == nil || e.Page.ID == p.ID {
		for i, m := range e.Messages {
			ss.texts.identify(e.Messages[i:i+1], due, now, p.Origin(), w.id, m.Text)
		}
	}
	return &e, err
}

// response is the response of Alertmanager about a silence.
type response struct {
	listing *alertmanager.Listing // the alerts of a silence that has ended
	repeat  time.Duration         // Alertmanager's longest repeat_interval, if it was asked for that
	err     error
}

// ask makes the request to Alertmanager that is due for a silence: to set it, to end it, or, after its
// end, to list its alerts.
func (ss *silences) ask(ctx context.Context, w *silence, now time.Time) response {
	silencer := ss.settings.Load().silencer
	switch {
	case silencer == nil:
		return response{err: &alertmanager.RefusedError{Reason: "alertmanager.urls is not set"}}
	case w.State == silenceSet:
		return ss.askPage(ctx, silencer, w)
	case w.State == silenceOver:
		return ss.askWatched(ctx, silencer, w)
	}
	existing, err := silencer.Find(ctx, w.comment())
	if err == nil && w.State == silenceEnding {
		err = expire(ctx, silencer, existing)
	} else if err == nil {
		err = set(ctx, silencer, w, existing, now)
	}
	return response{err: err}
}

// askPage lists the alerts of the page whose silence has ended, also those that the silence did not cover.
func (ss *silences) askPage(ctx context.Context, silencer *alertmanager.Silencer, w *silence) (r response) {
	p, err := ss.pages.load(ctx, w.Page)
	if err == nil {
		err = ss.asking.recall(ctx)
	}
	if err != nil {
		return response{err: err}
	}
	wanted := w.fingerprints()
	for _, a := range p.Live() {
		wanted = append(wanted, a.Fingerprint())
	}
	r.listing, r.err = silencer.Alerts(ctx, alertmanager.Query{Labels: groupLabels(p), Receiver: p.Receiver, Wanted: wanted})
	return r
}

// askWatched lists the alerts of a watch.
func (ss *silences) askWatched(ctx context.Context, silencer *alertmanager.Silencer, w *silence) (r response) {
	p, err := ss.pages.load(ctx, w.Page)
	if err != nil {
		return response{err: err}
	}
	if w.For == 0 {
		r.repeat, _ = silencer.LongestRepeat(ctx) // if it fails, the default stays
	}
	r.listing, r.err = silencer.Alerts(ctx, alertmanager.Query{Labels: w.Labels, Receiver: p.Receiver, Wanted: w.fingerprints()})
	return r
}

func expire(ctx context.Context, silencer *alertmanager.Silencer, existing []alertmanager.Silence) error {
	for _, other := range existing {
		if err := silencer.Expire(ctx, other.ID); err != nil {
			return err
		}
	}
	return nil
}

// set sets a silence for each alert that has none from an earlier attempt.
func set(ctx context.Context, silencer *alertmanager.Silencer, w *silence, existing []alertmanager.Silence, now time.Time) error {
	for _, a := range w.Alerts {
		comment := w.comment() + ", alert " + a.Fingerprint
		if slices.ContainsFunc(existing, func(other alertmanager.Silence) bool { return other.Comment == comment }) {
			continue
		}
		_, err := silencer.Set(ctx, alertmanager.Silence{
			Matchers: alertmanager.Exact(a.Labels), StartsAt: now, EndsAt: w.Until, CreatedBy: w.By, Comment: comment,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
