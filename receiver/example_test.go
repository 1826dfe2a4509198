package receiver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// A program of your own takes Alertmanager's webhook. Here the provider is the
// simulator; leave endpoints out to send through TextingHouse.
func Example() {
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	cfg, err := config.Parse(filepath.Join(dir, "smspager.yml"), []byte(`
textinghouse: {user: acme, password: "correct horse", endpoints: ["`+provider.URL+`"]}
receivers:
  - {name: oncall, to: ["+33612345678"]}
`))
	if err != nil {
		panic(err)
	}
	r, err := receiver.New(cfg, receiver.Options{})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	server := httptest.NewServer(r.Handler())
	defer server.Close()

	resp, err := http.Post(server.URL+"/alertmanager", "application/json", strings.NewReader(`{
	  "version": "4", "receiver": "oncall", "status": "firing", "groupKey": "{}:{}",
	  "alerts": [{"status": "firing", "labels": {"alertname": "DiskFull", "severity": "critical"}, "annotations": {"summary": "The disk of db-1 is full."}}],
	  "commonLabels": {"alertname": "DiskFull"}}`))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	sms, err := provider.Phone("+33612345678").Next(ctx)
	fmt.Println(resp.StatusCode, sms.Text, err)

	stop()
	fmt.Println(<-done)
	// Output:
	// 200 CRITICAL DiskFull: The disk of db-1 is full <nil>
	// <nil>
}
