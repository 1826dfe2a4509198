package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/internal/alertmanagertest"
)

const (
	// resend is how often a sender sends its firing alerts. Without that, they end after endsAfter, as
	// Prometheus's alerts do after four times its resend delay.
	resend    = 2 * time.Second
	endsAfter = 4 * resend
	// repeatEnd is how long a sender repeats that an alert has ended.
	repeatEnd = 30 * time.Second
)

// alert is an alert with its true state.
type alert struct {
	labels      map[string]string
	fingerprint string
	firing      bool
	since       time.Time // when firing last changed
	startsAt    time.Time
	changes     time.Time // when firing changes next
	active      time.Time // when Alertmanager may last have had it as firing and not suppressed
	uncovered   time.Time // since when it has been active without a page; zero: it is not
}

// silence is a silence in Alertmanager.
type silence struct {
	id, name, value string
	until           time.Time
}

// truth is the true state of all alerts, which Alertmanager and smspager may not know yet.
type truth struct {
	random   *rand.Rand
	alerts   []*alert
	silences []silence
	muted    bool // the route of the alerts named D is muted
	byName   bool // alerts are grouped by name only
}

func newTruth(seed uint64, now time.Time) *truth {
	t := &truth{random: rand.New(rand.NewPCG(seed, 0)), byName: true}
	add := func(labels map[string]string) {
		set := make(model.LabelSet)
		for name, value := range labels {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		t.alerts = append(t.alerts, &alert{labels: labels, fingerprint: set.Fingerprint().String(), changes: now.Add(t.between(2, 90))})
	}
	for _, cluster := range []string{"eu", "us"} {
		for _, name := range []string{"A", "B", "C", "D"} {
			for _, instance := range []string{"1", "2"} {
				add(map[string]string{"alertname": name, "cluster": cluster, "instance": instance, "severity": "critical"})
			}
		}
		add(map[string]string{"alertname": "NodeDown", "cluster": cluster, "severity": "info"})
	}
	return t
}

// between returns a random duration between least and most seconds.
func (t *truth) between(least, most int) time.Duration {
	return time.Duration(least*1000+t.random.IntN((most-least)*1000)) * time.Millisecond
}

// change makes the alerts fire or end whose time has come, and returns how many have begun to fire.
func (t *truth) change(now time.Time) (fired int) {
	for _, a := range t.alerts {
		if now.Before(a.changes) {
			continue
		}
		a.firing, a.since, a.changes = !a.firing, now, now.Add(t.between(5, 180))
		if a.firing {
			a.startsAt = now
			fired++
		}
		if a.labels["alertname"] == "NodeDown" {
			a.changes = now.Add(t.between(5, 60))
			if !a.firing {
				a.changes = now.Add(t.between(60, 240))
			}
		}
	}
	return fired
}

// suppressed reports whether Alertmanager should suppress an alert, if it gets inhibiting alerts with a delay.
func (t *truth) suppressed(a *alert, now time.Time, delay time.Duration) bool {
	if t.muted && a.labels["alertname"] == "D" {
		return true
	}
	if slices.ContainsFunc(t.silences, func(s silence) bool { return a.labels[s.name] == s.value && now.Before(s.until) }) {
		return true
	}
	return slices.ContainsFunc(t.alerts, func(by *alert) bool {
		return by.firing && now.Sub(by.since) >= delay && by.labels["alertname"] == "NodeDown" && by.labels["cluster"] == a.labels["cluster"]
	})
}

// wants reports whether an alert should have a page, if Alertmanager gets inhibiting alerts with a delay.
func (t *truth) wants(a *alert, now time.Time, delay time.Duration) bool {
	return a.firing && a.labels["alertname"] != "NodeDown" && !t.suppressed(a, now, delay)
}

// sent returns the alerts that a sender sends. later is how much later than the other sender it sees each
// alert begin.
func (t *truth) sent(now time.Time, later time.Duration) (all []alertmanagertest.Alert) {
	for _, a := range t.alerts {
		sent := alertmanagertest.Alert{Labels: a.labels, StartsAt: a.startsAt.Add(later), EndsAt: now.Add(endsAfter)}
		switch {
		case a.startsAt.IsZero():
			continue
		case !a.firing && now.Sub(a.since) < repeatEnd:
			sent.EndsAt = a.since
		case !a.firing:
			continue
		}
		if sent.StartsAt.After(sent.EndsAt) {
			sent.StartsAt = a.startsAt
		}
		all = append(all, sent)
	}
	return all
}

// config returns Alertmanager's configuration.
func (t *truth) config(webhook string) string {
	by, mute := "[alertname]", ""
	if !t.byName {
		by = "[alertname, cluster]"
	}
	if t.muted {
		mute = ", mute_time_intervals: [always]"
	}
	return fmt.Sprintf(`
route:
  receiver: oncall
  group_by: %s
  group_wait: 1s
  group_interval: %s
  repeat_interval: 1h
  routes:
    - {receiver: none, matchers: [alertname="NodeDown"]}
    - {receiver: oncall, matchers: [alertname="D"]%s}
time_intervals: [{name: always, time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}]}]}]
inhibit_rules: [{source_matchers: [alertname="NodeDown"], target_matchers: [severity="critical"], equal: [cluster]}]
receivers: [{name: none}, {name: oncall, webhook_configs: [{url: "%s/alertmanager"}]}]
`, by, groupInterval, mute, webhook)
}
