package oncall_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// death ends a process: from then on it neither reads nor writes the store, and its network requests
// get nowhere.
type death struct {
	mu     sync.Mutex
	writes int
	at     int           // the number of the write at which the process dies; 0: it lives
	after  bool          // that write is still made
	dead   chan struct{} // closed when the process dies
	buried chan struct{} // closed when its blocked calls may return
}

var errDead = errors.New("the process is dead")

// write counts and makes a write. The process dies at write number d.at.
func (d *death) write(ctx context.Context, do func() error) error {
	d.mu.Lock()
	d.writes++
	now := d.writes == d.at
	d.mu.Unlock()
	if err := d.hang(ctx); err != nil {
		return err
	}
	if !now {
		return do()
	}
	if d.after {
		if err := do(); err != nil {
			return err
		}
	}
	close(d.dead)
	return d.hang(ctx)
}

// hang blocks if the process is dead, until it is buried or the context ends.
func (d *death) hang(ctx context.Context) error {
	select {
	case <-d.dead:
	default:
		return nil
	}
	select {
	case <-d.buried:
		return errDead
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mortal is a store whose process can die.
type mortal struct {
	outbox.Store
	*death
}

func (m mortal) Add(ctx context.Context, e outbox.Entry) (added outbox.Added, err error) {
	if e.Page == nil && len(e.Messages)+len(e.Notes) == 0 { // the entry only records that the process lives
		if err := m.hang(ctx); err != nil {
			return added, err
		}
		return m.Store.Add(ctx, e)
	}
	err = m.write(ctx, func() (err error) { added, err = m.Store.Add(ctx, e); return err })
	return added, err
}

func (m mortal) Open(ctx context.Context) iter.Seq2[outbox.Message, error] {
	_ = m.hang(ctx)
	return m.Store.Open(ctx)
}

func (m mortal) Pages(ctx context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	if err := m.hang(ctx); err != nil {
		return nil, err
	}
	return m.Store.Pages(ctx, q)
}

func (m mortal) Page(ctx context.Context, id string) (outbox.Page, error) {
	if err := m.hang(ctx); err != nil {
		return outbox.Page{}, err
	}
	return m.Store.Page(ctx, id)
}

func (m mortal) Close() error { return nil } // the test closes the store

// mortalTransport is a network that carries nothing to or from a dead process.
type mortalTransport struct {
	http.RoundTripper
	*death
}

func (m mortalTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := m.silence(r); err != nil {
		return nil, err
	}
	response, err := m.RoundTripper.RoundTrip(r)
	if died := m.silence(r); died != nil { // it died meanwhile
		return nil, died
	}
	return response, err
}

// silence blocks a request if the process is dead, until the request's client gives up.
func (m mortalTransport) silence(r *http.Request) error {
	select {
	case <-m.dead:
	default:
		return nil
	}
	select {
	case <-m.buried:
	case <-r.Context().Done():
	}
	return errDead
}

// story plays a page that is escalated, acknowledged and resolved. Requests are repeated until they
// succeed, as Alertmanager and the provider do.
func (w *world) story() {
	w.postUntilAccepted(func() (int, string) { return w.do("POST", "/alertmanager/oncall", firing) })
	a, b := w.phone(alice), w.phone(bob)
	a.expect(20*time.Second, "CRITICAL DiskFull...Re CODE")
	b.expect(6*time.Minute, "CRITICAL DiskFull...No answer from alice. OK? Re CODE")
	after(time.Minute)
	b.say("ok")
	b.expect(30*time.Second, "OK, "+b.code+" is yours...")
	a.expect(30*time.Second, "bob has "+b.code+"...")
	after(time.Minute)
	w.postUntilAccepted(func() (int, string) { return w.do("POST", "/alertmanager/oncall", resolved) })
	a.expect(30*time.Second, "RESOLVED...")
	b.expect(30*time.Second, "RESOLVED...")
	after(time.Hour)
}

const (
	firing = `{"version":"4","receiver":"oncall","status":"firing","groupKey":"g","notification_reason":"first notification",
		"alerts":[{"status":"firing","labels":{"alertname":"DiskFull","severity":"critical"},"startsAt":"1999-12-31T23:50:00Z"}],"commonLabels":{"alertname":"DiskFull","severity":"critical"}}`
	resolved = `{"version":"4","receiver":"oncall","status":"resolved","groupKey":"g","notification_reason":"all alerts resolved",
		"alerts":[{"status":"resolved","labels":{"alertname":"DiskFull","severity":"critical"},"startsAt":"1999-12-31T23:50:00Z","endsAt":"2000-01-01T00:08:00Z"}],"commonLabels":{"alertname":"DiskFull","severity":"critical"}}`
)

// postUntilAccepted posts until the response is 200.
func (w *world) postUntilAccepted(post func() (int, string)) {
	w.t.Helper()
	for range 20 {
		code := make(chan int, 1)
		go func() {
			c, _ := post()
			code <- c
		}()
		select {
		case c := <-code:
			if c == http.StatusOK {
				return
			}
		case <-time.After(10 * time.Second): // there is no response
		}
		time.Sleep(time.Second)
	}
	w.t.Fatal("the notification is never accepted")
}

// TestCrashAtEveryStep kills the process just before and just after each of its writes, and starts
// another: the story ends the same, and each text is sent once.
func TestCrashAtEveryStep(t *testing.T) {
	writes := 0
	run := func(at int, after bool) {
		t.Run(fmt.Sprintf("write %d, made %t", at, after), func(t *testing.T) {
			if n := crash(t, at, after); at == 0 {
				writes = n
			}
		})
	}
	run(0, false)
	if writes < 8 { // four commits, and the writes that follow them
		t.Fatalf("the story takes %d writes", writes)
	}
	for at := 1; at <= writes; at++ {
		run(at, false)
		run(at, true)
	}
}

// startMortal starts a process that d kills, on the store that open makes of the outbox. It returns the
// network, for the next process, and a function that stops the dead one.
func (w *world) startMortal(cfg string, d *death, open func(outbox.Store) outbox.Store) (network *routes, bury func()) {
	w.t.Helper()
	w.wraps = func(s outbox.Store) outbox.Store { return mortal{open(s), d} }
	network, w.routes = w.routes, &routes{}
	for _, host := range []string{"provider", "alertmanager"} {
		w.routes.set(host, mortalTransport{network.get(host), d})
	}
	w.start(cfg)
	w.callbacks.set("smspager", mortalTransport{w.callbacks.get("smspager"), d})
	return network, w.stop
}

// crash plays the story with a process that is killed at one of its writes, before or after the write is
// made. If at is 0, the process lives, and crash returns the number of its writes.
func crash(t *testing.T, at int, after bool) (writes int) {
	t.Helper()
	inWorld(t, escalating, func(w *world) {
		w.halt()
		d := &death{at: at, after: after, dead: make(chan struct{}), buried: make(chan struct{})}
		var first outbox.Store
		network, bury := w.startMortal(escalating, d, func(s outbox.Store) outbox.Store {
			first = s
			return s
		})
		revived := make(chan struct{})
		ended := make(chan struct{})
		go func() { // start another process once this one is dead
			defer close(revived)
			select {
			case <-ended:
				return
			case <-d.dead:
			}
			if err := first.Close(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			w.wraps, w.routes = nil, network
			w.start(escalating)
		}()
		w.story()
		close(ended)
		<-revived
		if at > 0 {
			select {
			case <-d.dead:
			default:
				t.Errorf("the process was not killed")
			}
			w.halt()
		}
		close(d.buried)
		bury()
		w.stop = nil
		if at == 0 {
			writes = d.writes
			first.Close()
		}
		w.judge()
	})
	return writes
}

// judge fails the test unless each text of the story was sent once.
func (w *world) judge() {
	w.t.Helper()
	want := map[string]int{
		alice + " CRITICAL": 1, alice + " bob": 1, alice + " RESOLVED": 1,
		bob + " CRITICAL": 1, bob + " OK,": 1, bob + " RESOLVED": 1,
	}
	got := make(map[string]int)
	for _, m := range w.sim.Messages() {
		got["+"+m.To+" "+strings.Fields(m.Text)[0]]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("the phones got %v, want %v", got, want)
	}
	synctest.Wait()
}
