package oncall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// heartbeatMark is the kind of marks that keep heartbeats.
	heartbeatMark = "heartbeat"
	// aliveMark keeps when smspager itself was last known to run, which is noted every
	// aliveGap and at the end, where there are heartbeats.
	aliveMark = "alive"
	aliveGap  = 15 * time.Second
	// stoppedGap is how old that must be for smspager not to have run: of several
	// processes, none.
	stoppedGap = 3 * aliveGap
	// storeGrace is how long heartbeats wait for the store at the start.
	storeGrace = time.Minute
	// saidGap is how long a downtime must be to be told of.
	saidGap = time.Minute
)

// beatState is what is known of a heartbeat.
type beatState struct {
	SinceAt time.Time     `json:"since_at"`         // when it was first waited for
	LastAt  time.Time     `json:"last_at,omitzero"` // its last beat
	Missed  time.Duration `json:"missed,omitempty"` // how long smspager was down since
	DeadAt  time.Time     `json:"dead_at,omitzero"` // when its silence was told, zero while it is alive
}

// Beat takes in a notification that may be a heartbeat: one that fires, of a
// receiver that a heartbeat names. It reports whether there is such a heartbeat.
func (o *OnCall) Beat(ctx context.Context, receiver string, n *templating.Notification, at time.Time) bool {
	s := o.settings.Load()
	known := false
	for i := range s.cfg.Heartbeats {
		h := &s.cfg.Heartbeats[i]
		if h.Receiver != receiver && regexp.QuoteMeta(h.Receiver) != receiver {
			continue
		}
		known = true
		if n.Status != string(model.AlertFiring) || n.MayStillFire {
			continue
		}
		o.mu.Lock()
		o.beats[h.Name] = at // also where it cannot be stored
		o.mu.Unlock()
		if err := retrying(ctx, func() error { return o.beat(ctx, s, h, at) }); err != nil {
			o.logger.Error("a heartbeat cannot be stored; it is kept in memory", "heartbeat", h.Name, "err", err)
		}
		signal(o.beatsChanged)
	}
	return known
}

// beat stores a beat, and tells that a heartbeat is back.
func (o *OnCall) beat(ctx context.Context, s *settings, h *config.Heartbeat, at time.Time) error {
	marks, err := o.store.Marks(ctx, heartbeatMark)
	if err != nil {
		return err
	}
	mark, state, err := findBeat(marks, h.Name)
	if err != nil {
		return err
	}
	if !at.After(state.LastAt) {
		return nil
	}
	if state.SinceAt.IsZero() {
		state.SinceAt = at
	}
	var ms []outbox.Message
	if dead := state.DeadAt; !dead.IsZero() {
		silent := "it was seen for the first time"
		if !state.LastAt.IsZero() {
			silent = "it was silent for " + span(at.Sub(state.LastAt))
		}
		ms = o.heartbeatTexts(h, at, fmt.Sprintf("ALIVE heartbeat %s: %s.%s", h.Name, silent, o.ownDowntime(state.LastAt)))
		o.logger.Warn("a heartbeat is back", "heartbeat", h.Name, "dead_since", dead)
	}
	state.LastAt, state.DeadAt, state.Missed = at, time.Time{}, 0
	return o.add(ctx, outbox.Entry{Messages: ms, Marks: []outbox.Mark{beatMark(mark, state, at)}})
}

func findBeat(marks []outbox.Mark, name string) (mark outbox.Mark, state beatState, err error) {
	mark = outbox.Mark{Kind: heartbeatMark, Name: name}
	for _, m := range marks {
		if m.Name == name {
			return m, state, json.Unmarshal(m.Doc, &state)
		}
	}
	return mark, state, nil
}

func beatMark(mark outbox.Mark, state beatState, at time.Time) outbox.Mark {
	doc, err := json.Marshal(state)
	if err != nil {
		panic(err) // of times
	}
	mark.At, mark.Doc = at, doc
	return mark
}

func (o *OnCall) heartbeatTexts(h *config.Heartbeat, at time.Time, text string) []outbox.Message {
	var ms []outbox.Message
	for _, person := range o.People(h.Recipients, nil, at) {
		ms = append(ms, o.alarm(person, "smspager:heartbeat:"+h.Name, at, text))
	}
	return ms
}

// watched is what heartbeats are judged by: the marks as they were last read, as the
// store may fail, and what was sent past it.
type watched struct {
	marks  []outbox.Mark
	told   map[string]time.Time     // when which heartbeat's silence was told past the store
	unsent map[string]*outbox.Entry // what could not be stored; nil where nothing of it was tried to be sent
}

// runHeartbeats tells of heartbeats that stop, until the context ends.
func (o *OnCall) runHeartbeats(ctx context.Context, began <-chan struct{}) {
	begun, cancel := context.WithTimeout(ctx, storeGrace)
	defer cancel()
	select {
	case <-began: // what smspager missed is known
	case <-begun.Done():
		o.watchAnew()
	}
	w := &watched{told: make(map[string]time.Time), unsent: make(map[string]*outbox.Entry)}
	repeating(ctx, o.beatsChanged, func() time.Duration { return o.checkHeartbeats(ctx, w, time.Now()) })
}

// watchAnew waits for all heartbeats from now on.
func (o *OnCall) watchAnew() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.settings.Load().cfg.Heartbeats {
		o.watchedSince[h.Name] = time.Now()
	}
}

// checkHeartbeats tells of those that are silent for too long, and returns the time
// until the next may be.
func (o *OnCall) checkHeartbeats(ctx context.Context, w *watched, now time.Time) time.Duration {
	s := o.settings.Load()
	wait := o.gap
	marks, err := o.store.Marks(ctx, heartbeatMark)
	if err == nil {
		w.marks = marks
	} else if ctx.Err() == nil {
		o.logger.Error("cannot read the heartbeats; what was read last is used", "err", err)
		wait = storeRetry
	}
	if err := o.forgetHeartbeats(ctx, s, w.marks, now); err != nil && ctx.Err() == nil {
		o.logger.Error("cannot forget a heartbeat; trying again", "err", err)
	}
	for i := range s.cfg.Heartbeats {
		h := &s.cfg.Heartbeats[i]
		next, err := o.checkHeartbeat(ctx, w, h, now)
		if err == nil {
			delete(w.unsent, h.Name)
			wait = min(wait, next)
			continue
		}
		wait = min(wait, storeRetry)
		if ctx.Err() == nil && !errors.Is(err, outbox.ErrConflict) {
			if _, known := w.unsent[h.Name]; !known {
				w.unsent[h.Name] = nil
			}
			o.logger.Error("cannot look after a heartbeat; trying again", "heartbeat", h.Name, "err", err)
		}
	}
	return wait
}

// forgetHeartbeats drops what is known of those that are not configured any more, so
// that one that is configured again begins anew.
func (o *OnCall) forgetHeartbeats(ctx context.Context, s *settings, marks []outbox.Mark, now time.Time) error {
	const rest = time.Hour // while replicas are given another configuration, one after the other
	for _, m := range marks {
		known := slices.ContainsFunc(s.cfg.Heartbeats, func(h config.Heartbeat) bool { return h.Name == m.Name })
		if known || now.Sub(m.At) < rest {
			continue
		}
		if err := o.add(ctx, outbox.Entry{Marks: []outbox.Mark{{Kind: m.Kind, Name: m.Name, Version: m.Version}}}); err != nil && !errors.Is(err, outbox.ErrConflict) {
			return err
		}
	}
	return nil
}

// checkHeartbeat looks at one heartbeat, and returns the time until it may be dead.
func (o *OnCall) checkHeartbeat(ctx context.Context, w *watched, h *config.Heartbeat, now time.Time) (time.Duration, error) {
	mark, state, err := findBeat(w.marks, h.Name)
	if err != nil {
		return 0, err
	}
	fresh := state.SinceAt.IsZero()
	o.mu.Lock()
	if last := o.beats[h.Name]; last.After(state.LastAt) { // which could not be stored
		state.LastAt, state.Missed = last, 0
	}
	since := o.watchedSince[h.Name]
	if fresh {
		since = latest(since, state.LastAt)
		if since.IsZero() {
			since = now
		}
		state.SinceAt, o.watchedSince[h.Name] = since, since
	}
	o.mu.Unlock()
	told := w.told[h.Name]
	if !told.After(state.LastAt) {
		told = time.Time{}
	}
	state.DeadAt = latest(state.DeadAt, told)
	o.metrics.beat(h.Name, state)
	// What came while smspager was down could not be seen. One that was never seen is
	// given twice the time.
	deadline := latest(state.LastAt, since).Add(h.Timeout + state.Missed)
	if state.LastAt.IsZero() {
		deadline = latest(state.SinceAt, since).Add(2*h.Timeout + state.Missed)
	}
	e := outbox.Entry{Key: newKey(), SeenAt: now, Window: pageFor}
	switch {
	case !told.IsZero(): // the store is to know what was sent past it
	case !state.DeadAt.IsZero():
		return o.gap, nil
	case now.Before(deadline) && !fresh:
		return deadline.Sub(now), nil
	case now.Before(deadline):
	default:
		state.DeadAt = now
		e.Messages = o.heartbeatTexts(h, now, o.deadText(h, state, now))
	}
	e.Marks = []outbox.Mark{beatMark(mark, state, now)}
	unsent, again := w.unsent[h.Name]
	if unsent != nil {
		e = *unsent
	}
	err = o.add(ctx, e)
	switch {
	case err == nil:
		delete(w.told, h.Name)
		signal(o.beatsChanged) // to go on with the marks as they are now
	case errors.Is(err, outbox.ErrConflict) || len(e.Messages) == 0 || o.shared || !again:
		return 0, err
	default:
		w.unsent[h.Name] = &e
		if err := o.sender.SendNow(ctx, &e); err != nil {
			return 0, err
		}
		w.told[h.Name] = now
	}
	if len(e.Messages) > 0 {
		o.logger.Error("a heartbeat is dead", "heartbeat", h.Name, "since", latest(state.LastAt, state.SinceAt))
		o.metrics.beat(h.Name, state)
	}
	return o.gap, nil
}

func (o *OnCall) deadText(h *config.Heartbeat, state beatState, now time.Time) string {
	if state.LastAt.IsZero() {
		return fmt.Sprintf("DEAD heartbeat %s: never seen for %s. Alerts may not arrive.%s", h.Name, span(now.Sub(state.SinceAt)), o.ownDowntime(state.SinceAt))
	}
	return fmt.Sprintf("DEAD heartbeat %s: silent for %s, last at %s. Alerts may not arrive.%s",
		h.Name, span(now.Sub(state.LastAt)), state.LastAt.UTC().Format("15:04 MST"), o.ownDowntime(state.LastAt))
}

// ownDowntime says when smspager itself was down after a time; "" if it was not.
func (o *OnCall) ownDowntime(after time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.downFrom.IsZero() || o.downTo.Before(after) {
		return ""
	}
	return fmt.Sprintf(" smspager itself was down from %s to %s.", o.downFrom.UTC().Format("15:04"), o.downTo.UTC().Format("15:04 MST"))
}

// runAlive notes that smspager runs, until the context ends. At the start it finds
// out how long it did not: beats of that time could not be seen. Then it closes began.
func (o *OnCall) runAlive(ctx context.Context, began chan<- struct{}) {
	ticker := time.NewTicker(aliveGap)
	defer ticker.Stop()
	for {
		err := retrying(ctx, func() error { return o.noteAlive(ctx, began != nil, time.Now()) })
		switch {
		case err == nil && began != nil:
			close(began)
			began = nil
		case err != nil && ctx.Err() == nil:
			o.logger.Error("cannot note that smspager runs; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			// Best effort: without it, what is noted is a little older.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeRetry)
			defer cancel()
			_ = retrying(ctx, func() error { return o.noteAlive(ctx, false, time.Now()) })
			return
		case <-ticker.C:
		}
	}
}

// noteAlive notes that smspager runs; at the start also how long it did not, in each
// heartbeat.
func (o *OnCall) noteAlive(ctx context.Context, starts bool, now time.Time) error {
	marks, err := o.store.Marks(ctx, aliveMark)
	if err != nil {
		return err
	}
	mark := outbox.Mark{Kind: aliveMark, Name: "smspager"}
	if len(marks) > 0 {
		mark = marks[0]
	}
	last := mark.At
	if len(o.settings.Load().cfg.Heartbeats) == 0 { // nothing can be missed
		if mark.Version == 0 {
			return nil
		}
		return o.add(ctx, outbox.Entry{Marks: []outbox.Mark{{Kind: aliveMark, Name: mark.Name, Version: mark.Version}}})
	}
	if starts {
		if err := o.watchNew(mark.Doc, now); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(o.watchedNames())
	if err != nil {
		return err
	}
	mark.At, mark.Doc = now, doc
	e := outbox.Entry{Marks: []outbox.Mark{mark}}
	if starts && !last.IsZero() && now.After(last) && (!o.shared || now.Sub(last) >= stoppedGap) {
		if err := o.missed(ctx, &e, last, now); err != nil {
			return err
		}
	}
	return o.add(ctx, e)
}

// watchNew waits from now on for the heartbeats that were not watched when smspager ran
// last, as the mark of that says.
func (o *OnCall) watchNew(doc json.RawMessage, now time.Time) error {
	var before []string
	if doc != nil {
		if err := json.Unmarshal(doc, &before); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range o.watchedNames() {
		if !slices.Contains(before, name) {
			o.watchedSince[name] = now
		}
	}
	return nil
}

func (o *OnCall) watchedNames() []string {
	var names []string
	for _, h := range o.settings.Load().cfg.Heartbeats {
		names = append(names, h.Name)
	}
	return names
}

// missed adds to an entry what heartbeats missed while smspager did not run.
func (o *OnCall) missed(ctx context.Context, e *outbox.Entry, from, to time.Time) error {
	beats, err := o.store.Marks(ctx, heartbeatMark)
	if err != nil {
		return err
	}
	for _, mark := range beats {
		_, state, err := findBeat(beats, mark.Name)
		if err != nil {
			return err
		}
		state.Missed += max(0, to.Sub(latest(from, state.LastAt)))
		e.Marks = append(e.Marks, beatMark(mark, state, to))
	}
	if to.Sub(from) < saidGap {
		return nil
	}
	o.mu.Lock()
	o.downFrom, o.downTo = from, to
	o.mu.Unlock()
	if len(beats) > 0 {
		o.logger.Warn("smspager did not run; heartbeats of that time could not be seen, and are not missed", "from", from, "to", to)
	}
	return nil
}
