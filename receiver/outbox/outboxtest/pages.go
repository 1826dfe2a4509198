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

	"github.com/smspager/smspager/receiver/outbox"
)

// NewPage returns an open page, opened a number of seconds after epoch.
func NewPage(second int, group, code string) outbox.Page {
	at := epoch.Add(time.Duration(second) * time.Second)
	return outbox.Page{
		ID: ulid.MustNew(ulid.Timestamp(at), rand.Reader).String(), Receiver: "oncall", GroupKey: group, Code: code, State: outbox.PageOpen,
		Headline: "CRITICAL DiskFull", Severity: "critical", OpenedAt: at, UpdatedAt: at, DueAt: at.Add(5 * time.Minute), Doc: []byte(`{"people":["é"]}`), AlertKeys: []string{"of-" + group},
		Events: []outbox.PageEvent{{At: at, Type: outbox.PageEventOpened, Detail: "first notification"}},
	}
}

// write stores an entry, and fails unless that succeeds or, if conflict is set, gives ErrConflict.
func write(t *testing.T, s outbox.Store, e outbox.Entry, conflict bool) {
	t.Helper()
	switch _, err := s.Add(context.Background(), e); {
	case conflict && !errors.Is(err, outbox.ErrConflict):
		t.Fatalf("Add gives %v, want ErrConflict", err)
	case !conflict && err != nil:
		t.Fatal(err)
	}
}

func page(t *testing.T, s outbox.Store, id string) outbox.Page {
	t.Helper()
	p, err := s.Page(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pages(t *testing.T, s outbox.Store, q outbox.PageQuery) (ids []string) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	ps, err := s.Pages(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		ids = append(ids, p.ID)
	}
	return ids
}

func testPageRoundTrip(t *testing.T, s outbox.Store) {
	p := NewPage(0, "{}:{alertname=\"Größe\"}"+strings.Repeat("x", 20_000), "4821")
	m := NewMessage(0, "999")
	m.PageID, m.NotBefore = p.ID, epoch.Add(time.Hour)
	write(t, s, outbox.Entry{Page: &p, Messages: []outbox.Message{m}}, false)
	p.Version = 1
	if got := page(t, s, p.ID); fmt.Sprint(got) != fmt.Sprint(p) {
		t.Errorf("got\n%+v, want\n%+v", got, p)
	}
	if got := get(t, s, m.ID); got.PageID != p.ID || !got.NotBefore.Equal(m.NotBefore) {
		t.Errorf("the message is %+v", got)
	}
	if ms, err := s.List(context.Background(), outbox.Query{Page: p.ID, Limit: 10}); err != nil || len(ms) != 1 {
		t.Errorf("the page's messages are %+v, %v", ms, err)
	}
	p.State, p.AcknowledgedAt, p.AcknowledgedBy, p.DueAt, p.Doc = outbox.PageAcknowledged, epoch, "alice", time.Time{}, []byte(`{}`)
	p.Headline, p.Severity, p.AlertKeys, p.UpdatedAt = "WARNING DiskFull", "warning", nil, epoch.Add(time.Minute)
	p.Events = []outbox.PageEvent{{At: epoch, Type: outbox.PageEventAcknowledged, Who: "alice", Detail: "by reply"}}
	write(t, s, outbox.Entry{Page: &p}, false)
	got := page(t, s, p.ID)
	if len(got.Events) != 2 || got.Events[1] != p.Events[0] {
		t.Errorf("the page's events are %+v", got.Events)
	}
	if p.Version, p.Events, got.Events = 2, nil, nil; fmt.Sprint(got) != fmt.Sprint(p) {
		t.Errorf("after the change, got\n%+v, want\n%+v", got, p)
	}
	if _, err := s.Page(context.Background(), "nope"); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("an unknown page gives %v", err)
	}
}

// testConflicts: an entry made from an old state of a page or mark is not stored at all.
func testConflicts(t *testing.T, s outbox.Store) {
	p := NewPage(0, "g", "4821")
	write(t, s, outbox.Entry{Page: &p}, false)
	mark := outbox.Mark{Kind: "heartbeat", Name: "eu", At: epoch, Doc: []byte(`{"state":"alive"}`)}
	write(t, s, outbox.Entry{Marks: []outbox.Mark{mark}}, false)

	m := NewMessage(0, "999")
	second := NewPage(3, "another", "4899")
	write(t, s, outbox.Entry{Page: &second}, false)
	second.Version, second.GroupKey = 1, "g"
	key := outbox.Key{7}
	for name, e := range map[string]outbox.Entry{
		"an old page":                  {Page: &outbox.Page{ID: p.ID, Version: 9, Doc: []byte(`{}`)}},
		"an existing page, as new":     {Page: &p},
		"a second page of the group":   {Page: ptr(NewPage(1, "g", "4822"))},
		"a second page of the code":    {Page: ptr(NewPage(1, "h", "4821"))},
		"an unknown page":              {Page: &outbox.Page{ID: "nope", Version: 1, Doc: []byte(`{}`)}},
		"into a group that has a page": {Page: &second},
		"an existing mark, as new":     {Marks: []outbox.Mark{mark}},
		"an old mark":                  {Marks: []outbox.Mark{{Kind: "heartbeat", Name: "eu", Version: 2, Doc: []byte(`{}`)}}},
		"an unknown mark":              {Marks: []outbox.Mark{{Kind: "heartbeat", Name: "us", Version: 1, Doc: []byte(`{}`)}}},
		"a new mark and old page":      {Marks: []outbox.Mark{{Kind: "heartbeat", Name: "us", Doc: []byte(`{}`)}}, Page: &p},
	} {
		e.Key, e.SeenAt, e.Window, e.Messages = key, epoch, time.Hour, []outbox.Message{m}
		if _, err := s.Add(context.Background(), e); !errors.Is(err, outbox.ErrConflict) {
			t.Errorf("%s gives %v, want ErrConflict", name, err)
		}
	}
	if _, err := s.Get(context.Background(), m.ID); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("the message is stored: %v", err)
	}
	if got := page(t, s, p.ID); got.Version != 1 || len(got.Events) != 1 {
		t.Errorf("the page is %+v", got)
	}
	if ms, err := s.Marks(context.Background(), "heartbeat"); err != nil || len(ms) != 1 || ms[0].Version != 1 || string(ms[0].Doc) != string(mark.Doc) || !ms[0].At.Equal(epoch) {
		t.Errorf("the marks are %+v, %v", ms, err)
	}
	// The key was not recorded either.
	mark.Version, mark.Doc = 1, []byte(`{"state":"dead"}`)
	a, err := s.Add(context.Background(), outbox.Entry{Key: key, SeenAt: epoch, Window: time.Hour, Messages: []outbox.Message{m}, Marks: []outbox.Mark{mark}})
	if err != nil || a.Duplicate {
		t.Errorf("without the conflict, Add gives %+v, %v", a, err)
	}
	// A duplicate is not checked for conflicts.
	if a, err := s.Add(context.Background(), outbox.Entry{Key: key, SeenAt: epoch, Window: time.Hour, Marks: []outbox.Mark{mark}}); err != nil || !a.Duplicate {
		t.Errorf("a repeat gives %+v, %v", a, err)
	}
	// Deleting a mark needs its latest version, as changing it does.
	for version, conflict := range map[int]bool{1: true, 2: false} {
		write(t, s, outbox.Entry{Marks: []outbox.Mark{{Kind: "heartbeat", Name: "eu", Version: version}}}, conflict)
	}
	if ms, err := s.Marks(context.Background(), "heartbeat"); err != nil || len(ms) != 0 {
		t.Errorf("the marks are %+v, %v", ms, err)
	}
	// Once a page is over, its group and code are free.
	p.Version, p.State = 1, outbox.PageResolved
	write(t, s, outbox.Entry{Page: &p}, false)
	write(t, s, outbox.Entry{Page: ptr(NewPage(2, "g", "4821"))}, false)
}

func ptr[T any](v T) *T { return &v }

// testConcurrentChanges: of many simultaneous changes to a page one is stored; unrelated entries
// are all stored.
func testConcurrentChanges(t *testing.T, s outbox.Store) {
	p := NewPage(0, "g", "4821")
	write(t, s, outbox.Entry{Page: &p}, false)
	p.Version = 1
	var changed atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			m := NewMessage(i, "999")
			_, err := s.Add(context.Background(), outbox.Entry{Page: &p, Messages: []outbox.Message{m}})
			if err == nil {
				changed.Add(1)
			} else if !errors.Is(err, outbox.ErrConflict) {
				t.Error(err)
			}
		})
	}
	for i := range 16 {
		wg.Go(func() {
			m := NewMessage(100+i, "+33612345678")
			if _, err := s.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ms, err := s.List(context.Background(), outbox.Query{To: "999", Limit: 50})
	if changed.Load() != 1 || len(ms) != 1 || err != nil || page(t, s, p.ID).Version != 2 {
		t.Errorf("%d changes succeeded, with %d messages (%v), want 1 and 1", changed.Load(), len(ms), err)
	}
}

func testPages(t *testing.T, s outbox.Store) {
	var ids []string
	for i := range 10 {
		p := NewPage(i, fmt.Sprint("g", i), fmt.Sprint(4000+i))
		p.State = outbox.PageStates()[i%len(outbox.PageStates())]
		p.AlertKeys = []string{fmt.Sprint("a", i), "shared"}
		if i == 8 {
			p.Receiver, p.Code = "other", "4001"
		}
		if !p.State.Current() {
			p.DueAt = time.Time{}
		}
		write(t, s, outbox.Entry{Page: &p}, false)
		ids = append(ids, p.ID)
	}
	at := func(is ...int) (all []string) {
		for _, i := range is {
			all = append(all, ids[i])
		}
		return all
	}
	for name, tc := range map[string]struct {
		q    outbox.PageQuery
		want []string
	}{
		"all":       {outbox.PageQuery{}, at(9, 8, 7, 6, 5, 4, 3, 2, 1, 0)},
		"a page":    {outbox.PageQuery{Limit: 3, Before: ids[7]}, at(6, 5, 4)},
		"current":   {outbox.PageQuery{Current: true}, at(7, 6, 5, 2, 1, 0)},
		"a state":   {outbox.PageQuery{State: outbox.PageResolved}, at(8, 3)},
		"receiver":  {outbox.PageQuery{Receiver: "other"}, at(8)},
		"group":     {outbox.PageQuery{Receiver: "oncall", GroupKey: "g5", Current: true}, at(5)},
		"latest":    {outbox.PageQuery{Receiver: "oncall", GroupKey: "g3", Limit: 1}, at(3)},
		"alerts":    {outbox.PageQuery{Alerts: []string{"a3", "a5", "a55", "a"}}, at(5, 3)},
		"an alert":  {outbox.PageQuery{Alerts: []string{"shared"}, Current: true, Receiver: "oncall"}, at(7, 6, 5, 2, 1, 0)},
		"a code":    {outbox.PageQuery{Code: "4001"}, at(8, 1)},
		"due":       {outbox.PageQuery{DueBy: epoch.Add(5*time.Minute + 5*time.Second)}, at(0, 1, 2, 5)},
		"none due":  {outbox.PageQuery{DueBy: epoch}, nil},
		"none left": {outbox.PageQuery{Before: ids[0]}, nil},
	} {
		if got := pages(t, s, tc.q); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	counts, err := s.CountPages(context.Background())
	if want := map[outbox.PageState]int{outbox.PageOpen: 2, outbox.PageAcknowledged: 2, outbox.PageSilenced: 2}; err != nil || fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("the counts are %v (%v), want %v", counts, err, want)
	}
	for i := range 3 {
		for _, kind := range []string{outbox.MarkReply, "heartbeat"} {
			write(t, s, outbox.Entry{Marks: []outbox.Mark{{Kind: kind, Name: fmt.Sprint(i), At: epoch.Add(time.Duration(2*i) * time.Second), Doc: []byte(`{}`)}}}, false)
		}
	}
	if ms, err := s.MarksAfter(context.Background(), epoch.Add(2*time.Second)); err != nil || len(ms) != 2 || ms[0].Kind != "heartbeat" || ms[0].Name != "2" || ms[1].Kind != outbox.MarkReply || string(ms[1].Doc) != `{}` {
		t.Errorf("the latest marks are %+v, %v", ms, err)
	}
	if n, err := s.Prune(context.Background(), epoch.Add(4*time.Second), 10); n != 0 || err != nil {
		t.Errorf("Prune gives %d, %v", n, err)
	}
	if _, err := s.Page(context.Background(), ids[3]); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("an old page that is over is still there: %v", err)
	}
	for kind, want := range map[string]int{outbox.MarkReply: 1, "heartbeat": 3} {
		if ms, err := s.Marks(context.Background(), kind); len(ms) != want || err != nil {
			t.Errorf("%d marks of kind %s are left (%v), want %d", len(ms), kind, err, want)
		}
	}
	if got := pages(t, s, outbox.PageQuery{}); len(got) != 9 {
		t.Errorf("%d pages are left, want 9", len(got))
	}
}

func testNotes(t *testing.T, s outbox.Store) {
	m := NewMessage(0, "999")
	add(t, s, m)
	e := outbox.Entry{Key: outbox.Key{1}, SeenAt: epoch, Window: time.Hour, Notes: []outbox.Change{outbox.Replied(m.ID, epoch, "ok"), outbox.Replied("nope", epoch, "ok")}}
	for range 2 {
		write(t, s, e, false)
	}
	if got := types(get(t, s, m.ID)); !slices.Equal(got, []outbox.EventType{outbox.EventQueued, outbox.EventReply}) {
		t.Errorf("the message's events are %v", got)
	}
}

func testSegments(t *testing.T, s outbox.Store) {
	for i := range 6 {
		m := NewMessage(i, "+33612345678")
		m.Segments = 1 << i
		if i == 4 {
			m.To = "999"
		}
		add(t, s, m)
		if i != 3 {
			apply(t, s, outbox.ProviderAccepted(m.ID, "", epoch, ""), true)
		}
	}
	for second, want := range map[int]int{0: 1 + 2 + 4 + 32, 1: 2 + 4 + 32, 6: 0} {
		if n, err := s.Segments(context.Background(), epoch.Add(time.Duration(second)*time.Second)); n != want || err != nil {
			t.Errorf("since second %d: %d segments (%v), want %d", second, n, err, want)
		}
	}
}
