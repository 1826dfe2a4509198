package outbox_test

import (
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// TestApply holds the state machine as a table: the state that each change leads to from each
// state, "" if it is not made.
func TestApply(t *testing.T) {
	const q, s, a, d, f, x, o, u = outbox.Queued, outbox.Sending, outbox.Accepted, outbox.Delivered, outbox.Failed, outbox.Expired, outbox.Superseded, outbox.Unknown
	at := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		change   outbox.Change
		from     map[outbox.State]outbox.State
		anywhere bool // every state stays as it is
	}{
		"attempted":  {change: outbox.Attempted("m", at, ""), from: map[outbox.State]outbox.State{q: s, s: s}},
		"returned":   {change: outbox.Returned("m", at, ""), from: map[outbox.State]outbox.State{q: q, s: q}},
		"doubted":    {change: outbox.Doubted("m", at, ""), from: map[outbox.State]outbox.State{q: s, s: s}},
		"accepted":   {change: outbox.ProviderAccepted("m", "", at, ""), from: map[outbox.State]outbox.State{q: a, s: a}},
		"progressed": {change: outbox.Progressed("m", "", at, 1, ""), from: map[outbox.State]outbox.State{a: a}},
		"delivered":  {change: outbox.Ended("m", "", at, 4, true, ""), from: map[outbox.State]outbox.State{a: d}},
		"failed":     {change: outbox.Ended("m", "", at, 5, false, ""), from: map[outbox.State]outbox.State{a: f}},
		"refused":    {change: outbox.Refused("m", at, ""), from: map[outbox.State]outbox.State{q: f, s: f}},
		"too old":    {change: outbox.TooOld("m", at, ""), from: map[outbox.State]outbox.State{q: x, s: x}},
		"superseded": {change: outbox.SupersededByNewer("m", "n", at), from: map[outbox.State]outbox.State{q: o, s: o}},
		"digested":   {change: outbox.Digested("m", "n", at), from: map[outbox.State]outbox.State{q: o}},
		"not needed": {change: outbox.NotNeeded("m", at, ""), from: map[outbox.State]outbox.State{q: o, s: o}},
		"held":       {change: outbox.Held("m", at, ""), from: map[outbox.State]outbox.State{q: q}},
		"unknown":    {change: outbox.OutcomeUnknown("m", at, ""), from: map[outbox.State]outbox.State{s: u, a: u}},
		"replied":    {change: outbox.Replied("m", at, ""), anywhere: true},
	} {
		for _, state := range outbox.States() {
			m := outbox.Message{ID: "m", State: state}
			want := tc.from[state]
			if tc.anywhere {
				want = state
			}
			if applied := tc.change.Apply(&m); applied != (want != "") || len(m.Events) != map[bool]int{true: 1}[applied] {
				t.Errorf("%s on %s: applied %t, events %v", name, state, applied, m.Events)
			}
			if want != "" && m.State != want || want == "" && m.State != state {
				t.Errorf("%s on %s leads to %s, want %q", name, state, m.State, want)
			}
			again := tc.change
			if again.Repeat = true; again.Apply(&m) {
				t.Errorf("%s on %s is made twice", name, state)
			}
			if other := (outbox.Message{ID: "other", State: state}); tc.change.Apply(&other) {
				t.Errorf("%s is made to another message", name)
			}
		}
	}
}
