package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/internal/alertmanagertest"
	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const (
	token         = "0123456789abcdef-truth"
	alice         = "+33639980001"
	groupInterval = 5 * time.Second
)

// world is smspager between a cluster of two Alertmanagers and the simulator.
type world struct {
	*truth
	*verdict
	options
	dir   string
	sim   *textinghousetest.Server
	store *sqlite.Store // smspager's store
	web   *httptest.Server
	ams   []*alertmanagertest.Alertmanager
	stop  func() error
	asked atomic.Int64 // requests to Alertmanager

	started  [2]time.Time // when each Alertmanager was last started
	down     [2]time.Time // when a killed Alertmanager is started again; zero: it runs
	dead     [2]time.Time // when a dead sender sends again
	sentAt   time.Time
	nextWhat time.Time
	nextKill time.Time
	happened map[string]int
}

func newWorld(ctx context.Context, o options) (w *world, err error) {
	binary, err := alertmanagertest.Built()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	w = &world{
		truth: newTruth(o.seed, now), verdict: newVerdict(), options: o, happened: make(map[string]int),
		sim: textinghousetest.NewServer(textinghousetest.Options{StatusDelay: 50 * time.Millisecond}), nextKill: now.Add(time.Minute),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "smspager-truth-"); err != nil {
		return nil, err
	}
	// The server's handler is set when the addresses of the Alertmanagers are known.
	var handler http.Handler
	w.web = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	webhook := "http://" + w.web.Listener.Addr().String()
	for range 2 {
		var peers []string
		if len(w.ams) > 0 {
			peers = []string{w.ams[0].Cluster}
		}
		am, err := alertmanagertest.Start(alertmanagertest.Options{Binary: binary, Config: w.config(webhook), Clustered: true, Peers: peers})
		if err != nil {
			return nil, err
		}
		w.started[len(w.ams)] = time.Now()
		w.ams = append(w.ams, am)
	}
	w.ams[0].Peers = []string{w.ams[1].Cluster}
	r, err := w.smspager(ctx)
	if err != nil {
		return nil, err
	}
	handler = r.Handler()
	w.web.Start()
	w.sim.Update("acme", func(a *textinghousetest.Account) {
		a.ReceiptURL, a.ReplyURL = webhook+"/textinghouse/"+token+"/dlr", webhook+"/textinghouse/"+token+"/mo"
	})
	return w, nil
}

// smspager starts smspager, with its log and database in w.dir.
func (w *world) smspager(ctx context.Context) (*receiver.Receiver, error) {
	log, err := os.Create(filepath.Join(w.dir, "log"))
	if err != nil {
		return nil, err
	}
	if w.store, err = sqlite.Open(ctx, filepath.Join(w.dir, "smspager.db")); err != nil {
		return nil, err
	}
	account := w.sim.ClientOptions()
	cfg, err := config.Parse(filepath.Join(w.dir, "smspager.yml"), fmt.Appendf(nil, `
textinghouse: {user: %s, password: %q, endpoints: [%q], callback_token: %s}
contacts: [{name: alice, number: %q}, {name: bob, number: "+33639980002"}, {name: carol, number: "+33639980003"}]
alertmanager: {urls: [%q, %q]}
receivers: [{name: oncall, to: [alice], limits: [], repeat: 30s, escalate: [{after: 15s, to: [bob]}, {after: 30s, to: [carol]}]}]
`, account.User, account.Password, w.sim.URL, token, alice, w.ams[0].URL, w.ams[1].URL))
	if err != nil {
		return nil, err
	}
	r, err := receiver.New(cfg, receiver.Options{Store: w.store, Logger: slog.New(slog.NewTextHandler(log, nil)), Transport: w})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(running) }()
	w.stop = func() error {
		cancel()
		return errors.Join(<-done, log.Close())
	}
	return r, nil
}

// RoundTrip carries smspager's requests, and counts the requests to Alertmanager.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/api/v2/") {
		w.asked.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// send sends each living sender's alerts to both Alertmanagers, every resend. An Alertmanager that is down
// gets nothing.
func (w *world) send(now time.Time) {
	if now.Sub(w.sentAt) < resend {
		return
	}
	w.sentAt = now
	for i, until := range w.dead {
		if now.Before(until) {
			continue
		}
		for _, am := range w.ams {
			_ = am.Send(w.sent(now, time.Duration(i)*700*time.Millisecond)...)
		}
	}
}

func (w *world) close() error {
	var errs []error
	if w.stop != nil {
		errs = append(errs, w.stop())
	}
	if w.web != nil {
		w.web.CloseClientConnections()
		w.web.Close()
	}
	for _, am := range w.ams {
		errs = append(errs, am.Close())
	}
	w.sim.Close()
	if len(w.wrong) > 0 {
		fmt.Fprintln(w.out, "smspager's log and outbox:", w.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}
