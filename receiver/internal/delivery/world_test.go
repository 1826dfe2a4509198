package delivery_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const alice e164.Number = "+33612345678"

// world is a Delivery between a real outbox and the simulator, in a bubble with a fake clock.
type world struct {
	t      *testing.T
	dir    string
	store  *sqlite.Store
	spool  *spool.Spool
	sim    *textinghousetest.Simulator
	d      *delivery.Delivery
	reg    *prometheus.Registry
	ids    *outbox.IDs
	shared bool
	pages  delivery.Pages
	clocks func() (steady, wall time.Duration) // nil: the real ones
	stop   func()
	alter  func(*delivery.Settings)
	wraps  func(outbox.Store) outbox.Store
	away   int // how many more times opening the store fails

	mu     sync.Mutex
	finals []outbox.Message
}

// inWorld runs a test with a running Delivery. Callbacks count as set up, so that the provider is not
// asked for a status in the first minute.
func inWorld(t *testing.T, o textinghousetest.Options, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir(), sim: textinghousetest.New(o), ids: outbox.NewIDs(), alter: func(*delivery.Settings) {}, wraps: func(s outbox.Store) outbox.Store { return s }}
		defer w.sim.Close()
		w.start()
		test(w)
		w.halt()
	})
}

// start opens the outbox and runs a new Delivery on it, as a new process would.
func (w *world) start() {
	w.t.Helper()
	store, err := sqlite.Open(context.Background(), filepath.Join(w.dir, "outbox.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.reg = store, prometheus.NewRegistry()
	var d *delivery.Delivery
	w.spool, err = spool.New(spool.Options{
		Shared: w.shared,
		Open: func(context.Context) (outbox.Store, error) {
			if w.away > 0 {
				w.away--
				return nil, errBroken
			}
			return w.wraps(store), nil
		},
		Handover: func(direct bool, ms ...outbox.Message) { d.Handover(direct, ms...) },
		Changed:  func(m outbox.Message, c outbox.Change) { d.Changed(m, c) },
		Withdraw: func(ids []string) { d.Withdraw(ids) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	d = delivery.New(delivery.Options{Spool: w.spool, Shared: w.shared, Logger: slog.New(slog.DiscardHandler), IDs: outbox.NewIDs(), Pages: w.pages, Registerer: w.reg, OnFinal: w.final})
	w.d = d
	if w.clocks != nil {
		d.SetClocks(w.clocks)
	}
	w.d.Configure(w.settings())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.d.Run(ctx) })
	synctest.Wait() // otherwise it might load what the test adds next, and ask about it
	w.stop = func() {
		cancel()
		running.Wait()
		if err := w.spool.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) final(m outbox.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finals = append(w.finals, m)
}

func (w *world) halt() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

func (w *world) settings() delivery.Settings {
	s := delivery.Settings{Gateway: w.client(w.sim.Transport()), Timeout: 10 * time.Second, Concurrency: 16, Callbacks: true}
	w.alter(&s)
	return s
}

func (w *world) client(via http.RoundTripper) *textinghouse.Client {
	client, err := textinghouse.NewClient(textinghouse.Options{
		User: "acme", Password: "correct horse", Endpoints: []string{"http://127.0.0.1/"}, Transport: via,
		Observe: func(x textinghouse.Exchange) { w.d.Observe(x) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

// message returns a new message.
func (w *world) message(to e164.Number, group, text string) outbox.Message {
	now := w.spool.Now()
	return outbox.Message{
		ID: w.ids.New(now), To: to, Receiver: "oncall", GroupKey: group, Text: text, Encoding: "gsm7", Segments: 1,
		State: outbox.Queued, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
		Events: []outbox.Event{{At: now, Type: outbox.EventQueued}},
	}
}

// put stores messages and hands them over.
func (w *world) put(ms ...outbox.Message) {
	w.t.Helper()
	if _, err := w.store.Add(context.Background(), outbox.Entry{SeenAt: time.Now(), Messages: ms}); err != nil {
		w.t.Fatal(err)
	}
	w.d.Handover(false, ms...)
}

// stored adds messages to the store, as an earlier run would. No Delivery runs meanwhile.
func (w *world) stored(ms ...outbox.Message) {
	w.t.Helper()
	store, err := sqlite.Open(context.Background(), filepath.Join(w.dir, "outbox.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := store.Add(context.Background(), outbox.Entry{Messages: ms}); err != nil {
		w.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// sendNow commits an entry, which the store may refuse.
func (w *world) sendNow(e *outbox.Entry) error {
	_, err := w.spool.Commit(context.Background(), spool.FailOpen, func(context.Context) (*outbox.Entry, error) { return e, nil })
	return err
}

// get reads a message, including changes that are not stored yet.
func (w *world) get(id string) outbox.Message {
	w.t.Helper()
	m, err := w.spool.Get(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// after lets time pass, and waits for everything that is due until then.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expect checks a message's state, and how often the provider accepted it.
func (w *world) expect(id string, state outbox.State, accepted int) {
	w.t.Helper()
	if m := w.get(id); m.State != state || w.sim.TimesAccepted(id) != accepted {
		w.t.Errorf("the message is %s and was accepted %d times, want %s and %d; its last events: %+v",
			m.State, w.sim.TimesAccepted(id), state, accepted, m.Events[max(0, len(m.Events)-4):])
	}
}

func (w *world) texts() (texts []string) {
	for _, m := range w.sim.Messages() {
		texts = append(texts, m.Text)
	}
	return texts
}

// measured returns the value of the first metric with a name.
func measured(w *world, name string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	w.t.Fatalf("no metric %s", name)
	return 0
}
