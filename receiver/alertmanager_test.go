package receiver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/alertmanagertest"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// groupInterval is Alertmanager's group_interval in these tests.
const groupInterval = 300 * time.Millisecond

// cluster is a chain behind real Alertmanagers.
type cluster struct {
	*chain
	ams []*alertmanagertest.Alertmanager
}

// inClusters runs a test behind separate, unclustered Alertmanagers, once with each version. receivers
// is the tail of smspager's configuration; webhook holds more keys of Alertmanager's webhook_config.
func inClusters(t *testing.T, count int, receivers, webhook string, test func(t *testing.T, c *cluster)) {
	for name, find := range alertmanagertest.All() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary, err := find()
			if err != nil {
				realpart.Missing(t, err)
			}
			c := &cluster{chain: start(t, textinghousetest.Options{StatusDelay: 10 * time.Millisecond}, receivers)}
			var urls []string
			for range count {
				am, err := alertmanagertest.Start(alertmanagertest.Options{Binary: binary, Config: fmt.Sprintf(`
route:
  receiver: oncall
  group_by: [alertname]
  group_wait: 100ms
  group_interval: %[1]s
  repeat_interval: 1h
  routes:
    - {receiver: none, matchers: [alertname="NodeDown"]}
    - {receiver: watchdog, matchers: [alertname="Watchdog"], group_interval: 1s, repeat_interval: 800ms}
inhibit_rules: [{source_matchers: [alertname="NodeDown"], target_matchers: [alertname="X"]}]
receivers:
  - {name: none}
  - {name: oncall, webhook_configs: [{url: "%[2]s/alertmanager"%[3]s}]}
  - {name: watchdog, webhook_configs: [{url: "%[2]s/alertmanager"}]}
`, groupInterval, c.http.URL, webhook)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(am.Log())
					}
					if err := am.Close(); err != nil {
						t.Error(err)
					}
				})
				c.ams, urls = append(c.ams, am), append(urls, `"`+am.URL+`"`)
			}
			if count == 1 {
				c.write(receivers + "\nalertmanager: {urls: [" + strings.Join(urls, ", ") + "]}\n")
			}
			if err := c.r.Reload(); err != nil {
				t.Fatal(err)
			}
			test(t, c)
		})
	}
}

// send sends an alert to an Alertmanager. The alert started at since, and ends after a time from now.
func (c *cluster) send(to int, since time.Time, ends time.Duration, labels ...string) {
	c.t.Helper()
	a := alertmanagertest.Alert{Labels: map[string]string{"severity": "critical"}, StartsAt: since, EndsAt: time.Now().Add(ends)}
	for i := 0; i+1 < len(labels); i += 2 {
		a.Labels[labels[i]] = labels[i+1]
	}
	if err := c.ams[to].Send(a); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads a phone's next text, which must contain the parts in this order.
func (c *cluster) expect(p *textinghousetest.Phone, parts ...string) {
	c.t.Helper()
	sms, err := p.Next(within(c.t))
	if err != nil {
		c.t.Fatalf("no text with %q: %v", parts, err)
	}
	rest, found := sms.Text, true
	for _, part := range parts {
		if _, rest, found = strings.Cut(rest, part); !found {
			c.t.Fatalf("the text is %q, want %q", sms.Text, parts)
		}
	}
}

// untilHistory waits until the latest page's JSON contains want, and returns the page.
func (c *cluster) untilHistory(want string) (p api.Page) {
	c.t.Helper()
	testwait.Until(c.t, func() error {
		_, text := c.do("GET", "/api/v1/pages?limit=1", "")
		var list api.Pages
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Pages) == 0 {
			return fmt.Errorf("%s (%v)", text, err)
		}
		_, text = c.do("GET", "/api/v1/pages/"+list.Pages[0].ID, "")
		p = api.Page{}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return err
		}
		if !strings.Contains(text, want) {
			return errors.New(text)
		}
		return nil
	})
	return p
}

const escalated = `
contacts: [{name: alice, number: "` + alice + `"}, {name: bob, number: "` + bob + `"}]
receivers: [{name: oncall, to: [alice], limits: [], escalate: [{after: 3s, to: [bob]}]}]
`

// escalatedLate leaves a busy machine time for what precedes the escalation.
var escalatedLate = strings.Replace(escalated, "3s", "15s", 1)

// TestRefiringAlertIsSentAgain: an alert that resolves and fires again with its old startsAt is sent
// again (report alertmanager.md, 1).
func TestRefiringAlertIsSentAgain(t *testing.T) {
	t.Parallel()
	inClusters(t, 1, escalated, "", func(t *testing.T, c *cluster) {
		phone, since := c.sim.Phone(alice), time.Now()
		c.send(0, since, time.Hour, "alertname", "X")
		c.expect(phone, "CRITICAL X")
		c.send(0, since, 0, "alertname", "X")
		c.expect(phone, "RESOLVED X")
		c.send(0, since, time.Hour, "alertname", "X")
		c.expect(phone, "CRITICAL X")
		if p := c.untilHistory("opened"); p.State != "open" {
			t.Errorf("the page is %s", p.State)
		}
	})
}

// TestPageStaysOpenForOtherCluster: when an alert of one cluster resolves, the page stays open for the
// other cluster's (report alertmanager.md, 2).
func TestPageStaysOpenForOtherCluster(t *testing.T) {
	t.Parallel()
	inClusters(t, 2, escalatedLate, "", func(t *testing.T, c *cluster) {
		phone, since := c.sim.Phone(alice), time.Now()
		c.send(0, since, time.Hour, "alertname", "X", "cluster", "eu")
		c.expect(phone, "CRITICAL X eu")
		c.send(1, since, time.Hour, "alertname", "X", "cluster", "us")
		c.expect(phone, "CRITICAL X")
		c.send(1, since, 0, "alertname", "X", "cluster", "us")
		c.expect(phone, "RESOLVED X us", "is not resolved")
		c.expect(c.sim.Phone(bob), "CRITICAL X eu", "No answer from alice")
		c.send(0, since, 0, "alertname", "X", "cluster", "eu")
		c.untilHistory("resolved")
	})
}

// TestTruncatedNotificationPassesQuietHours: quiet hours do not hold a notification that Alertmanager
// has truncated (report alertmanager.md, 5).
func TestTruncatedNotificationPassesQuietHours(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	quiet := fmt.Sprintf(`{from: %q, to: %q, severities: [warning]}`, now.Add(-time.Hour).Format("15:04"), now.Add(time.Hour).Format("15:04"))
	inClusters(t, 1, strings.Replace(escalated, `"}`, `", quiet: `+quiet+`}`, 1), ", max_alerts: 2", func(t *testing.T, c *cluster) {
		since := time.Now()
		var all []alertmanagertest.Alert
		for job, severity := range map[string]string{"a": "warning", "b": "warning", "z": "critical"} {
			all = append(all, alertmanagertest.Alert{Labels: map[string]string{"alertname": "X", "job": job, "severity": severity}, StartsAt: since, EndsAt: since.Add(time.Hour)})
		}
		if err := c.ams[0].Send(all...); err != nil {
			t.Fatal(err)
		}
		c.expect(c.sim.Phone(alice), "WARNING X", "1 more of unknown severity fires")
	})
}

// TestOneOfTwoHeartbeatsDies: if one of two Prometheus servers dies, its heartbeat is reported dead
// (report alertmanager.md, 8). The other's route beats each group_interval, because its
// repeat_interval is shorter (13).
func TestOneOfTwoHeartbeatsDies(t *testing.T) {
	t.Parallel()
	inClusters(t, 1, escalated+`
heartbeats:
  - {name: eu, receiver: watchdog, matchers: {cluster: eu}, timeout: 15s, to: [alice]}
  - {name: us, receiver: watchdog, matchers: {cluster: us}, timeout: 15s, to: [bob]}
`, "", func(t *testing.T, c *cluster) {
		since := time.Now()
		c.send(0, since, time.Hour, "alertname", "Watchdog", "cluster", "us")
		c.send(0, since, time.Hour, "alertname", "Watchdog", "cluster", "eu")
		testwait.Until(t, func() error {
			for _, name := range []string{"eu", "us"} {
				_, text := c.do("GET", "/metrics", "")
				sample := `smspager_heartbeat_last_seen_timestamp_seconds{heartbeat="` + name + `"} `
				if !strings.Contains(text, sample) || strings.Contains(text, sample+"0\n") {
					return errors.New("no beat of " + name)
				}
			}
			return nil
		})
		c.send(0, since, 0, "alertname", "Watchdog", "cluster", "eu")
		c.expect(c.sim.Phone(alice), "DEAD heartbeat eu")
		for _, m := range c.sim.Messages() {
			if "+"+m.To == bob {
				t.Errorf("bob gets %q", m.Text)
			}
		}
	})
}

// TestSuppressedAlertEscalatesNoFurther: nobody is paged for an alert that Alertmanager silences or
// inhibits (report alertmanager.md, 9).
func TestSuppressedAlertEscalatesNoFurther(t *testing.T) {
	t.Parallel()
	for by, suppress := range map[string]func(c *cluster, since time.Time) error{
		"silenced by dave": func(c *cluster, _ time.Time) error {
			_, err := c.ams[0].Silence("alertname", "X", time.Hour)
			return err
		},
		"inhibited": func(c *cluster, since time.Time) error {
			return c.ams[0].Send(alertmanagertest.Alert{Labels: map[string]string{"alertname": "NodeDown", "severity": "info"}, StartsAt: since, EndsAt: since.Add(time.Hour)})
		},
	} {
		t.Run(by, func(t *testing.T) {
			inClusters(t, 1, escalatedLate, "", func(t *testing.T, c *cluster) {
				since := time.Now()
				c.send(0, since, time.Hour, "alertname", "X")
				c.expect(c.sim.Phone(alice), "CRITICAL X")
				if err := suppress(c, since); err != nil {
					t.Fatal(err)
				}
				if p := c.untilHistory(by); p.State != "open" {
					t.Errorf("the page is %s", p.State)
				}
				for _, m := range c.sim.Messages() {
					if "+"+m.To == bob {
						t.Errorf("bob gets %q", m.Text)
					}
				}
			})
		})
	}
}

// TestResolvedTextNamesSilencedAlert: RESOLVED names the alert that still fires but is silenced, and
// the page stays open (report alertmanager.md, 12).
func TestResolvedTextNamesSilencedAlert(t *testing.T) {
	t.Parallel()
	inClusters(t, 1, strings.Replace(escalated, "3s", "1h", 1), "", func(t *testing.T, c *cluster) {
		phone, since := c.sim.Phone(alice), time.Now()
		c.send(0, since, time.Hour, "alertname", "X", "instance", "a")
		c.expect(phone, "CRITICAL X")
		c.send(0, since, time.Hour, "alertname", "X", "instance", "b")
		c.expect(phone, "CRITICAL X")
		if _, err := c.ams[0].Silence("instance", "a", time.Hour); err != nil {
			t.Fatal(err)
		}
		c.send(0, since, 0, "alertname", "X", "instance", "b")
		c.expect(phone, "RESOLVED", "b", "a", "silenced by dave")
		if p := c.untilHistory("opened"); p.State != "open" {
			t.Errorf("the page is %s", p.State)
		}
	})
}
