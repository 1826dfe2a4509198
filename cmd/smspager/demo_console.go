package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const demoCarol = "+33639980003"

// consoleConfig is the configuration of the night with the console. This program acts as a trusted proxy
// that logs everybody in as bob.
const consoleConfig = `contacts:
  - {name: alice, number: "` + demoAlice + `"}
  - {name: bob, number: "` + demoBob + `"}
  - {name: carol, number: "` + demoCarol + `"}
rotas:
  - {name: primary, timezone: Europe/Paris, turns: {start: 2026-11-02 09:00, days: 7, people: [alice, carol]}}
  - {name: second, timezone: Europe/Paris, turns: {start: 2026-11-02 09:00, days: 7, people: [bob, alice]}}
receivers:
  - name: sms
    to: [alice]
    escalate: [{after: 3s, to: [bob]}]
  - name: team
    to: [bob]
    escalate: [{after: 15m, to: [alice]}, {after: 30m, to: [carol]}]
heartbeats:
  - {name: prometheus, receiver: watchdog, timeout: 5s, to: [alice]}
console:
  login_header: X-Demo-Login
  trusted_proxies: [127.0.0.0/8]
  users: [{login: bob, contact: bob, role: admin}]
`

// asBob logs everybody in as bob.
func asBob(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Demo-Login", "bob")
		next.ServeHTTP(w, r)
	})
}

// demoGroup is a group of alerts of the night with the console.
type demoGroup struct {
	labels  map[string]string // common to all alerts
	summary string
	ago     time.Duration // how long ago the alerts began to fire
	pods    []string      // one alert for each
}

var demoGroups = []demoGroup{
	{
		map[string]string{"alertname": "KafkaConsumerLag", "severity": "warning", "cluster": "prod-eu-1", "consumergroup": "orders"},
		"Consumer group orders is 48k messages behind.", 47 * time.Minute, []string{"kafka-1"},
	},
	{
		map[string]string{"alertname": "CertificateExpiresSoon", "severity": "info", "cluster": "prod-eu-1"},
		"Certificate of shop.example.com expires in 6 days.", 5 * time.Hour, []string{"ingress-2"},
	},
	{
		map[string]string{"alertname": "KubePodCrashLooping", "severity": "critical", "cluster": "prod-eu-1", "namespace": "payments"},
		"Pod is crash looping.", 8 * time.Minute, []string{"checkout-api-6c9f7d5b8d-x2lqp", "checkout-api-6c9f7d5b8d-9kd4w", "checkout-api-6c9f7d5b8d-tq7mz"},
	},
}

// notification returns the webhook body for the group.
func (g *demoGroup) notification(status string) ([]byte, error) {
	type alert struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    time.Time         `json:"startsAt"`
		EndsAt      time.Time         `json:"endsAt"`
		Source      string            `json:"generatorURL"`
	}
	var alerts []alert
	for _, pod := range g.pods {
		labels := map[string]string{"pod": pod}
		for name, value := range g.labels {
			labels[name] = value
		}
		a := alert{
			Status: status, Labels: labels, StartsAt: time.Now().Add(-g.ago).UTC().Truncate(time.Minute), Source: "https://prometheus.example.com/graph",
			Annotations: map[string]string{"summary": g.summary, "runbook_url": "https://wiki.example.com/runbooks/" + g.labels["alertname"]},
		}
		if status == "resolved" {
			a.EndsAt = time.Now().UTC()
		}
		alerts = append(alerts, a)
	}
	return json.Marshal(map[string]any{
		"version": "4", "status": status, "receiver": "team", "groupKey": "{}:{alertname=\"" + g.labels["alertname"] + "\"}",
		"groupLabels": map[string]string{"alertname": g.labels["alertname"]}, "commonLabels": g.labels,
		"commonAnnotations": map[string]string{"summary": g.summary}, "externalURL": "http://alertmanager.example.com:9093", "alerts": alerts,
	})
}

// console plays the night, then leaves it running with open pages until the program is stopped.
func (s *stage) console(ctx context.Context) error {
	if err := s.night(ctx); err != nil {
		return err
	}
	stopBeats := s.beat(ctx)
	defer stopBeats()
	bob := s.bob
	s.say("Three more alerts fire, and bob acknowledges two of them")
	for i, group := range demoGroups {
		body, err := group.notification("firing")
		if err == nil {
			err = callJSON(ctx, http.DefaultClient, http.MethodPost, s.base+"/alertmanager", body, new(any))
		}
		if err != nil {
			return fmt.Errorf("post the webhook: %w", err)
		}
		if err := bob.reads(ctx, group.labels["alertname"]); err != nil {
			return err
		}
		if i == len(demoGroups)-1 {
			break
		}
		if err := bob.Reply("ok"); err != nil {
			return err
		}
		if err := bob.reads(ctx, "is yours"); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "\nThe console: %s/\nYou are bob, and nothing leaves this machine. Ctrl-C ends the night.\n", s.base)
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return nil
	}
	return context.Cause(ctx)
}
