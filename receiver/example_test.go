package receiver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// A program of your own serves Alertmanager's webhook. Here the provider is the simulator; leave
// Endpoints out to send through TextingHouse.
func Example() {
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	r, err := receiver.New(&config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "correct horse", Endpoints: []string{provider.URL}},
		Storage:      config.Storage{SQLite: filepath.Join(dir, "smspager.db")},
		Contacts:     []config.Contact{{Name: "alice", Number: "+33639980001"}},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"alice"}, SendResolved: true}},
	}, receiver.Options{})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	server := httptest.NewServer(r.Handler())
	defer server.Close()

	resp, err := http.Post(server.URL+"/alertmanager", "application/json", strings.NewReader(diskFull))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	sms, err := provider.Phone("+33639980001").Next(ctx)
	fmt.Println(resp.StatusCode, sms.Text, err)

	stop()
	fmt.Println(<-done)
	// Output:
	// 200 CRITICAL DiskFull: The disk of db-1 is full <nil>
	// <nil>
}

// diskFull is the body of a notification from Alertmanager.
const diskFull = `{
	"version": "4", "receiver": "oncall", "status": "firing", "groupKey": "{}:{}",
	"alerts": [{"status": "firing", "labels": {"alertname": "DiskFull", "severity": "critical"},
		"annotations": {"summary": "The disk of db-1 is full."}}],
	"commonLabels": {"alertname": "DiskFull"}}`

// A faulty configuration leaves the old one in force.
func ExampleReceiver_Reload() {
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "smspager.yml")
	save := func(receivers string) {
		text := "textinghouse: {user: acme, password: correct horse}\nreceivers:\n" + receivers
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	load := func() (*config.Config, error) { return receiver.LoadConfig(file) }

	save("- {name: oncall, to: ['+33639980001']}\n")
	cfg, err := load()
	if err != nil {
		panic(err)
	}
	r, err := receiver.New(cfg, receiver.Options{Load: load})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	save("- {name: oncall, to: ['+33639980001', '+33639980002']}\n")
	fmt.Println(r.Reload())
	save("- {name: oncall, to: [alice]}\n")
	fmt.Println(strings.TrimPrefix(r.Reload().Error(), dir+"/"))
	// Output:
	// <nil>
	// smspager.yml:3:23: receivers[0].to[0]: no contact is named "alice"; add it to contacts, or write a number
}

// NewPreview shows the SMS that a payload would become. Nothing is stored or sent.
func ExampleNewPreview() {
	cfg := &config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "correct horse"},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"+33639980001"}}},
	}
	n, err := receiver.Decode([]byte(diskFull))
	if err != nil {
		panic(err)
	}
	p, err := receiver.NewPreview(cfg, "oncall", n)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s (%d septets)\n", p.Text, p.Size.Units)
	// Output: CRITICAL DiskFull: The disk of db-1 is full (43 septets)
}

// NewDuty shows who is on duty without a running receiver.
func ExampleNewDuty() {
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cfg := &config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "correct horse"},
		Storage:      config.Storage{SQLite: filepath.Join(dir, "smspager.db")},
		Contacts:     []config.Contact{{Name: "alice", Number: "+33639980001"}, {Name: "bob", Number: "+33639980002"}},
		Rotas:        []config.Rota{{Name: "week", Turns: config.Turns{Start: "2026-11-02 09:00", People: []string{"alice", "bob"}}}},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"rota:week"}}},
	}
	duty, err := receiver.NewDuty(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	on := duty.At("week", time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC))
	fmt.Println(on.Contacts, "until", on.End)
	// Output: [bob] until 2026-11-16 09:00:00 +0000 UTC
}
