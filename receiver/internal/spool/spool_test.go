package spool_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// fault is what a store does wrong at one of its writes.
type fault string

const (
	fails  fault = "fails"  // fails, and writes nothing
	lies   fault = "lies"   // writes, and reports a failure
	hangs  fault = "hangs"  // hangs, and then writes nothing
	delays fault = "delays" // hangs, and then writes
	dies   fault = "dies"   // writes nothing from then on, and the process is restarted
)

// store is a real store with faults at its writes.
type store struct {
	outbox.Store
	mu    sync.Mutex
	calls int
	at    int // the write where the fault begins
	until int // the first write after the fault
	fault fault
	dead  bool
}

var errFault = errors.New("disk full")

func (s *store) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	s.mu.Lock()
	n := s.calls
	s.calls++
	f := fault("")
	if n >= s.at && n < s.until {
		f = s.fault
	}
	s.dead = s.dead || f == dies
	dead := s.dead
	s.mu.Unlock()
	switch {
	case dead:
		return outbox.Added{}, errFault
	case f == fails:
		return outbox.Added{}, errFault
	case f == hangs:
		time.Sleep(20 * time.Second)
		return outbox.Added{}, errFault
	case f == delays:
		time.Sleep(20 * time.Second)
	case f == lies:
		_, err := s.Store.Add(ctx, e)
		return outbox.Added{}, errors.Join(errFault, err)
	}
	return s.Store.Add(ctx, e)
}

// Close leaves the file to the next process if this one has died.
func (s *store) Close() error {
	if s.has(dies) {
		return nil
	}
	return s.Store.Close()
}

func (s *store) has(f fault) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead && f == dies
}

// provider counts how often each message was sent. If asked first, as law 2 demands, a message that
// it has is not sent again.
type provider struct {
	mu       sync.Mutex
	accepted map[string]int
	order    map[string][]string // by lane
}

// world is a spool over a store with a fault, with a provider that accepts everything.
type world struct {
	t     *testing.T
	raw   *sqlite.Store
	store *store
	p     *provider
	s     *spool.Spool
	gone  chan struct{} // closed when its process has died

	mu     sync.Mutex
	queued map[string]bool
}

func (w *world) start(raw *sqlite.Store, st *store) {
	w.t.Helper()
	w.raw, w.store, w.queued, w.gone = raw, st, make(map[string]bool), make(chan struct{})
	s, err := spool.New(spool.Options{
		Open:     func(context.Context) (outbox.Store, error) { return st, nil },
		Handover: func(_ bool, ms ...outbox.Message) { w.handover(w.gone, false, ms...) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
}

// restart starts the next process if this one has died. The next one knows only what is stored.
func (w *world) restart(raw *sqlite.Store, f fault) {
	w.t.Helper()
	if !w.store.has(f) {
		return
	}
	close(w.gone)
	if err := w.s.Close(); err != nil {
		w.t.Error(err)
	}
	w.start(raw, &store{Store: raw, at: -1})
	for m, err := range w.s.Open(context.Background()) {
		if err != nil {
			w.t.Fatal(err)
		}
		w.handover(w.gone, true, m)
	}
}

func (w *world) handover(gone chan struct{}, ask bool, ms ...outbox.Message) {
	for _, m := range ms {
		w.mu.Lock()
		known := w.queued[m.ID]
		w.queued[m.ID] = true
		w.mu.Unlock()
		if !known && (m.State == outbox.Queued || m.State == outbox.Sending) {
			go w.send(gone, ask || m.State == outbox.Sending, m)
		}
	}
}

// send attempts a message as a sender does.
func (w *world) send(gone chan struct{}, ask bool, m outbox.Message) {
	record := func(c outbox.Change) {
		select {
		case <-gone: // the process has died
		default:
			if _, err := w.s.Record(context.Background(), c, &m); err != nil {
				w.t.Error(err)
			}
		}
	}
	record(outbox.Attempted(m.ID, time.Now(), ""))
	time.Sleep(50 * time.Millisecond)
	select {
	case <-gone:
		return
	default:
	}
	w.p.mu.Lock()
	if !ask || w.p.accepted[m.ID] == 0 {
		w.p.accepted[m.ID]++
		w.p.order[m.GroupKey] = append(w.p.order[m.GroupKey], m.ID)
	}
	w.p.mu.Unlock()
	record(outbox.ProviderAccepted(m.ID, "api-"+m.ID, time.Now(), ""))
	time.Sleep(time.Second)
	record(outbox.Ended(m.ID, "api-"+m.ID, time.Now(), 4, true, ""))
}

func message(ids *outbox.IDs, group string) outbox.Message {
	now := time.Now()
	return outbox.Message{
		ID: ids.New(now), To: "+33639980001", Receiver: "oncall", GroupKey: group, Text: group, Encoding: "gsm7", Segments: 1,
		State: outbox.Queued, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
		Events: []outbox.Event{{At: now, Type: outbox.EventQueued}},
	}
}

// TestLaws states what the spool promises, over a store that fails, lies, hangs or dies
// at each of its writes in turn, once or for long:
//
//   - nothing is lost: the messages of a commit without an error are sent, and stored in the end;
//   - no message is sent twice, is stored twice, or has an event twice;
//   - the changes of a message are stored in order;
//   - a crash loses no stored message, only changes of its state.
func TestLaws(t *testing.T) {
	for _, f := range []fault{fails, lies, hangs, delays, dies} {
		for _, long := range []int{1, 4} {
			for at := range 12 {
				t.Run(fmt.Sprintf("%s at write %d, %d times", f, at, long), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { laws(t, f, at, long) })
				})
			}
		}
	}
}

func laws(t *testing.T, f fault, at, long int) {
	raw, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "outbox.db"))
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{accepted: make(map[string]int), order: make(map[string][]string)}
	w := &world{t: t, p: p}
	w.start(raw, &store{Store: raw, at: at, until: at + long, fault: f})
	ids := outbox.NewIDs()
	var committed []string
	for n := range 8 {
		w.restart(raw, f)
		// Two groups alternate between two states: each commit is new.
		e := outbox.Entry{Key: outbox.Key{byte(n%2 + 1)}, State: outbox.Key{byte(n/2%2 + 1)}, SeenAt: time.Now(), Window: time.Hour}
		if f == dies { // a crash loses the state of a group that could not be stored
			e.Key = outbox.Key{byte(n + 1)}
		}
		for i := range 1 + n%2 {
			e.Messages = append(e.Messages, message(ids, fmt.Sprint("g", i)))
		}
		build := func(context.Context) (*outbox.Entry, error) { copied := e; return &copied, nil }
		added, err := w.s.Commit(context.Background(), spool.FailOpen, build)
		if err != nil || added.Duplicate || !slices.Equal(added.IDs, e.IDs()) {
			t.Fatalf("commit %d gives %+v, %v", n, added, err)
		}
		committed = append(committed, added.IDs...)
		if again, err := w.s.Commit(context.Background(), spool.FailOpen, build); err != nil || !slices.Equal(again.IDs, added.IDs) {
			t.Fatalf("commit %d again gives %+v, %v", n, again, err)
		}
		for _, id := range added.IDs { // reads see it, whatever the store does
			if m, err := w.s.Get(context.Background(), id); err != nil || m.State == outbox.Failed {
				t.Errorf("the message is read as %s, %v", m.State, err)
			}
		}
		time.Sleep(700 * time.Millisecond)
	}
	w.restart(raw, f)
	time.Sleep(5 * time.Minute)
	if n, _ := w.s.Backlog(); n != 0 && !w.store.has(f) {
		t.Errorf("%d entries and changes are left", n)
	}
	for _, id := range committed {
		if p.accepted[id] != 1 {
			t.Errorf("%s was sent %d times", id, p.accepted[id])
		}
		m, err := raw.Get(context.Background(), id)
		if err != nil {
			if f != dies { // after a crash, nobody knows what was sent first
				t.Errorf("%s is not stored: %v", id, err)
			}
			continue
		}
		var history []outbox.EventType
		for _, e := range m.Events {
			if !slices.Contains(history, e.Type) || f == dies && e.Type == outbox.EventAttempt {
				history = append(history, e.Type)
			} else {
				t.Errorf("%s has %s twice: %+v", id, e.Type, m.Events)
			}
		}
		want := []outbox.EventType{outbox.EventQueued, outbox.EventAttempt, outbox.EventAccepted, outbox.EventDelivered}
		if f != dies && (m.State != outbox.Delivered || m.Attempts != 1 || !slices.Equal(history, want)) {
			t.Errorf("%s is %s after %d attempts, with %v", id, m.State, m.Attempts, history)
		}
	}
	if err := w.s.Close(); err != nil {
		t.Error(err)
	}
}

// fake is a real store with the errors that a test gives it.
type fake struct {
	outbox.Store
	mu              sync.Mutex
	addErr, readErr error
	pageReads       int
	poison          string // the message that cannot be written
	damaged         string // the message that cannot be read
	adding          func() // called before each write; nil: nothing
	delay           time.Duration
}

func (f *fake) slow(delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = delay
}

func (f *fake) before(add func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adding = add
}

func (f *fake) fail(add, read error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addErr, f.readErr = add, read
}

func (f *fake) Add(ctx context.Context, e outbox.Entry) (outbox.Added, error) {
	f.mu.Lock()
	if f.adding != nil {
		f.adding()
	}
	err := f.addErr
	if slices.ContainsFunc(e.Notes, func(c outbox.Change) bool { return c.ID == f.poison }) || slices.Contains(e.IDs(), f.poison) {
		err = errFault
	}
	delay := f.delay
	f.mu.Unlock()
	if err != nil {
		return outbox.Added{}, err
	}
	time.Sleep(delay)
	return f.Store.Add(ctx, e)
}

// damage makes a message unreadable; "": none is.
func (f *fake) damage(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.damaged = id
}

func (f *fake) Get(ctx context.Context, id string) (outbox.Message, error) {
	f.mu.Lock()
	err := f.readErr
	if id == f.damaged {
		err = outbox.ErrDamaged
	}
	f.mu.Unlock()
	if err != nil {
		return outbox.Message{}, err
	}
	return f.Store.Get(ctx, id)
}

// in runs a test with a spool over a fake.
func in(t *testing.T, o spool.Options, test func(f *fake, s *spool.Spool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		raw, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		f := &fake{Store: raw}
		o.Open = func(context.Context) (outbox.Store, error) { return f, nil }
		s, err := spool.New(o)
		if err != nil {
			t.Fatal(err)
		}
		test(f, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func commit(s *spool.Spool, p spool.Policy, e outbox.Entry) (outbox.Added, error) {
	return s.Commit(context.Background(), p, func(context.Context) (*outbox.Entry, error) { copied := e; return &copied, nil })
}

// TestRepeatOfAnEarlierRun: a notification whose messages an earlier run stored is repeated while the
// store fails. Once the store works again, the response names the stored messages, and the new ones are
// not sent any more.
func TestRepeatOfAnEarlierRun(t *testing.T) {
	var withdrawn []string
	o := spool.Options{
		Handover: func(bool, ...outbox.Message) {}, // the provider does not respond
		Withdraw: func(ids []string) { withdrawn = ids },
	}
	in(t, o, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		entry := func() outbox.Entry {
			return outbox.Entry{Key: outbox.Key{1}, State: outbox.Key{1}, SeenAt: time.Now(), Window: time.Hour, Messages: []outbox.Message{message(ids, "g")}}
		}
		stored, repeat := entry(), entry()
		if _, err := f.Store.Add(context.Background(), stored); err != nil {
			t.Fatal(err)
		}
		f.fail(errFault, nil)
		time.AfterFunc(5*time.Second, func() { f.fail(nil, nil) })
		added, err := commit(s, spool.FailOpen, repeat)
		if err != nil || !added.Duplicate || !slices.Equal(added.IDs, stored.IDs()) {
			t.Errorf("the commit adds %+v, %v; want a duplicate of %v", added, err, stored.IDs())
		}
		synctest.Wait()
		if !slices.Equal(withdrawn, repeat.IDs()) {
			t.Errorf("withdrawn are %v, want %v", withdrawn, repeat.IDs())
		}
	})
}

// TestStoredUnnoticed: an entry that was sent first is in the store already, because a commit that seemed to
// fail was made, and another replica has stored a newer state of its key. The entry is recognized by its
// messages, and what happened to them is stored.
func TestStoredUnnoticed(t *testing.T) {
	inReplica(t, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		entry := func(state byte) outbox.Entry {
			return outbox.Entry{Key: outbox.Key{1}, State: outbox.Key{state}, SeenAt: time.Now(), Window: time.Hour, Messages: []outbox.Message{message(ids, "g")}}
		}
		first, newer := entry(1), entry(2)
		f.fail(fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), nil)
		if _, err := commit(s, spool.FailOpen, first); err != nil {
			t.Fatal(err)
		}
		for _, e := range []outbox.Entry{first, newer} {
			if _, err := f.Store.Add(context.Background(), e); err != nil {
				t.Fatal(err)
			}
		}
		f.fail(nil, nil)
		time.Sleep(5 * time.Second)
		m, err := f.Store.Get(context.Background(), first.Messages[0].ID)
		if err != nil || m.State != outbox.Accepted || s.Entries() != 0 {
			t.Errorf("the message is stored as %+v, %v; %d entries wait", m, err, s.Entries())
		}
	})
}

// TestSharedStore: a message is sent before it is stored only if no other replica can have it.
func TestSharedStore(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		sent bool
	}{
		"the message may be stored":           {errFault, false},
		"the message is certainly not stored": {fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), true},
	} {
		var handed, withdrawn []string
		in(t, spool.Options{
			Shared:   true,
			Handover: func(_ bool, ms ...outbox.Message) { handed = append(handed, ms[0].ID) },
			Withdraw: func(ids []string) { withdrawn = append(withdrawn, ids...) },
		}, func(f *fake, s *spool.Spool) {
			f.fail(tc.err, nil)
			m := message(outbox.NewIDs(), "g")
			if _, err := commit(s, spool.FailOpen, outbox.Entry{Messages: []outbox.Message{m}}); err == nil {
				t.Errorf("%s: the commit succeeds without an acceptance", name)
			}
			if sent := len(handed) > 0; sent != tc.sent || !slices.Equal(handed, withdrawn) {
				t.Errorf("%s: handed over %v, withdrawn %v", name, handed, withdrawn)
			}
			f.fail(nil, nil)
		})
	}
}

// TestUnknownCommitIsNotSentFirst: once another replica may have an entry, no later commit of it is
// sent first, even if that later commit was certainly not stored.
func TestUnknownCommitIsNotSentFirst(t *testing.T) {
	handed := 0
	in(t, spool.Options{Shared: true, Handover: func(_ bool, ms ...outbox.Message) { handed += len(ms) }}, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		try := func() error {
			_, err := commit(s, spool.FailOpen, outbox.Entry{Key: outbox.Key{1}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{message(ids, "g")}})
			return err
		}
		for _, err := range []error{errFault, fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault)} {
			if f.fail(err, nil); try() == nil || handed > 0 {
				t.Errorf("after %v, the commit succeeds, or hands over messages (%d)", err, handed)
			}
		}
		if f.fail(nil, nil); try() != nil || handed != 1 {
			t.Errorf("once the store works, %d messages were handed over", handed)
		}
	})
}

// TestCommitWaitsForDoubt: in a shared store, a notification is not refused while the provider may
// have its message: repeated to another replica, the message would be sent twice.
func TestCommitWaitsForDoubt(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		var sp *spool.Spool
		record := func(c outbox.Change) {
			if _, err := sp.Record(context.Background(), c, nil); err != nil {
				t.Error(err)
			}
		}
		in(t, spool.Options{Shared: true, Handover: func(direct bool, ms ...outbox.Message) {
			for _, m := range ms {
				if !direct {
					continue
				}
				record(outbox.Attempted(m.ID, time.Now(), ""))
				record(outbox.Doubted(m.ID, time.Now(), "timeout"))
				time.AfterFunc(5*time.Second, func() {
					if accepted {
						record(outbox.ProviderAccepted(m.ID, "a", time.Now(), ""))
					} else {
						record(outbox.Returned(m.ID, time.Now(), "the provider does not have it"))
					}
				})
			}
		}}, func(f *fake, s *spool.Spool) {
			sp = s
			f.fail(fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), nil)
			began := time.Now()
			_, err := commit(s, spool.FailOpen, outbox.Entry{Messages: []outbox.Message{message(outbox.NewIDs(), "g")}})
			if took := time.Since(began); (err == nil) != accepted || took != 5*time.Second {
				t.Errorf("the provider has it: %v; after %s the error is %v", accepted, took, err)
			}
			f.fail(nil, nil)
		})
	}
}

// TestDoubtIsStored: a message that a replica sent without the store is in doubt. Once the store works
// again, the message is stored, so that the leader asks the provider about it and sends nothing older
// of its group; its commit succeeds. New entries are stored first, for the leader to send.
func TestDoubtIsStored(t *testing.T) {
	var sp *spool.Spool
	var mu sync.Mutex
	var direct, stored []string
	in(t, spool.Options{Shared: true, Handover: func(unstored bool, ms ...outbox.Message) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range ms {
			if !unstored {
				stored = append(stored, m.GroupKey)
				continue
			}
			direct = append(direct, m.GroupKey)
			outcome := outbox.ProviderAccepted(m.ID, "a", time.Now(), "")
			if m.GroupKey == "doubt" {
				outcome = outbox.Doubted(m.ID, time.Now(), "timeout")
			}
			for _, c := range []outbox.Change{outbox.Attempted(m.ID, time.Now(), ""), outcome} {
				if _, err := sp.Record(context.Background(), c, nil); err != nil {
					t.Error(err)
				}
			}
		}
	}}, func(f *fake, s *spool.Spool) {
		sp = s
		ids := outbox.NewIDs()
		states := byte(0) // each entry is a new state of its notification, never a duplicate
		entry := func(key byte, group string) outbox.Entry {
			states++
			return outbox.Entry{Key: outbox.Key{key}, State: outbox.Key{states}, SeenAt: time.Now(), Window: time.Minute, Messages: []outbox.Message{message(ids, group)}}
		}
		f.fail(fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), nil)
		doubtful := entry(1, "doubt")
		committed := make(chan error, 1)
		go func() {
			_, err := commit(s, spool.FailOpen, doubtful)
			committed <- err
		}()
		synctest.Wait()
		sent := entry(2, "sent")
		if _, err := commit(s, spool.FailOpen, sent); err != nil {
			t.Fatal(err)
		}
		f.fail(nil, nil)
		time.Sleep(1500 * time.Millisecond)
		if m, err := f.Store.Get(context.Background(), doubtful.Messages[0].ID); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("while this process finds out, the message in doubt is stored as %+v, %v", m, err)
		}
		time.Sleep(1500 * time.Millisecond)
		if m, err := f.Store.Get(context.Background(), sent.Messages[0].ID); err != nil || m.State != outbox.Accepted {
			t.Errorf("the sent message is stored as %+v, %v", m, err)
		}
		if m, err := f.Store.Get(context.Background(), doubtful.Messages[0].ID); err != nil || m.State != outbox.Sending {
			t.Errorf("the message in doubt is stored as %+v, %v", m, err)
		}
		if err := <-committed; err != nil {
			t.Errorf("the commit of the message in doubt: %v", err)
		}
		for _, p := range []spool.Policy{spool.FailOpen, spool.Strict} {
			if _, err := commit(s, p, entry(3, "other")); err != nil {
				t.Error(err)
			}
		}
		if _, err := commit(s, spool.FailOpen, entry(1, "newer")); err != nil {
			t.Error(err)
		}
		mu.Lock()
		if want := []string{"doubt", "sent"}; !slices.Equal(direct, want) {
			t.Errorf("sent first: %q, want %q", direct, want)
		}
		if want := []string{"doubt", "other", "other", "newer"}; !slices.Equal(stored, want) {
			t.Errorf("stored first: %q, want %q", stored, want)
		}
		mu.Unlock()
		time.Sleep(time.Minute)
	})
}

// TestNotSentWhileBeingStored: from the moment at which the store may have a message in doubt, the leader
// sends it, and this process does not. If the store has certainly not stored it, this process goes on.
func TestNotSentWhileBeingStored(t *testing.T) {
	var sp *spool.Spool
	withdrawn, sent := 0, 0
	in(t, spool.Options{Shared: true, Withdraw: func([]string) { withdrawn++ }, Handover: func(direct bool, ms ...outbox.Message) {
		for _, m := range ms {
			if direct {
				sent++
			}
			for _, c := range []outbox.Change{outbox.Attempted(m.ID, time.Now(), ""), outbox.Doubted(m.ID, time.Now(), "timeout")} {
				if _, err := sp.Record(context.Background(), c, nil); err != nil && direct {
					t.Error(err)
				}
			}
		}
	}}, func(f *fake, s *spool.Spool) {
		sp = s
		f.fail(fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), nil)
		m := message(outbox.NewIDs(), "g")
		committed := make(chan error, 1)
		go func() {
			_, err := commit(s, spool.FailOpen, outbox.Entry{Messages: []outbox.Message{m}})
			committed <- err
		}()
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		if !s.Direct(m.ID) || sent < 2 {
			t.Errorf("the store has certainly not stored the message; this process sends it: %t, handed over %d times", s.Direct(m.ID), sent)
		}
		f.fail(nil, nil)
		f.slow(2 * time.Second)
		time.Sleep(1500 * time.Millisecond)
		if s.Direct(m.ID) {
			t.Error("the message is being stored, and this process sends it")
		}
		err := <-committed
		synctest.Wait()
		if err != nil || withdrawn != 1 || s.Direct(m.ID) {
			t.Errorf("the commit ends with %v; withdrawn %d times; direct: %t", err, withdrawn, s.Direct(m.ID))
		}
	})
}

// inReplica runs a test with the spool of a replica whose messages the provider accepts immediately.
func inReplica(t *testing.T, test func(f *fake, s *spool.Spool)) {
	t.Helper()
	var sp *spool.Spool
	in(t, spool.Options{Shared: true, Handover: func(_ bool, ms ...outbox.Message) {
		for _, m := range ms {
			for _, c := range []outbox.Change{outbox.Attempted(m.ID, time.Now(), ""), outbox.ProviderAccepted(m.ID, "a", time.Now(), "")} {
				if _, err := sp.Record(context.Background(), c, nil); err != nil {
					t.Error(err)
				}
			}
		}
	}}, func(f *fake, s *spool.Spool) {
		sp = s
		test(f, s)
	})
}

// TestRepeatInTheNextOutage: a notification that was sent first, and stored later, is repeated in the
// next outage. It is a duplicate, and gets the IDs of the stored messages.
func TestRepeatInTheNextOutage(t *testing.T) {
	inReplica(t, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		away := fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault)
		post := func() (outbox.Added, error) {
			return commit(s, spool.FailOpen, outbox.Entry{Key: outbox.Key{1}, State: outbox.Key{1}, SeenAt: time.Now(), Window: time.Hour, Messages: []outbox.Message{message(ids, "g")}})
		}
		f.fail(away, nil)
		first, err := post()
		if err != nil {
			t.Fatal(err)
		}
		f.fail(nil, nil)
		time.Sleep(5 * time.Second)
		f.fail(away, nil)
		if again, err := post(); err != nil || !again.Duplicate || !slices.Equal(again.IDs, first.IDs) {
			t.Errorf("the repeat gives %+v, %v, want the ids %v", again, err, first.IDs)
		}
		f.fail(nil, nil)
	})
}

// TestBacklogIsStoredSoon: even 1000 entries that were sent first, and slow writes, are stored
// within two seconds. The leader waits that long before it sends older messages.
func TestBacklogIsStoredSoon(t *testing.T) {
	inReplica(t, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		f.fail(fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), nil)
		for i := range 1000 {
			if _, err := commit(s, spool.FailOpen, outbox.Entry{Key: outbox.Key{byte(i / 3), byte(i / 3 >> 8), 1}, State: outbox.Key{byte(i%3 + 1)}, SeenAt: time.Now(), Window: time.Hour, Messages: []outbox.Message{message(ids, "g")}}); err != nil {
				t.Fatal(err)
			}
		}
		f.slow(50 * time.Millisecond)
		f.fail(nil, nil)
		time.Sleep(2 * time.Second)
		if n := s.Entries(); n > 0 {
			t.Errorf("%d entries are not stored yet", n)
		}
	})
}

// TestStoppedProcessDoesNotSend: a failure during a stop of the process does not show that the
// store fails, and another replica may have the entry by now.
func TestStoppedProcessDoesNotSend(t *testing.T) {
	for _, during := range []string{"the commit", "the send"} {
		handed := 0
		in(t, spool.Options{Shared: true, Handover: func(_ bool, ms ...outbox.Message) { handed += len(ms) }}, func(f *fake, s *spool.Spool) {
			f.fail(fmt.Errorf("%w: %w", outbox.ErrNotStored, errFault), nil)
			m := message(outbox.NewIDs(), "g")
			stop := time.AfterFunc(10*time.Second, func() {
				if !s.Direct(m.ID) {
					t.Error("a message that could not be stored is not sent")
				}
				s.WasStopped()
				if s.Direct(m.ID) {
					t.Error("after the process was stopped, the message is sent")
				}
			})
			defer stop.Stop()
			_, err := s.Commit(context.Background(), spool.FailOpen, func(context.Context) (*outbox.Entry, error) {
				if during == "the commit" {
					stop.Stop()
					f.before(s.WasStopped)
				}
				return &outbox.Entry{Messages: []outbox.Message{m}}, nil
			})
			if want := map[string]int{"the send": 1}[during]; err == nil || handed != want {
				t.Errorf("stopped during %s: %d messages were handed over, want %d: %v", during, handed, want, err)
			}
			f.before(nil)
			f.fail(nil, nil)
		})
	}
}

// TestSlowStart: a start that took long is no stop of the process, so the first notification is not refused.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := spool.New(spool.Options{Shared: true, Open: func(context.Context) (outbox.Store, error) {
			time.Sleep(time.Minute)
			return raw, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := commit(s, spool.FailOpen, outbox.Entry{Messages: []outbox.Message{message(outbox.NewIDs(), "g")}}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestNotificationDuringAStopIsRefused: a notification that may have been posted while the process was stopped
// is refused; a little later, notifications are accepted again.
func TestNotificationDuringAStopIsRefused(t *testing.T) {
	in(t, spool.Options{Shared: true}, func(_ *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		post := func() error {
			_, err := commit(s, spool.FailOpen, outbox.Entry{Messages: []outbox.Message{message(ids, "g")}})
			return err
		}
		s.WasStopped()
		if post() == nil {
			t.Error("the notification is accepted, although another replica may have a newer one")
		}
		time.Sleep(2 * time.Second)
		if err := post(); err != nil {
			t.Error(err)
		}
	})
}

// TestConflict: an entry that does not fit what is stored is built again.
func TestConflict(t *testing.T) {
	in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
		built := 0
		_, err := s.Commit(context.Background(), spool.Strict, func(context.Context) (*outbox.Entry, error) {
			built++
			return &outbox.Entry{Marks: []outbox.Mark{{Kind: "k", Name: "n", Version: 3 - built, Doc: []byte("{}")}}}, nil
		})
		if err != nil || built != 3 {
			t.Errorf("the entry is built %d times: %v", built, err)
		}
	})
}

// TestReceiptForUnreadableMessage: a receipt for a message that cannot be read is kept until it can.
func TestReceiptForUnreadableMessage(t *testing.T) {
	var changed []outbox.State
	in(t, spool.Options{Changed: func(m outbox.Message, _ outbox.Change) { changed = append(changed, m.State) }}, func(f *fake, s *spool.Spool) {
		m := message(outbox.NewIDs(), "g")
		m.State = outbox.Accepted
		if _, err := f.Store.Add(context.Background(), outbox.Entry{Messages: []outbox.Message{m}}); err != nil {
			t.Fatal(err)
		}
		f.fail(nil, errFault)
		for range 2 {
			if _, err := s.Record(context.Background(), outbox.Ended(m.ID, "x", time.Now(), 4, true, ""), nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if n, since := s.Backlog(); n != 2 || time.Since(since) != time.Minute {
			t.Errorf("%d changes wait since %s", n, since)
		}
		f.fail(nil, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got, err := f.Store.Get(context.Background(), m.ID); err != nil || got.State != outbox.Delivered || len(got.Events) != 2 || len(changed) != 1 {
			t.Errorf("the message is %+v, %v; reported %v", got, err, changed)
		}
		if _, err := s.Record(context.Background(), outbox.Replied("nope", time.Now(), ""), nil); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("an unknown message gives %v", err)
		}
	})
}

// TestReads: reads include what is not stored yet.
func TestReads(t *testing.T) {
	in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		stored, sent := message(ids, "g"), message(ids, "h")
		if _, err := commit(s, spool.Strict, outbox.Entry{Messages: []outbox.Message{stored}}); err != nil {
			t.Fatal(err)
		}
		f.fail(errFault, nil)
		done := make(chan error)
		go func() {
			_, err := commit(s, spool.FailOpen, outbox.Entry{Messages: []outbox.Message{sent}})
			done <- err
		}()
		synctest.Wait()
		for _, m := range []outbox.Message{stored, sent} {
			if made, err := s.Record(context.Background(), outbox.ProviderAccepted(m.ID, "api-"+m.ID, time.Now(), ""), nil); !made || err != nil {
				t.Fatal(made, err)
			}
			if got, err := s.Get(context.Background(), m.ID); err != nil || got.State != outbox.Accepted || len(got.Events) != 2 {
				t.Errorf("Get gives %+v, %v", got, err)
			}
			if id, err := s.FindAPIID(context.Background(), "api-"+m.ID); err != nil || id != m.ID {
				t.Errorf("FindAPIID gives %q, %v", id, err)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for state, want := range map[outbox.State]int{"": 2, outbox.Accepted: 2, outbox.Queued: 0} {
			ms, err := s.List(context.Background(), outbox.Query{State: state, Limit: 10})
			if err != nil || len(ms) != want || want == 2 && ms[0].ID != sent.ID {
				t.Errorf("List of %q gives %+v, %v", state, ms, err)
			}
		}
		f.fail(nil, nil)
	})
}

// TestPoison: changes that cannot be written do not hold up other changes or commits.
func TestPoison(t *testing.T) {
	in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		ms := []outbox.Message{message(ids, "a"), message(ids, "b"), message(ids, "c")}
		if _, err := commit(s, spool.Strict, outbox.Entry{Messages: ms}); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.poison = ms[0].ID
		f.mu.Unlock()
		for _, m := range ms {
			if _, err := s.Record(context.Background(), outbox.ProviderAccepted(m.ID, "", time.Now(), ""), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := commit(s, spool.Strict, outbox.Entry{Messages: []outbox.Message{message(ids, "d")}}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		for i, want := range []outbox.State{outbox.Queued, outbox.Accepted, outbox.Accepted} {
			if got, err := f.Store.Get(context.Background(), ms[i].ID); err != nil || got.State != want {
				t.Errorf("message %d is stored as %s, %v; want %s", i, got.State, err, want)
			}
		}
		if n, _ := s.Backlog(); n != 1 {
			t.Errorf("%d changes are left", n)
		}
		f.mu.Lock()
		f.poison = ""
		f.mu.Unlock()
	})
}

// TestPoisonousEntry: an entry that cannot be written does not keep changes from being stored.
func TestPoisonousEntry(t *testing.T) {
	in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		stored, poison := message(ids, "a"), message(ids, "b")
		if _, err := commit(s, spool.Strict, outbox.Entry{Messages: []outbox.Message{stored}}); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.poison = poison.ID
		f.mu.Unlock()
		if _, err := commit(s, spool.Later, outbox.Entry{Messages: []outbox.Message{poison}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Record(context.Background(), outbox.ProviderAccepted(stored.ID, "", time.Now(), ""), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got, err := f.Store.Get(context.Background(), stored.ID); err != nil || got.State != outbox.Accepted {
			t.Errorf("the message is stored as %s, %v", got.State, err)
		}
		f.mu.Lock()
		f.poison = ""
		f.mu.Unlock()
	})
}
