package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/freeport"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// alertmanager is a running Alertmanager.
type alertmanager struct {
	t       *testing.T
	address string
	began   time.Time // when its alerts began to fire
}

// startAlertmanager starts an Alertmanager that posts to a webhook, with a short group_interval.
func startAlertmanager(t *testing.T, receiver, webhook, httpConfig string) *alertmanager {
	t.Helper()
	return startAlertmanagerAt(t, freeAddress(t), receiver, webhook, httpConfig)
}

// freeAddress returns an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func startAlertmanagerAt(t *testing.T, address, receiver, webhook, httpConfig string) *alertmanager {
	t.Helper()
	binary := realpart.Program(t, "prometheus-alertmanager", "apt-get install prometheus-alertmanager")
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	writeFile(t, file, fmt.Sprintf(`
route: {receiver: %[1]s, group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 1h}
receivers:
  - name: %[1]s
    webhook_configs:
      - {url: %[2]s, send_resolved: true, http_config: {%[3]s}}
`, receiver, webhook, httpConfig))
	am := &alertmanager{t: t, address: address, began: time.Now().Add(-time.Minute)}
	cmd := exec.Command(binary, "--config.file="+file, "--storage.path="+dir, "--web.listen-address="+am.address, "--cluster.listen-address=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return am
}

// alert makes an alert fire until a time.
func (am *alertmanager) alert(endsAt time.Time) {
	am.t.Helper()
	body := fmt.Sprintf(`[{"labels":{"alertname":"DiskFull","severity":"critical","instance":"db-1:9100"},"annotations":{"summary":"The disk of db-1 is full."},
		"startsAt":%q,"endsAt":%q,"generatorURL":"http://prometheus.example:9090/graph"}]`, am.began.Format(time.RFC3339), endsAt.Format(time.RFC3339))
	testwait.Until(am.t, func() error {
		resp, err := http.Post("http://"+am.address+"/api/v2/alerts", "application/json", strings.NewReader(body))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("Alertmanager responds %d to the alert", resp.StatusCode)
			}
		}
		return err
	})
}

// TestAlertmanager: an alert that fires in a real Alertmanager arrives on the phone, and so does
// its end.
func TestAlertmanager(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	p := serveProcess(t, configFile(t, sim, `
webhook: {token: s3cret-t0ken}
receivers:
  - {name: sms.oncall+primary, to: ["+33612345678"]}
`))
	am := startAlertmanager(t, "sms.oncall+primary", p.url+"/alertmanager", "authorization: {type: Bearer, credentials: s3cret-t0ken}")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	phone := sim.Phone("+33612345678")
	am.alert(time.Now().Add(time.Hour))
	sms, err := phone.Next(ctx)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if want := "CRITICAL DiskFull: db-1:9100"; !strings.HasPrefix(sms.Text, want) {
		t.Errorf("the SMS is %q, want %q first", sms.Text, want)
	}
	am.alert(time.Now().Add(-time.Second))
	if sms, err = phone.Next(ctx); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if !strings.HasPrefix(sms.Text, "RESOLVED DiskFull") {
		t.Errorf("the SMS is %q", sms.Text)
	}
	if n := len(sim.Messages()); n != 2 {
		t.Errorf("%d messages were sent, want 2", n)
	}
}

// TestFaultsMeasuredInSachet covers the three faults that were measured in sachet: a provider that responds
// 503 for a while, one refused number of ten, and a provider that is slower than Alertmanager's
// timeout.
func TestFaultsMeasuredInSachet(t *testing.T) {
	var ten []string
	for i := range 10 {
		ten = append(ten, fmt.Sprintf("%q", fmt.Sprintf("+3361234567%d", i)))
	}
	for _, tc := range []struct {
		name  string
		fault textinghousetest.Fault
		seen  float64 // number of requests that get the fault
		to    []string
		sent  int
	}{
		{"503 for a while", textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503}, 3, ten[:1], 1},
		{"one number is refused", textinghousetest.Fault{Kind: textinghousetest.Err, N: 100, Command: "sendsms", Times: 1}, 10, ten, 9},
		{"slower than the timeout", textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 3 * time.Second}, 1, ten[:1], 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sim := textinghousetest.NewServer(textinghousetest.Options{})
			defer sim.Close()
			p := serveProcess(t, configFile(t, sim, "receivers: [{name: sms, to: ["+strings.Join(tc.to, ", ")+"]}]\n"))
			am := startAlertmanager(t, "sms", p.url+"/alertmanager", "")
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			sim.AddFault(tc.fault)
			am.alert(time.Now().Add(time.Hour))
			testwait.Until(t, func() error {
				const requests = `smspager_provider_requests_total{command=`
				if n := p.metric(requests+`"sendsms"`) + p.metric(requests+`"getstatus"`); n < tc.seen {
					return fmt.Errorf("%v requests of %v", n, tc.seen)
				}
				return nil
			})
			sim.ClearFaults()
			phone := sim.Phone("")
			for i := range tc.sent {
				if _, err := phone.Next(ctx); err != nil {
					t.Fatalf("%d of %d arrive: %v\n%s", i, tc.sent, err, p.output())
				}
			}
			am.alert(time.Now().Add(-time.Second))
			for range tc.sent {
				sms, err := phone.Next(ctx)
				if err != nil || !strings.HasPrefix(sms.Text, "RESOLVED") {
					t.Fatalf("the next text is %q (%v), want RESOLVED\n%s", sms.Text, err, p.output())
				}
			}
			times := make(map[string]int)
			for _, m := range sim.Messages() {
				times[m.To+" "+m.Text[:8]]++
			}
			for what, n := range times {
				if n != 1 {
					t.Errorf("%s was sent %d times", what, n)
				}
			}
		})
	}
}
