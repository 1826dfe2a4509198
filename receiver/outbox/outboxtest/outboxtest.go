// Package outboxtest holds the tests that every outbox.Store must pass.
//
// Stability: with [outbox.Store], names may change in any release until v1.
package outboxtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// epoch is when the messages of these tests are created.
var epoch = time.Date(2026, 11, 23, 3, 14, 15, 926_000_000, time.UTC)

// Run runs the suite. open returns an empty store that is closed when the test ends.
func Run(t *testing.T, open func(*testing.T) outbox.Store) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, outbox.Store)
	}{
		{"a message comes back as it was stored", testRoundTrip},
		{"text that a database cannot hold is stored anyway", testOddBytes},
		{"a repeat within the window is not stored", testDuplicate},
		{"duplicates are recognised across clock changes", testClockSetBack},
		{"a duplicate equals the latest state of its group", testLatestState},
		{"one of several simultaneous duplicates is stored", testConcurrentDuplicate},
		{"a bad notification fails alone", testBadRowFailsAlone},
		{"the database makes a change as Change.Apply does", testApply},
		{"a final state never changes", testFinalStates},
		{"statuses only rise", testStatusesRise},
		{"a status needs an acceptance before it", testStatusNeedsAcceptance},
		{"a message sent before it was stored supersedes older ones", testSupersedesOlder},
		{"a message that ends leaves older ones", testEndLeavesOlder},
		{"open messages come oldest first", testOpen},
		{"lists are filtered and paged", testList},
		{"only finished messages are pruned", testPrune},
		{"a page comes back as it was stored", testPageRoundTrip},
		{"an entry made from an old state is not stored", testConflicts},
		{"one of several simultaneous changes is made", testConcurrentChanges},
		{"pages are filtered and paged", testPages},
		{"notes are made once", testNotes},
		{"segments are counted", testSegments},
		{"a closed store says so", testClosed},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

// NewMessage returns a queued message, created a number of seconds after epoch.
func NewMessage(second int, to e164.Number) outbox.Message {
	at := epoch.Add(time.Duration(second) * time.Second)
	return outbox.Message{
		ID: ulid.MustNew(ulid.Timestamp(at), rand.Reader).String(), To: to, Receiver: "oncall", GroupKey: "{}:{}",
		Text: "disk full on db-1", Encoding: "gsm7", Segments: 1, State: outbox.Queued,
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(time.Hour),
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued}},
	}
}

func add(t *testing.T, s outbox.Store, ms ...outbox.Message) {
	t.Helper()
	if _, err := s.Add(context.Background(), outbox.Entry{SeenAt: epoch, Messages: ms}); err != nil {
		t.Fatal(err)
	}
}

// apply stores a change, and fails unless it is made (want) or not.
func apply(t *testing.T, s outbox.Store, c outbox.Change, want bool) outbox.Message {
	t.Helper()
	before, _ := s.Get(context.Background(), c.ID) // there may be no such message
	if _, err := s.Add(context.Background(), outbox.Entry{SeenAt: epoch, Notes: []outbox.Change{c}}); err != nil {
		t.Fatal(err)
	}
	m, _ := s.Get(context.Background(), c.ID)
	if made := len(m.Events) > len(before.Events); made != want {
		t.Fatalf("%s is made: %v, want %v", c.Event, made, want)
	}
	return m
}

func get(t *testing.T, s outbox.Store, id string) outbox.Message {
	t.Helper()
	m, err := s.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func types(m outbox.Message) (all []outbox.EventType) {
	for _, e := range m.Events {
		all = append(all, e.Type)
	}
	return all
}

func testRoundTrip(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "+33612345678")
	m.GroupKey, m.Text = "{}:{alertname=\"Größe\"}", "line\n{é} '\";--"
	m.Headline, m.Severity, m.Urgent = "WARNING DiskFull", "warning", true
	m.State, m.APIID, m.Attempts, m.AttemptedAt, m.AcceptedAt = outbox.Accepted, "5d72", 2, m.CreatedAt, m.CreatedAt
	m.Events = append(m.Events, outbox.Event{At: m.CreatedAt, Type: outbox.EventAccepted, Detail: "while the store was away"})
	add(t, s, m)
	if got := get(t, s, m.ID); fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("got\n%+v, want\n%+v", got, m)
	}
	for _, apiID := range []string{"5d72", "5D72"} {
		if id, err := s.FindAPIID(context.Background(), apiID); id != m.ID || err != nil {
			t.Errorf("FindAPIID(%q) = %q, %v", apiID, id, err)
		}
	}
	for _, unknown := range []string{"", "nope"} {
		if _, err := s.Get(context.Background(), unknown); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("Get(%q) gives %v, want ErrNotFound", unknown, err)
		}
		if _, err := s.FindAPIID(context.Background(), unknown); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("FindAPIID(%q) gives %v, want ErrNotFound", unknown, err)
		}
	}
}

func testOddBytes(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "999")
	m.GroupKey, m.Receiver = "nul \x00, not UTF-8 \xff", "\x00"
	m.Events[0].Detail = "\xff\x00"
	add(t, s, m)
	apply(t, s, outbox.ProviderAccepted(m.ID, "id\x00", epoch, "\x00"), true)
	if got := get(t, s, m.ID); got.Text != m.Text || len(got.Events) != 2 {
		t.Errorf("got %+v", got)
	}
}

func testOpen(t *testing.T, s outbox.Store) {
	var want []string
	var all []outbox.Message
	for i := range 2500 {
		m := NewMessage(i, "999")
		m.State = outbox.States()[i%len(outbox.States())]
		if !m.State.Final() {
			want = append(want, m.ID)
		}
		all = append(all, m)
	}
	add(t, s, all...)
	var got []string
	for m, err := range s.Open(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Text == "" || m.To != "999" || m.ExpiresAt.IsZero() || len(m.Events) != 1 {
			t.Fatalf("an open message is %+v", m)
		}
		got = append(got, m.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d messages are open, want %d in their order", len(got), len(want))
	}
}

func testList(t *testing.T, s outbox.Store) {
	var ids []string
	for i := range 10 {
		m := NewMessage(i, []e164.Number{"999", "+33612345678"}[i%2])
		m.Receiver = []string{"oncall", "db"}[i/5]
		if i == 9 {
			m.State = outbox.Failed
		}
		add(t, s, m)
		ids = append(ids, m.ID)
	}
	for _, tc := range []struct {
		query outbox.Query
		want  []int
	}{
		{outbox.Query{Limit: 3}, []int{9, 8, 7}},
		{outbox.Query{Limit: 3, Before: ids[7]}, []int{6, 5, 4}},
		{outbox.Query{Limit: 9, To: "999"}, []int{8, 6, 4, 2, 0}},
		{outbox.Query{Limit: 9, Receiver: "oncall", To: "999"}, []int{4, 2, 0}},
		{outbox.Query{Limit: 9, State: outbox.Failed}, []int{9}},
		{outbox.Query{Limit: 2, State: outbox.Queued, Receiver: "db", Before: ids[8]}, []int{7, 6}},
		{outbox.Query{Limit: 2, Receiver: "nobody"}, nil},
		{outbox.Query{Limit: 2, ExceptReceiver: "db", Before: ids[8]}, []int{4, 3}},
		{outbox.Query{Limit: 9, ExceptReceiver: "oncall", State: outbox.Queued}, []int{8, 7, 6, 5}},
	} {
		ms, err := s.List(context.Background(), tc.query)
		var got []int
		for _, m := range ms {
			got = append(got, slices.Index(ids, m.ID))
			if len(m.Events) != 1 {
				t.Errorf("List(%+v): message without its event: %+v", tc.query, m)
			}
		}
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("List(%+v) = %v, %v, want %v", tc.query, got, err, tc.want)
		}
	}
}

func testPrune(t *testing.T, s outbox.Store) {
	var kept []string
	for i := range 10 {
		m := NewMessage(i, "999")
		if i%2 == 0 {
			m.State = outbox.Delivered
		}
		if i%2 == 1 || i >= 8 {
			kept = append(kept, m.ID)
		}
		add(t, s, m)
	}
	before := epoch.Add(8 * time.Second)
	for _, want := range []int{3, 1, 0} {
		if n, err := s.Prune(context.Background(), before, 3); n != want || err != nil {
			t.Fatalf("Prune = %d, %v, want %d", n, err, want)
		}
	}
	ms, err := s.List(context.Background(), outbox.Query{Limit: 100})
	var got []string
	for _, m := range ms {
		got = append(got, m.ID)
	}
	slices.Reverse(got)
	if err != nil || !slices.Equal(got, kept) {
		t.Errorf("kept %v, %v, want %v", got, err, kept)
	}
}

func testClosed(t *testing.T, s outbox.Store) {
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{NewMessage(0, "999")}}); err == nil {
		t.Error("Add works on a closed store")
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close gives %v", err)
	}
}
