package oncall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// heartbeatMark is the kind of marks that keep heartbeats.
	heartbeatMark = "heartbeat"
	// aliveMark keeps when smspager itself was last known to run.
	aliveMark = "alive"
	// aliveGap is how often that is noted; downtime is what is longer than missing.
	aliveGap = time.Minute
	missing  = 3 * aliveGap
)

// beatState is what is known of a heartbeat.
type beatState struct {
	SinceAt time.Time `json:"since_at"`         // when it was first waited for
	LastAt  time.Time `json:"last_at,omitzero"` // its last beat
	DeadAt  time.Time `json:"dead_at,omitzero"` // when its silence was told, zero while it is alive
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
	state.LastAt, state.DeadAt = at, time.Time{}
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
		ms = append(ms, o.notice(person, "smspager:heartbeat:"+h.Name, at, text))
	}
	return ms
}

// runHeartbeats tells of heartbeats that stop, until the context ends.
func (o *OnCall) runHeartbeats(ctx context.Context, began <-chan struct{}) {
	select {
	case <-ctx.Done():
		return
	case <-began: // what smspager missed is known
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-o.beatsChanged:
		}
		wait := storeRetry
		err := retrying(ctx, func() (err error) {
			wait, err = o.checkHeartbeats(ctx, time.Now())
			return err
		})
		if err != nil && ctx.Err() == nil {
			o.logger.Error("cannot look after the heartbeats; trying again", "err", err)
			wait = storeRetry
		}
		timer.Reset(wait)
	}
}

// checkHeartbeats tells of those that are silent for too long, and returns the time
// until the next may be.
func (o *OnCall) checkHeartbeats(ctx context.Context, now time.Time) (time.Duration, error) {
	s := o.settings.Load()
	wait := o.gap
	if len(s.cfg.Heartbeats) == 0 {
		return wait, nil
	}
	marks, err := o.store.Marks(ctx, heartbeatMark)
	if err != nil {
		return 0, err
	}
	for i := range s.cfg.Heartbeats {
		h := &s.cfg.Heartbeats[i]
		mark, state, err := findBeat(marks, h.Name)
		if err != nil {
			return 0, fmt.Errorf("heartbeat %s: %w", h.Name, err)
		}
		if state.SinceAt.IsZero() {
			state.SinceAt = now
			if err := o.add(ctx, outbox.Entry{Marks: []outbox.Mark{beatMark(mark, state, now)}}); err != nil {
				return 0, err
			}
		}
		o.mu.Lock()
		state.LastAt = latest(state.LastAt, o.beats[h.Name])
		since := o.watchedSince[h.Name]
		o.mu.Unlock()
		o.metrics.beat(h.Name, state)
		if !state.DeadAt.IsZero() {
			continue
		}
		// What came while smspager was down could not be seen. One that was never
		// seen is given twice the time.
		deadline := latest(state.LastAt, since).Add(h.Timeout)
		if state.LastAt.IsZero() {
			deadline = latest(state.SinceAt, since).Add(2 * h.Timeout)
		}
		if now.Before(deadline) {
			wait = min(wait, deadline.Sub(now))
			continue
		}
		text := fmt.Sprintf("DEAD heartbeat %s: never seen for %s. Alerts may not arrive.%s", h.Name, span(now.Sub(state.SinceAt)), o.ownDowntime(state.SinceAt))
		if !state.LastAt.IsZero() {
			text = fmt.Sprintf("DEAD heartbeat %s: silent for %s, last at %s. Alerts may not arrive.%s",
				h.Name, span(now.Sub(state.LastAt)), state.LastAt.UTC().Format("15:04 MST"), o.ownDowntime(state.LastAt))
		}
		state.DeadAt = now
		o.logger.Error("a heartbeat is dead", "heartbeat", h.Name, "last", state.LastAt)
		if err := o.add(ctx, outbox.Entry{Messages: o.heartbeatTexts(h, now, text), Marks: []outbox.Mark{beatMark(mark, state, now)}}); err != nil {
			return 0, err
		}
		o.metrics.beat(h.Name, state)
		return 0, nil // the marks have changed
	}
	return wait, nil
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
		now := time.Now()
		marks, err := o.store.Marks(ctx, aliveMark)
		mark := outbox.Mark{Kind: aliveMark, Name: "smspager"}
		if err == nil && len(marks) > 0 {
			mark = marks[0]
		}
		if err == nil && began != nil {
			o.beganAt(mark.At, now)
			close(began)
			began = nil
		}
		if err == nil {
			mark.At, mark.Doc = now, []byte("{}")
			err = o.add(ctx, outbox.Entry{Marks: []outbox.Mark{mark}})
		}
		if err != nil && !errors.Is(err, outbox.ErrConflict) && ctx.Err() == nil { // of several processes each may
			o.logger.Error("cannot note that smspager runs", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// beganAt notes a downtime that ended now.
func (o *OnCall) beganAt(last, now time.Time) {
	if last.IsZero() || now.Sub(last) < missing {
		return
	}
	o.mu.Lock()
	o.downFrom, o.downTo = last, now
	for _, h := range o.settings.Load().cfg.Heartbeats {
		o.watchedSince[h.Name] = now
	}
	o.mu.Unlock()
	if len(o.settings.Load().cfg.Heartbeats) > 0 {
		o.logger.Warn("smspager did not run; heartbeats of that time could not be seen, and are not missed", "from", last, "to", now)
	}
	signal(o.beatsChanged)
}
