package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/alertmanager/app"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// Alertmanager and smspager run in one process. The app package makes its integrations
// from alertmanager.yml only, so Alertmanager reaches smspager by its webhook, on a local
// port; they share a registry. Here the provider is the simulator.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	registry := prometheus.NewRegistry()

	r, err := receiver.New(&config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "correct horse", Endpoints: []string{provider.URL}},
		Storage:      config.Storage{SQLite: filepath.Join(dir, "smspager.db")},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"+33639980001"}, SendResolved: true}},
	}, receiver.Options{Registerer: registry})
	if err != nil {
		panic(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	webhook := httptest.NewServer(r.Handler())
	defer webhook.Close()

	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(`
route: {receiver: oncall, group_wait: 0s}
receivers:
  - name: oncall
    webhook_configs: [{url: "`+webhook.URL+`/alertmanager"}]
`), 0o600); err != nil {
		panic(err)
	}
	o := app.DefaultOptions()
	o.ConfigFile, o.DataDir = file, filepath.Join(dir, "data")
	o.Logger, o.Registerer, o.Flagger = slog.New(slog.DiscardHandler), registry, featurecontrol.NoopFlags{}
	o.WebConfig = &web.FlagConfig{WebListenAddresses: &[]string{"127.0.0.1:0"}, WebConfigFile: new("")}
	am, err := app.New(o)
	if err != nil {
		panic(err)
	}
	if err := am.Start(); err != nil {
		panic(err)
	}
	resp, err := http.Post("http://"+am.Addr()+"/api/v2/alerts", "application/json", strings.NewReader(
		`[{"labels": {"alertname": "DiskFull", "severity": "critical"}, "annotations": {"summary": "The disk of db-1 is full."}}]`))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	sms, err := provider.Phone("+33639980001").Next(ctx)
	fmt.Println(resp.StatusCode, sms.Text, err)

	fmt.Println(am.Stop(context.Background()))
	stop()
	fmt.Println(<-done)
	// Output:
	// 200 CRITICAL DiskFull: The disk of db-1 is full <nil>
	// <nil>
	// <nil>
}
