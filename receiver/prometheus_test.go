package receiver_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/freeport"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
)

// runPrometheus runs Debian's Prometheus with a rule that always fires. Its alerts lose their replica
// label before they go to an Alertmanager, as is usual for a pair. stop kills it.
func runPrometheus(t *testing.T, binary, replica, alertmanager string) (stop func()) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("rules.yml", `groups: [{name: g, rules: [{alert: X, expr: vector(1) > 0, labels: {severity: critical}}]}]`)
	file := write("prometheus.yml", fmt.Sprintf(`
global: {evaluation_interval: 2s, external_labels: {cluster: eu, replica: %s}}
rule_files: [rules.yml]
alerting:
  alert_relabel_configs: [{regex: replica, action: labeldrop}]
  alertmanagers: [{static_configs: [{targets: [%q]}]}]
`, replica, strings.TrimPrefix(alertmanager, "http://")))
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--rules.alert.resend-delay=2s")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	// Prometheus finds its Alertmanager only some seconds after it starts.
	sent := regexp.MustCompile(`(?m)^prometheus_notifications_sent_total\{[^}]*\} [1-9]`)
	testwait.Until(t, func() error {
		resp, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		metrics, err := io.ReadAll(resp.Body)
		if err == nil && !sent.Match(metrics) {
			err = errors.New("prometheus has sent no alert")
		}
		return err
	})
	return stop
}

// TestTwoPrometheus: the alerts of a Prometheus pair without replica labels are one alert and one page. The
// page stays open while one of the pair lives, and ends after both have died: Prometheus gives an alert an end
// that it keeps postponing (four times the longer of its two intervals, rules/manager.go of 2.42).
func TestTwoPrometheus(t *testing.T) {
	t.Parallel()
	binary := realpart.Program(t, "prometheus", "apt-get install prometheus")
	inClusters(t, 1, escalated, "", func(t *testing.T, c *cluster) {
		phone := c.sim.Phone(alice)
		stopA := runPrometheus(t, binary, "a", c.ams[0].URL)
		c.expect(phone, "CRITICAL X eu")
		stopB := runPrometheus(t, binary, "b", c.ams[0].URL)
		stopA()
		c.expect(c.sim.Phone(bob), "CRITICAL X eu", "No answer from alice")
		if p := c.untilHistory("escalated"); p.State != "open" {
			t.Errorf("while one of two lives, the page is %s", p.State)
		}
		stopB()
		c.expect(phone, "RESOLVED X eu")
		if p := c.untilHistory("resolved"); p.State != "resolved" {
			t.Errorf("after both have died, the page is %s", p.State)
		}
		opened := 0
		for _, m := range c.sim.Messages() {
			if m.To == strings.TrimPrefix(alice, "+") && strings.HasPrefix(m.Text, "CRITICAL X") {
				opened++
			}
		}
		if opened != 1 {
			t.Errorf("alice was paged %d times", opened)
		}
	})
}
