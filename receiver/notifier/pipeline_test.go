package notifier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/notifier"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const alertmanagerConfig = `
route:
  receiver: %s
  group_by: [alertname]
  group_wait: 200ms
  group_interval: 500ms
  repeat_interval: 1h
receivers:
  - name: webhook
    webhook_configs:
      - {url: "%s/alertmanager", max_alerts: 2}
  - name: direct
`

// pipeline starts Alertmanager's own pipeline: provider, dispatcher, inhibition, silences,
// deduplication, retries, integrations. It ends with the test.
func pipeline(t *testing.T, root, webhookURL string, direct notify.Notifier) *mem.Alerts {
	t.Helper()
	conf, err := amconfig.Load(fmt.Sprintf(alertmanagerConfig, root, webhookURL))
	check(t, err)
	var (
		logger = slog.New(slog.DiscardHandler)
		reg    = prometheus.NewRegistry()
		flags  = featurecontrol.NoopFlags{}
		events = eventrecorder.NopRecorder()
		times  = timeinterval.NewIntervener(nil)
	)
	tmpl, err := template.FromGlobs(conf.Templates)
	check(t, err)
	tmpl.ExternalURL = &url.URL{Scheme: "http", Host: "alertmanager.example:9093"}
	log, err := nflog.New(nflog.Options{Retention: time.Hour, Logger: logger, Metrics: reg})
	check(t, err)
	silences, err := silence.New(silence.Options{Retention: time.Hour, Logger: logger, Metrics: reg, EventRecorder: events})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	alerts, err := mem.NewAlerts(ctx, time.Minute, 0, nil, logger, events, reg, flags)
	check(t, err)
	integrations := make(map[string][]notify.Integration)
	for _, r := range conf.Receivers {
		integrations[r.Name] = nil
		for i, wc := range r.WebhookConfigs {
			n, err := webhook.New(wc, tmpl, logger)
			check(t, err)
			integrations[r.Name] = append(integrations[r.Name], notify.NewIntegration(n, wc, "webhook", i, r.Name))
		}
	}
	integrations["direct"] = []notify.Integration{notify.NewIntegration(direct, direct.(notify.ResolvedSender), "smspager", 0, "direct")}
	inhibitor := inhibit.NewInhibitor(alerts, conf.InhibitRules, logger, events)
	stage := notify.NewPipelineBuilder(reg, flags, events).New(
		integrations, func() time.Duration { return 0 }, inhibitor, silence.NewSilencer(silences, logger, events),
		times, log, nil,
	)
	d := dispatch.NewDispatcher(
		alerts, dispatch.NewRoute(conf.Route, nil), stage, times, func(d time.Duration) time.Duration { return max(d, notify.MinTimeout) },
		30*time.Second, nil, logger, events, dispatch.NewDispatcherMetrics(false, reg, flags), tmpl,
	)
	go inhibitor.Run()
	inhibitor.WaitForLoading()
	go d.Run(time.Now())
	d.WaitForLoading()
	t.Cleanup(func() {
		d.Stop()
		inhibitor.Stop()
		alerts.Close()
	})
	return alerts
}

// put stores alerts as Alertmanager's API does.
func put(t *testing.T, alerts *mem.Alerts, startsAt, endsAt time.Time, instances ...string) {
	t.Helper()
	var all []*alert.Alert
	for _, instance := range instances {
		a := alert.New(model.Alert{
			Labels:      model.LabelSet{"alertname": "TargetDown", "severity": "critical", "instance": model.LabelValue(instance)},
			Annotations: model.LabelSet{"summary": "Target " + model.LabelValue(instance) + " is down."},
			StartsAt:    startsAt, EndsAt: endsAt,
		}, time.Now(), false)
		check(t, a.Validate())
		all = append(all, a)
	}
	check(t, alerts.Put(context.Background(), all...))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running starts a receiver in front of the simulator.
func running(t testing.TB) (*receiver.Receiver, *textinghousetest.Server) {
	t.Helper()
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	t.Cleanup(sim.Close)
	account := sim.ClientOptions()
	cfg, err := config.Parse(t.TempDir()+"/smspager.yml", fmt.Appendf(nil, `
textinghouse: {user: %s, password: %q, endpoints: [%q]}
receivers:
  - {name: webhook, to: ["+33612345678"]}
  - {name: direct, to: ["+33612345678"]}
  - {name: quiet, to: ["+33612345678"], send_resolved: false}
`, account.User, account.Password, sim.URL))
	check(t, err)
	r, err := receiver.New(cfg, receiver.Options{})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	testwait.Until(t, func() error {
		w := httptest.NewRecorder()
		if r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/-/ready", nil)); w.Code != 200 {
			return errors.New(w.Body.String())
		}
		return nil
	})
	t.Cleanup(func() {
		cancel()
		check(t, <-done)
	})
	return r, sim
}

// TestAlertmanagersPipeline: Alertmanager's own pipeline notifies a receiver, through the webhook
// and through a Notifier.
func TestAlertmanagersPipeline(t *testing.T) {
	for _, by := range []string{"webhook", "direct"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			r, sim := running(t)
			server := httptest.NewServer(r.Handler())
			t.Cleanup(server.Close)
			alerts := pipeline(t, by, server.URL, notifier.New(r, notifier.Options{}))
			phone := sim.Phone("+33612345678")
			expect := func(what string, contain ...string) {
				t.Helper()
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				sms, err := phone.Next(ctx)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				for _, part := range contain {
					if !strings.Contains(sms.Text, part) {
						t.Errorf("%s: the SMS is %q, without %q", what, sms.Text, part)
					}
				}
			}
			begin := time.Now()
			put(t, alerts, begin, begin.Add(time.Hour), "node-1.example:9100", "node-2.example:9100")
			expect("two fire", "CRITICAL TargetDown: 2 firing", "node-1", "node-2")
			put(t, alerts, begin, begin.Add(time.Hour), "node-3.example:9100")
			if by == "webhook" { // its max_alerts is 2
				expect("a third fires", "2 firing", "+1 more")
			} else {
				expect("a third fires", "3 firing", "node-3")
			}
			put(t, alerts, begin, time.Now(), "node-1.example:9100", "node-2.example:9100", "node-3.example:9100")
			expect("all are resolved", "RESOLVED TargetDown", "node-1")
		})
	}
}

func TestRetryFlag(t *testing.T) {
	r, sim := running(t)
	phone := sim.Phone("+33612345678")
	ctx := notify.WithReceiverName(notify.WithGroupKey(context.Background(), "{}:{}"), "direct")
	ctx = notify.WithGroupLabels(ctx, model.LabelSet{})
	a := alert.New(model.Alert{Labels: model.LabelSet{"alertname": "A"}, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}, time.Now(), false)

	if v := notifier.New(r, notifier.Options{}).Notify(ctx, a); v.ShouldRetry() || v.Err() != nil {
		t.Errorf("a notification gives %v, %v", v.ShouldRetry(), v.Err())
	}
	if v := notifier.New(r, notifier.Options{Receiver: "nobody"}).Notify(ctx, a); v.ShouldRetry() || v.Err() == nil {
		t.Errorf("an unknown receiver gives %v, %v, want an error that is not retried", v.ShouldRetry(), v.Err())
	}
	if v := notifier.New(r, notifier.Options{}).Notify(context.Background(), a); v.ShouldRetry() || v.Err() == nil {
		t.Errorf("a context without a group gives %v, %v", v.ShouldRetry(), v.Err())
	}
	if _, err := phone.Next(t.Context()); err != nil { // not counted below
		t.Fatal(err)
	}
	a.EndsAt = time.Now().Add(-time.Second)
	sent := len(sim.Messages())
	if v := notifier.New(r, notifier.Options{Receiver: "quiet"}).Notify(ctx, a); v.ShouldRetry() || v.Err() != nil || len(sim.Messages()) != sent {
		t.Errorf("an unwanted resolved notification gives %v, %v, and %d messages", v.ShouldRetry(), v.Err(), len(sim.Messages())-sent)
	}
}

func TestRetryWhenNothingCanBeAccepted(t *testing.T) {
	r, sim := running(t)
	check(t, r.Close())
	sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503})
	ctx := notify.WithReceiverName(notify.WithGroupKey(context.Background(), "{}:{}"), "direct")
	a := alert.New(model.Alert{Labels: model.LabelSet{"alertname": "A"}, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}, time.Now(), false)
	if v := notifier.New(r, notifier.Options{}).Notify(ctx, a); !v.ShouldRetry() || v.Err() == nil {
		t.Errorf("Notify gives %v, %v, want an error that is retried", v.ShouldRetry(), v.Err())
	}
}
