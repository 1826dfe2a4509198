package outboxtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// testApply makes every change to a message in every state, twice, and expects the store to hold
// what [outbox.Change.Apply] makes of it.
func testApply(t *testing.T, s outbox.Store) {
	at := epoch.Add(time.Minute)
	for n, change := range []outbox.Change{
		outbox.Attempted("", at, "first"), outbox.Returned("", at, "refused"), outbox.Doubted("", at, "timeout"), outbox.ProviderAccepted("", "x", at, "accepted"),
		outbox.Progressed("", "x", at, 1, ""), outbox.Progressed("", "x", at, 3, ""), outbox.Ended("", "x", at, 4, true, ""), outbox.Ended("", "x", at, 5, false, ""),
		outbox.Ended("", "x", at, 1, false, ""), outbox.Refused("", at, "100"), outbox.TooOld("", at, "1h"), outbox.SupersededByNewer("", "by", at), outbox.Digested("", "by", at),
		outbox.NotNeeded("", at, "over"), outbox.Held("", at, "limits"), outbox.OutcomeUnknown("", at, "72h"), outbox.Replied("", at, "ok"),
	} {
		for _, state := range outbox.States() {
			m := NewMessage(n, "999")
			m.State = state
			if state == outbox.Accepted {
				m.APIID, m.Status = "first", 2
			}
			add(t, s, m)
			change.ID = m.ID
			for _, change.Repeat = range []bool{false, true, false} {
				applied := change.Apply(&m)
				apply(t, s, change, applied)
				if got := get(t, s, m.ID); fmt.Sprint(got) != fmt.Sprint(m) {
					t.Errorf("%s on %s, a repeat %t: the database has\n%+v, want\n%+v", change.Event, state, change.Repeat, got, m)
				}
			}
		}
	}
}

func testFinalStates(t *testing.T, s outbox.Store) {
	at := epoch.Add(time.Minute)
	changes := func(id string) []outbox.Change {
		return []outbox.Change{
			outbox.Attempted(id, at, ""), outbox.Returned(id, at, ""), outbox.Doubted(id, at, ""), outbox.ProviderAccepted(id, "x", at, ""),
			outbox.Progressed(id, "x", at, 2, ""), outbox.Ended(id, "x", at, 4, true, ""), outbox.Ended(id, "x", at, 5, false, ""),
			outbox.Refused(id, at, ""), outbox.TooOld(id, at, ""), outbox.OutcomeUnknown(id, at, ""),
		}
	}
	for _, state := range outbox.States() {
		if !state.Final() {
			continue
		}
		m := NewMessage(0, "999")
		m.State = state
		add(t, s, m)
		for _, c := range changes(m.ID) {
			apply(t, s, c, false)
		}
		apply(t, s, outbox.Replied(m.ID, at, "ok"), true)
		if got := get(t, s, m.ID); got.State != state || got.APIID != "" || len(got.Events) != 2 {
			t.Errorf("%s became %+v", state, got)
		}
	}
	apply(t, s, outbox.ProviderAccepted("no such id", "x", at, ""), false)
}

func testStatusesRise(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "999")
	add(t, s, m)
	apply(t, s, outbox.Attempted(m.ID, epoch.Add(time.Second), ""), true)
	if got := apply(t, s, outbox.ProviderAccepted(m.ID, "5d72", epoch.Add(2*time.Second), ""), true); got.State != outbox.Accepted || got.APIID != "5d72" ||
		got.Attempts != 1 || !got.AttemptedAt.Equal(epoch.Add(time.Second)) || !got.AcceptedAt.Equal(epoch.Add(2*time.Second)) || got.Text != m.Text {
		t.Errorf("Apply returns %+v", got)
	}
	apply(t, s, outbox.Progressed(m.ID, "", epoch.Add(3*time.Second), 2, ""), true)
	apply(t, s, outbox.Progressed(m.ID, "", epoch.Add(4*time.Second), 2, ""), false)
	apply(t, s, outbox.Progressed(m.ID, "", epoch.Add(5*time.Second), 1, ""), false)
	apply(t, s, outbox.Ended(m.ID, "other", epoch.Add(6*time.Second), 3, true, ""), true)
	apply(t, s, outbox.Ended(m.ID, "", epoch.Add(7*time.Second), 6, false, ""), false)
	got := get(t, s, m.ID)
	want := []outbox.EventType{outbox.EventQueued, outbox.EventAttempt, outbox.EventAccepted, outbox.EventStatus, outbox.EventDelivered}
	if got.State != outbox.Delivered || !slices.Equal(types(got), want) || got.APIID != "5d72" || !got.UpdatedAt.Equal(epoch.Add(6*time.Second)) {
		t.Errorf("the message ends as %+v", got)
	}
}

func testStatusNeedsAcceptance(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "999")
	add(t, s, m)
	apply(t, s, outbox.Attempted(m.ID, epoch, ""), true)
	apply(t, s, outbox.Ended(m.ID, "5d72", epoch, 3, true, ""), false)
	apply(t, s, outbox.ProviderAccepted(m.ID, "5d72", epoch.Add(time.Second), "by callback"), true)
	apply(t, s, outbox.ProviderAccepted(m.ID, "other", epoch.Add(2*time.Second), "late response"), false)
	apply(t, s, outbox.Returned(m.ID, epoch, "a late error"), false)
	apply(t, s, outbox.Ended(m.ID, "5d72", epoch.Add(3*time.Second), 3, true, ""), true)
	if got := get(t, s, m.ID); got.State != outbox.Delivered || got.APIID != "5d72" || !got.AcceptedAt.Equal(epoch.Add(time.Second)) {
		t.Errorf("the message ends as %+v", got)
	}
}

func testSupersedesOlder(t *testing.T, s outbox.Store) {
	for i, state := range []outbox.State{outbox.Accepted, outbox.Delivered, outbox.Failed} {
		t.Run(string(state), func(t *testing.T) { testSupersedesOlderIn(t, s, state, fmt.Sprint("group ", i)) })
	}
}

// testEndLeavesOlder: a change leaves the other messages of the group as they are; the sender decides about them.
func testEndLeavesOlder(t *testing.T, s outbox.Store) {
	older, newer := NewMessage(0, "999"), NewMessage(1, "999")
	add(t, s, older, newer)
	apply(t, s, outbox.ProviderAccepted(newer.ID, "", epoch, ""), true)
	apply(t, s, outbox.Ended(newer.ID, "", epoch, outbox.StatusOf(3), true, ""), true)
	if by := get(t, s, older.ID).SupersededBy; by != "" {
		t.Errorf("the older message is superseded by %s", by)
	}
}

func testSupersedesOlderIn(t *testing.T, s outbox.Store, state outbox.State, group string) {
	message := func(second int, to e164.Number) outbox.Message {
		m := NewMessage(second, to)
		m.GroupKey = group
		return m
	}
	queued, doubted, accepted := message(0, "999"), message(1, "999"), message(2, "999")
	others := []outbox.Message{message(3, "999"), message(4, "+33612345678"), message(5, "999")}
	others[0].GroupKey, others[2].Receiver = "another", "another"
	newer := message(9, "999")
	add(t, s, append(others, queued, doubted, accepted, newer)...)
	apply(t, s, outbox.Attempted(doubted.ID, epoch, ""), true)
	apply(t, s, outbox.ProviderAccepted(accepted.ID, "", epoch, ""), true)
	sent := message(8, "999")
	sent.State, sent.AcceptedAt = state, epoch
	add(t, s, sent)
	for _, m := range append(others, accepted, newer, sent) {
		if by := get(t, s, m.ID).SupersededBy; by != "" {
			t.Errorf("%+v is superseded by %s", m, by)
		}
	}
	open := make(map[string]string)
	for m, err := range s.Open(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		open[m.ID] = m.SupersededBy
	}
	for _, m := range []outbox.Message{queued, doubted} {
		if open[m.ID] != sent.ID {
			t.Errorf("message of second %v is superseded by %q, want %s", m.CreatedAt.Second(), open[m.ID], sent.ID)
		}
	}
}
