// Package outboxtest is the behaviour that every outbox.Store has, as a test
// that each one runs.
package outboxtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// epoch is when the messages of these tests are made.
var epoch = time.Date(2026, 11, 23, 3, 14, 15, 926_000_000, time.UTC)

// Run runs the suite. open returns an empty store that closes with the test.
func Run(t *testing.T, open func(*testing.T) outbox.Store) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, outbox.Store)
	}{
		{"a message comes back as it was stored", testRoundTrip},
		{"what a database cannot hold is stored all the same", testOddBytes},
		{"a repeat within the window is not stored", testDuplicate},
		{"a repeat is told from others across clock changes", testClockSetBack},
		{"of two at once one is stored", testConcurrentDuplicate},
		{"a bad notification fails alone", testBadRowFailsAlone},
		{"a final state never changes", testFinalStates},
		{"statuses only rise", testStatusesRise},
		{"a status needs an acceptance before it", testStatusNeedsAcceptance},
		{"a digest takes the place of what is queued", testFold},
		{"what was sent past the outbox outdates what is older", testOutdated},
		{"open messages come oldest first", testOpen},
		{"lists are filtered and paged", testList},
		{"only finished messages are pruned", testPrune},
		{"a page comes back as it was stored", testPageRoundTrip},
		{"what is made from an old state is not stored", testConflicts},
		{"of many changes at once one is made", testConcurrentChanges},
		{"pages are filtered and paged", testPages},
		{"notes are made once", testNotes},
		{"segments are counted", testSegments},
		{"a closed store says so", testClosed},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

// NewMessage is a queued message, made a number of seconds after epoch.
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

func apply(t *testing.T, s outbox.Store, c outbox.Change, want bool) outbox.Message {
	t.Helper()
	m, applied, err := s.Apply(context.Background(), c)
	if err != nil || applied != want {
		t.Fatalf("Apply(%s) = %v, %v, want %v", c.Event, applied, err, want)
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
	m.Headline, m.Urgent = "WARNING DiskFull", true
	m.State, m.APIID, m.Attempts, m.AttemptedAt, m.AcceptedAt = outbox.Accepted, "5d72", 2, m.CreatedAt, m.CreatedAt
	m.Events = append(m.Events, outbox.Event{At: m.CreatedAt, Type: outbox.EventAccepted, Detail: "while the store was away"})
	add(t, s, m)
	if got := get(t, s, m.ID); fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("got\n%+v, want\n%+v", got, m)
	}
	if id, err := s.FindAPIID(context.Background(), "5d72"); id != m.ID || err != nil {
		t.Errorf("FindAPIID = %q, %v", id, err)
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
	apply(t, s, outbox.Taken(m.ID, "id\x00", epoch, "\x00"), true)
	if got := get(t, s, m.ID); got.Text != m.Text || len(got.Events) != 2 {
		t.Errorf("got %+v", got)
	}
}

func testDuplicate(t *testing.T, s outbox.Store) {
	seen := func(key byte, second int, window time.Duration) outbox.Added {
		t.Helper()
		a, err := s.Add(context.Background(), outbox.Entry{
			Key: outbox.Key{key}, SeenAt: epoch.Add(time.Duration(second) * time.Second), Window: window,
			Messages: []outbox.Message{NewMessage(second, "999"), NewMessage(second, "+33612345678")},
		})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := seen(1, 0, 10*time.Minute)
	again := seen(1, 599, 10*time.Minute)
	if first.Duplicate || !again.Duplicate || !slices.Equal(first.IDs, again.IDs) {
		t.Errorf("the first gives %+v, its repeat %+v", first, again)
	}
	if other := seen(2, 1, 10*time.Minute); other.Duplicate {
		t.Error("another notification is taken for a repeat")
	}
	if repeat := seen(1, 599, time.Minute); repeat.Duplicate {
		t.Error("a repeat after its own, shorter window is taken for a duplicate")
	}
	if later := seen(1, 700, 10*time.Minute); !later.Duplicate {
		t.Error("the window does not start anew with the repeat that was sent")
	}
	ms, err := s.List(context.Background(), outbox.Query{Limit: 100})
	if err != nil || len(ms) != 6 {
		t.Errorf("%d messages are stored (%v), want 6", len(ms), err)
	}
	for range 2 {
		if a, err := s.Add(context.Background(), outbox.Entry{SeenAt: epoch, Window: time.Hour}); err != nil || a.Duplicate {
			t.Errorf("a notification without a key gives %+v, %v", a, err)
		}
	}
}

func testClockSetBack(t *testing.T, s outbox.Store) {
	for _, step := range []struct {
		at        time.Duration
		duplicate bool
	}{{0, false}, {-5 * time.Second, true}, {-11 * time.Minute, false}, {-10 * time.Minute, true}} {
		a, err := s.Add(context.Background(), outbox.Entry{Key: outbox.Key{1}, SeenAt: epoch.Add(step.at), Window: 10 * time.Minute})
		if err != nil || a.Duplicate != step.duplicate {
			t.Errorf("at %s: %+v, %v, want duplicate %v", step.at, a, err, step.duplicate)
		}
	}
}

func testConcurrentDuplicate(t *testing.T, s outbox.Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var stored int
	for range 32 {
		wg.Go(func() {
			a, err := s.Add(context.Background(), outbox.Entry{
				Key: outbox.Key{1}, SeenAt: epoch, Window: time.Minute, Messages: []outbox.Message{NewMessage(0, "999")},
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if !a.Duplicate {
				stored++
			}
		})
	}
	wg.Wait()
	if stored != 1 {
		t.Errorf("%d of 32 were stored, want 1", stored)
	}
}

func testBadRowFailsAlone(t *testing.T, s outbox.Store) {
	taken := NewMessage(0, "999")
	add(t, s, taken)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			fresh := NewMessage(i, "999")
			ms := []outbox.Message{fresh}
			if i%8 == 0 {
				ms = append(ms, taken) // its id exists
			}
			_, err := s.Add(context.Background(), outbox.Entry{SeenAt: epoch, Messages: ms})
			if (err != nil) != (i%8 == 0) {
				t.Errorf("notification %d: %v", i, err)
			}
			if _, found := s.Get(context.Background(), fresh.ID); (found != nil) != (err != nil) {
				t.Errorf("notification %d: added with %v, but read with %v", i, err, found)
			}
		})
	}
	wg.Wait()
}

func testFinalStates(t *testing.T, s outbox.Store) {
	at := epoch.Add(time.Minute)
	changes := func(id string) []outbox.Change {
		return []outbox.Change{
			outbox.Attempted(id, at, ""), outbox.Returned(id, at, ""), outbox.Doubted(id, at, ""), outbox.Taken(id, "x", at, ""),
			outbox.Progressed(id, "x", at, 1, ""), outbox.Ended(id, "x", at, 3, true, ""), outbox.Ended(id, "x", at, 4, false, ""),
			outbox.Refused(id, at, ""), outbox.TooOld(id, at, ""), outbox.Untold(id, at, ""),
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
	apply(t, s, outbox.Taken("no such id", "x", at, ""), false)
}

func testStatusesRise(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "999")
	add(t, s, m)
	apply(t, s, outbox.Attempted(m.ID, epoch.Add(time.Second), ""), true)
	if got := apply(t, s, outbox.Taken(m.ID, "5d72", epoch.Add(2*time.Second), ""), true); got.State != outbox.Accepted || got.APIID != "5d72" ||
		got.Attempts != 1 || !got.AttemptedAt.Equal(epoch.Add(time.Second)) || !got.AcceptedAt.Equal(epoch.Add(2*time.Second)) || got.Text != m.Text {
		t.Errorf("Apply returns %+v", got)
	}
	apply(t, s, outbox.Progressed(m.ID, "", epoch.Add(3*time.Second), 1, ""), true)
	apply(t, s, outbox.Progressed(m.ID, "", epoch.Add(4*time.Second), 1, ""), false)
	apply(t, s, outbox.Progressed(m.ID, "", epoch.Add(5*time.Second), 0, ""), false)
	apply(t, s, outbox.Ended(m.ID, "other", epoch.Add(6*time.Second), 3, true, ""), true)
	apply(t, s, outbox.Ended(m.ID, "", epoch.Add(7*time.Second), 6, false, ""), false)
	got := get(t, s, m.ID)
	want := []outbox.EventType{outbox.EventQueued, outbox.EventAttempt, outbox.EventAccepted, outbox.EventStatus, outbox.EventDelivered}
	if got.State != outbox.Delivered || !slices.Equal(types(got), want) || got.APIID != "5d72" || !got.UpdatedAt.Equal(epoch.Add(6*time.Second)) {
		t.Errorf("ends as %+v", got)
	}
}

func testStatusNeedsAcceptance(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "999")
	add(t, s, m)
	apply(t, s, outbox.Attempted(m.ID, epoch, ""), true)
	apply(t, s, outbox.Ended(m.ID, "5d72", epoch, 3, true, ""), false)
	apply(t, s, outbox.Taken(m.ID, "5d72", epoch.Add(time.Second), "by callback"), true)
	apply(t, s, outbox.Taken(m.ID, "other", epoch.Add(2*time.Second), "late answer"), false)
	apply(t, s, outbox.Returned(m.ID, epoch, "a late error"), false)
	apply(t, s, outbox.Ended(m.ID, "5d72", epoch.Add(3*time.Second), 3, true, ""), true)
	if got := get(t, s, m.ID); got.State != outbox.Delivered || got.APIID != "5d72" || !got.AcceptedAt.Equal(epoch.Add(time.Second)) {
		t.Errorf("ends as %+v", got)
	}
}

func testFold(t *testing.T, s outbox.Store) {
	queued, sending, late := NewMessage(0, "999"), NewMessage(1, "999"), NewMessage(2, "999")
	add(t, s, queued, sending, late)
	apply(t, s, outbox.Attempted(sending.ID, epoch, ""), true)
	fold := func(ids ...string) (outbox.Message, []outbox.Message) {
		t.Helper()
		digest := NewMessage(3, "999")
		folded, err := s.Fold(context.Background(), digest, ids)
		if err != nil {
			t.Fatal(err)
		}
		return digest, folded
	}
	digest, folded := fold(queued.ID, sending.ID, "nope", late.ID)
	if len(folded) != 2 || folded[0].ID != queued.ID || folded[1].ID != late.ID || folded[0].State != outbox.Superseded {
		t.Errorf("folded %+v", folded)
	}
	if m := get(t, s, digest.ID); m.State != outbox.Queued || len(m.Events) != 1 {
		t.Errorf("the digest is %+v", m)
	}
	if m := get(t, s, queued.ID); m.State != outbox.Superseded || !strings.Contains(m.Events[1].Detail, digest.ID) {
		t.Errorf("what it tells is %+v", m)
	}
	if m := get(t, s, sending.ID); m.State != outbox.Sending {
		t.Errorf("what is being sent is %+v", m)
	}
	again, folded := fold(queued.ID, sending.ID)
	if _, err := s.Get(context.Background(), again.ID); len(folded) != 0 || !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("a digest of nothing is stored (%v), of %+v", err, folded)
	}
	if _, err := s.Fold(context.Background(), digest, []string{sending.ID}); err != nil {
		t.Error(err)
	}
	apply(t, s, outbox.Returned(sending.ID, epoch, ""), true)
	if _, err := s.Fold(context.Background(), digest, []string{sending.ID}); err == nil || get(t, s, sending.ID).State != outbox.Queued {
		t.Errorf("a digest that cannot be stored gives %v and leaves %s", err, get(t, s, sending.ID).State)
	}
}

func testOutdated(t *testing.T, s outbox.Store) {
	queued, doubted, taken := NewMessage(0, "999"), NewMessage(1, "999"), NewMessage(2, "999")
	others := []outbox.Message{NewMessage(3, "999"), NewMessage(4, "+33612345678"), NewMessage(5, "999")}
	others[0].GroupKey, others[2].Receiver = "another", "another"
	newer := NewMessage(9, "999")
	add(t, s, append(others, queued, doubted, taken, newer)...)
	apply(t, s, outbox.Attempted(doubted.ID, epoch, ""), true)
	apply(t, s, outbox.Taken(taken.ID, "", epoch, ""), true)
	past := NewMessage(8, "999")
	past.State, past.AcceptedAt = outbox.Accepted, epoch
	add(t, s, past)
	for _, m := range append(others, taken, newer, past) {
		if by := get(t, s, m.ID).OutdatedBy; by != "" {
			t.Errorf("%+v is outdated by %s", m, by)
		}
	}
	open := make(map[string]string)
	for m, err := range s.Open(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		open[m.ID] = m.OutdatedBy
	}
	for _, m := range []outbox.Message{queued, doubted} {
		if open[m.ID] != past.ID {
			t.Errorf("message of second %v is outdated by %q, want %s", m.CreatedAt.Second(), open[m.ID], past.ID)
		}
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
		if m.Text == "" || m.To != "999" || m.ExpiresAt.IsZero() {
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
	if _, _, err := s.Apply(context.Background(), outbox.TooOld("x", epoch, "")); err == nil {
		t.Error("Apply works on a closed store")
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close gives %v", err)
	}
}

// BenchmarkAdd stores b.N notifications of one message from a number of clients
// at once.
func BenchmarkAdd(b *testing.B, s outbox.Store, clients int) {
	Concurrently(b, clients, func(i int) error {
		_, err := s.Add(context.Background(), outbox.Entry{
			Key: outbox.Key{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24), 1}, SeenAt: time.Now(), Window: time.Minute,
			Messages: []outbox.Message{NewMessage(i%1e6, "999")},
		})
		return err
	})
}

// Concurrently calls do b.N times from a number of clients at once.
func Concurrently(b *testing.B, clients int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	errs := make(chan error, clients)
	b.ResetTimer()
	for range clients {
		go func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					errs <- nil
					return
				}
				if err := do(int(i)); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}
