package oncall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// silenceMark is the kind of marks that keep what is asked of Alertmanager.
	silenceMark = "silence"
	// silenceRetry is how often Alertmanager is tried again, silenceTries times; what
	// must end is tried for longer, less often.
	silenceRetry = 10 * time.Second
	silenceTries = 6
	endRetry     = time.Minute
	// askFor bounds one try, and claimFor keeps other processes from it so long.
	askFor   = 20 * time.Second
	claimFor = 30 * time.Second
	// asksAtOnce is how many silences are seen to at the same time.
	asksAtOnce = 8
)

// silenceEnded is why a page is one again.
const silenceEnded = "the silence has ended"

// silence is what a reply asked of Alertmanager. It is stored together with the page
// before Alertmanager is asked, and done after a crash if it was not by then: what
// was set already is found by its comment.
type silence struct {
	Page   string        `json:"page"` // its id
	Code   string        `json:"code"`
	By     string        `json:"by"` // who asked last: for it, or for its end
	Number e164.Number   `json:"number"`
	For    time.Duration `json:"for"`
	Until  time.Time     `json:"until"`
	Alerts []silenced    `json:"alerts"`

	State  silenceState `json:"state"`
	Tell   bool         `json:"tell,omitempty"` // who asked is to be told that it has ended
	Late   bool         `json:"late,omitempty"` // and was told that it has not yet
	Tries  int          `json:"tries,omitempty"`
	NextAt time.Time    `json:"next_at"` // when something is to be done
	// AskedTill is how long at most Alertmanager is being asked, zero while it is not:
	// what comes of that must be known before it is asked for something else.
	AskedTill time.Time `json:"asked_till,omitzero"`
}

type silenceState string

const (
	silenceWanted silenceState = "wanted" // Alertmanager is to have it
	silenceSet    silenceState = "set"    // Alertmanager has it, until it ends by itself
	silenceEnding silenceState = "ending" // Alertmanager is to have it no more
)

// silenced is an alert as it was when its silence was asked for.
type silenced struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
}

// silenceInStore is a silence and the mark that keeps it.
type silenceInStore struct {
	silence
	mark outbox.Mark
}

func (w *silenceInStore) comment() string {
	return fmt.Sprintf("smspager page %s (%s) by reply %s", w.Page, w.Code, w.mark.Name)
}

// stored is the mark as it is to be stored.
func (w *silenceInStore) stored(at time.Time) outbox.Mark {
	doc, err := json.Marshal(w.silence)
	if err != nil {
		panic(err) // of strings, numbers and times
	}
	return outbox.Mark{Kind: silenceMark, Name: w.mark.Name, Version: w.mark.Version, At: at, Doc: doc}
}

// deleted is what deletes the mark.
func (w *silenceInStore) deleted() outbox.Mark {
	return outbox.Mark{Kind: silenceMark, Name: w.mark.Name, Version: w.mark.Version}
}

// end lets the silence end.
func (w *silenceInStore) end(now time.Time) {
	w.State, w.Tries, w.NextAt, w.Tell, w.Late = silenceEnding, 0, latest(now, w.AskedTill), false, false
}

// covers reports whether all that another one silences is silenced by it.
func (w *silence) covers(other *silenceInStore) bool {
	for _, a := range other.Alerts {
		if !slices.ContainsFunc(w.Alerts, func(mine silenced) bool { return mine.Fingerprint == a.Fingerprint }) {
			return false
		}
	}
	return true
}

// newSilence is one of what fires of a page.
func newSilence(id string, p *page, by outbox.Person, long time.Duration, now time.Time) *silenceInStore {
	w := &silenceInStore{mark: outbox.Mark{Name: id}, silence: silence{
		Page: p.ID, Code: p.Code, By: by.String(), Number: by.Number, For: long, Until: now.Add(long), State: silenceWanted, NextAt: now,
	}}
	for _, a := range p.Notification.Alerts {
		if a.Status == string(model.AlertFiring) {
			w.Alerts = append(w.Alerts, silenced{a.Fingerprint, a.Labels})
		}
	}
	return w
}

// silences are those that there is something to do about, the oldest first; with a
// page's id, its own.
func (o *OnCall) silences(ctx context.Context, page string) ([]*silenceInStore, error) {
	marks, err := o.store.Marks(ctx, silenceMark)
	if err != nil {
		return nil, err
	}
	var all []*silenceInStore
	for _, m := range marks {
		w := &silenceInStore{mark: m}
		if err := json.Unmarshal(m.Doc, &w.silence); err != nil {
			return nil, fmt.Errorf("silence %s: %w", m.Name, err)
		}
		if page == "" || w.Page == page {
			all = append(all, w)
		}
	}
	return all, nil
}

// silencerOf makes the Silencer of a configuration, nil without one.
func (o *OnCall) silencerOf(a config.Alertmanager) *alertmanager.Silencer {
	if len(a.URLs) == 0 {
		return nil
	}
	return alertmanager.New(alertmanager.Options{URLs: a.URLs, User: a.User, Password: a.Password.Reveal(), Token: a.Token.Reveal(), Client: o.client})
}

// runSilences asks Alertmanager for what replies asked for, until the context ends.
func (o *OnCall) runSilences(ctx context.Context) {
	loop.Repeat(ctx, o.silencesChanged, func() time.Duration {
		wait, err := o.doSilences(ctx)
		if err != nil && ctx.Err() == nil {
			o.logger.Error("cannot see to the silences; trying again", "err", err)
			wait = storeRetry
		}
		return wait
	})
}

// doSilences does what is due, and returns the time until more is.
func (o *OnCall) doSilences(ctx context.Context) (time.Duration, error) {
	all, err := o.silences(ctx, "")
	if err != nil {
		return 0, err
	}
	wait := o.gap
	now := time.Now()
	var asking errgroup.Group
	asking.SetLimit(asksAtOnce)
	for _, w := range all {
		if left := w.NextAt.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		wait = 0
		asking.Go(func() error { return o.attend(ctx, w) })
	}
	return wait, asking.Wait()
}

// attend does what is due about a silence, and tells what came of it.
func (o *OnCall) attend(ctx context.Context, w *silenceInStore) error {
	now := time.Now()
	w.Tries++
	w.NextAt, w.AskedTill = now.Add(claimFor), now.Add(claimFor) // so that of several processes one asks
	if err := o.add(ctx, outbox.Entry{Marks: []outbox.Mark{w.stored(now)}}); err != nil {
		if errors.Is(err, outbox.ErrConflict) {
			return nil
		}
		return err
	}
	s := o.settings.Load()
	asking, cancel := context.WithTimeout(ctx, askFor)
	fires, asked := s.ask(asking, w)
	cancel()
	if asked != nil && ctx.Err() == nil {
		o.logger.Warn("Alertmanager does not do what is asked of it", "page", w.Page, "silence", w.State, "try", w.Tries, "err", asked)
	}
	// What was done is kept even when stopping.
	return retrying(context.WithoutCancel(ctx), func() error {
		stored, err := o.silences(ctx, w.Page)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(stored, func(other *silenceInStore) bool { return other.mark.Name == w.mark.Name })
		if at < 0 {
			return nil
		}
		now, current := time.Now(), stored[at]
		current.AskedTill = time.Time{}
		if current.State != w.State { // taken back meanwhile, which is to be done now
			current.NextAt = now
			return o.add(context.WithoutCancel(ctx), outbox.Entry{Marks: []outbox.Mark{current.stored(now)}})
		}
		if ctx.Err() != nil {
			current.Tries, current.NextAt = current.Tries-1, now
			return o.add(context.WithoutCancel(ctx), outbox.Entry{Marks: []outbox.Mark{current.stored(now)}})
		}
		p, err := o.stored(ctx, w.Page)
		if err != nil && !errors.Is(err, outbox.ErrNotFound) {
			return err
		}
		return o.add(ctx, o.attended(s, p, current, slices.Delete(stored, at, at+1), fires, asked, now))
	})
}

// ask asks Alertmanager for what is due about a silence: to set it, to end it, or, as
// it has ended, whether its alerts fire.
func (s *settings) ask(ctx context.Context, w *silenceInStore) (fires bool, err error) {
	if s.silencer == nil {
		return true, &alertmanager.RefusedError{Reason: "alertmanager.urls is not set"}
	}
	if w.State == silenceSet {
		firing, err := s.silencer.Firing(ctx, w.common())
		return slices.ContainsFunc(w.Alerts, func(a silenced) bool { return slices.Contains(firing, a.Fingerprint) }), err
	}
	there, err := s.silencer.Find(ctx, w.comment())
	if err != nil {
		return false, err
	}
	if w.State == silenceEnding {
		for _, other := range there {
			if err := s.silencer.Expire(ctx, other.ID); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	for _, a := range w.Alerts {
		comment := w.comment() + ", alert " + a.Fingerprint
		if slices.ContainsFunc(there, func(other alertmanager.Silence) bool { return other.Comment == comment }) { // by an earlier try
			continue
		}
		if _, err := s.silencer.Set(ctx, alertmanager.Silence{
			Matchers: alertmanager.Exact(a.Labels), StartsAt: time.Now(), EndsAt: w.Until, CreatedBy: w.By, Comment: comment,
		}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// common are the labels that all alerts have.
func (w *silence) common() map[string]string {
	common := make(map[string]string)
	for i, a := range w.Alerts {
		for name, value := range a.Labels {
			if i == 0 {
				common[name] = value
			}
		}
		for name, value := range common {
			if other, ok := a.Labels[name]; !ok || other != value {
				delete(common, name)
			}
		}
	}
	return common
}
