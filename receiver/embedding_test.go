package receiver_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// notification returns a notification of one alert, in a group of its own.
func notification(alert string) string {
	return fmt.Sprintf(`{"version":"4","status":"firing","groupKey":"{}:{alertname=%s}","alerts":[{"status":"firing","labels":{"alertname":%q},"startsAt":"2026-11-23T19:24:46Z"}],"commonLabels":{"alertname":%q}}`, alert, alert, alert)
}

// TestRunLeavesNothing: when Run returns, all goroutines that it or its requests started have
// ended, even if the provider does not respond.
func TestRunLeavesNothing(t *testing.T) {
	for _, db := range []string{"sqlite", "postgres"} {
		t.Run(db, func(t *testing.T) {
			storage := ""
			if db == "postgres" {
				_, url := database(t)
				storage = "storage: {postgres_url: \"" + url + "\"}"
			}
			before := goleak.IgnoreCurrent()
			c := start(t, textinghousetest.Options{}, storage+simple+"probe: {interval: 1m}\n")
			c.until(c.insist("/alertmanager/sms", notification("DiskFull")).Messages[0], "delivered")
			c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Hang})
			c.insist("/alertmanager/sms", notification("DiskDead"))
			c.stop()
			c.sim.Close()
			http.DefaultClient.CloseIdleConnections()
			testwait.Until(t, func() error { return goleak.Find(before) })
		})
	}
}

// TestTwoReceivers: two receivers in one process share no outbox, no metrics and no duplicate
// detection; one goes on when the other stops.
func TestTwoReceivers(t *testing.T) {
	one, two := start(t, textinghousetest.Options{}, simple), start(t, textinghousetest.Options{}, simple)
	id := one.post("/alertmanager/sms", notification("DiskFull")).Messages[0]
	one.until(id, "delivered")
	if code := two.status("GET", "/api/v1/messages/"+id, ""); code != http.StatusNotFound {
		t.Errorf("the other receiver responds %d for the message", code)
	}
	if got := two.metric(`smspager_notifications_total{outcome="accepted",receiver="sms"}`); got == "1" {
		t.Error("the other receiver counts the notification")
	}
	a := two.post("/alertmanager/sms", notification("DiskFull"))
	if a.Status != "accepted" || len(a.Messages) != 1 {
		t.Fatalf("the other receiver responds %+v", a)
	}
	one.stop()
	two.until(a.Messages[0], "delivered")
	two.until(two.post("/alertmanager/sms", notification("DiskDead")).Messages[0], "delivered")
	if n := len(one.sim.Messages()); n != 1 {
		t.Errorf("the first receiver sent %d messages", n)
	}
}

// literal returns a configuration written in Go.
func literal(t *testing.T, sim *textinghousetest.Server) *config.Config {
	account := sim.ClientOptions()
	return &config.Config{
		TextingHouse: config.TextingHouse{User: account.User, Password: config.Secret(account.Password), Endpoints: []string{sim.URL}},
		Storage:      config.Storage{SQLite: filepath.Join(t.TempDir(), "smspager.db")},
		Contacts:     []config.Contact{{Name: "alice", Number: alice}},
		Receivers:    []config.Receiver{{Name: "sms", To: []string{"alice"}}},
	}
}

// TestLiteral: a configuration written in Go pages as a parsed one does. It is refused if it would
// page nobody.
func TestLiteral(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	cfg := literal(t, sim)
	r, err := receiver.New(cfg, receiver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	n, err := receiver.Decode([]byte(notification("DiskFull")))
	if err != nil {
		t.Fatal(err)
	}
	result, err := r.Notify(ctx, "sms", n)
	if err != nil || len(result.Messages) != 1 {
		t.Errorf("Notify gives %+v, %v, want one message", result, err)
	}
	if sms, err := sim.Phone(alice).Next(ctx); err != nil || !strings.Contains(sms.Text, "DiskFull") {
		t.Errorf("the phone shows %q, %v", sms.Text, err)
	}

	faulty := *cfg
	faulty.Receivers = []config.Receiver{{Name: "sms", To: []string{"bob"}}}
	const want = `receivers[0].to[0]: no contact is named "bob"; known: alice`
	if err := r.Apply(&faulty); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Apply gives %v, want %s", err, want)
	}
	if _, err := receiver.New(&faulty, receiver.Options{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("New gives %v, want %s", err, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := r.Run(t.Context()); err == nil {
		t.Error("a second Run is no error")
	}
}

// TestOneRegistry: two receivers cannot share a registry unless they have labels. A closed receiver
// unregisters its metrics.
func TestOneRegistry(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	reg := prometheus.NewRegistry()
	create := func(to prometheus.Registerer) (*receiver.Receiver, error) {
		return receiver.New(literal(t, sim), receiver.Options{Registerer: to})
	}
	one, err := create(reg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create(reg); err == nil || !strings.Contains(err.Error(), "share a registry") {
		t.Errorf("a second on the registry: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	again, err := create(reg)
	if err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
	defer again.Close()

	reg = prometheus.NewRegistry()
	for _, name := range []string{"eu", "us"} {
		r, err := create(prometheus.WrapRegistererWith(prometheus.Labels{"account": name}, reg))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "smspager_messages_waiting" && len(f.GetMetric()) == 2 {
			return
		}
	}
	t.Error("the registry does not have the metrics of both")
}
