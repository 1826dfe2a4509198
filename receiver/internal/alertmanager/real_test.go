package alertmanager_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/internal/alertmanagertest"
	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/internal/alertmanager"
)

// inReal runs a test with each version of the real Alertmanager. mutes reports whether the version reports
// muted alerts.
func inReal(t *testing.T, test func(t *testing.T, am *alertmanagertest.Alertmanager, s *alertmanager.Silencer, mutes bool)) {
	t.Parallel()
	for name, find := range alertmanagertest.All() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary, err := find()
			if err != nil {
				realpart.Missing(t, err)
			}
			am, err := alertmanagertest.Start(alertmanagertest.Options{Binary: binary, Config: `
route:
  receiver: none
  group_by: [alertname]
  group_wait: 50ms
  group_interval: 100ms
  repeat_interval: 1h
  routes:
    - {receiver: chat, matchers: [alertname="Muted"], continue: true}
    - {matchers: [alertname="Muted"], mute_time_intervals: [always]}
time_intervals: [{name: always, time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}]}]}]
inhibit_rules: [{source_matchers: [alertname="NodeDown"], target_matchers: [alertname="Inhibited"]}]
receivers: [{name: none}, {name: chat}]
`})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { am.Close() })
			test(t, am, alertmanager.New(alertmanager.Options{URLs: []string{am.URL}, Client: http.DefaultClient}), name == "go.mod")
		})
	}
}

func send(t *testing.T, am *alertmanagertest.Alertmanager, ends time.Duration, labels map[string]string) (fingerprint string) {
	t.Helper()
	if err := am.Send(alertmanagertest.Alert{Labels: labels, StartsAt: time.Now().Add(-time.Minute), EndsAt: time.Now().Add(ends)}); err != nil {
		t.Fatal(err)
	}
	set := make(model.LabelSet)
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set.Fingerprint().String()
}

// untilListed waits until an alert is listed as suppressed, with a By that begins with by, or as active if
// by is "".
func untilListed(t *testing.T, s *alertmanager.Silencer, labels map[string]string, fingerprint, by string) {
	t.Helper()
	testwait.Until(t, func() error {
		listing, err := s.Alerts(t.Context(), alertmanager.Query{Labels: labels, Receiver: "none", Wanted: []string{fingerprint}})
		if err != nil {
			return err
		}
		if a, ok := listing.Alerts[fingerprint]; !ok || a.Suppressed != (by != "") || !strings.HasPrefix(a.By, by) {
			return fmt.Errorf("it lists %+v, want %s by %q", listing.Alerts, fingerprint, by)
		}
		return nil
	})
}

// TestRealFilters: alerts are found whatever characters their labels contain (fault 3).
func TestRealFilters(t *testing.T) {
	inReal(t, func(t *testing.T, am *alertmanagertest.Alertmanager, s *alertmanager.Silencer, _ bool) {
		for _, value := range []string{"Équipe\u00a0A", "a\u200bb\u200d", "a\tb", "\x7f", `"q" \x \n`, "one\ntwo", `a\`, "{x=~\"y\"},", "😀 été", "'", "=~!="} {
			labels := map[string]string{"alertname": "X", "team": value}
			untilListed(t, s, labels, send(t, am, time.Hour, labels), "")
		}
	})
}

// TestRealSuppression: Alertmanager's API reports the alerts that it does not notify about (faults 6, 9
// and 10).
func TestRealSuppression(t *testing.T) {
	inReal(t, func(t *testing.T, am *alertmanagertest.Alertmanager, s *alertmanager.Silencer, mutes bool) {
		silenced, inhibited, muted := map[string]string{"alertname": "Silenced"}, map[string]string{"alertname": "Inhibited"}, map[string]string{"alertname": "Muted"}
		one, two, three := send(t, am, time.Hour, silenced), send(t, am, time.Hour, inhibited), send(t, am, time.Hour, muted)
		untilListed(t, s, silenced, one, "")
		id, err := am.Silence("alertname", "Silenced", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		untilListed(t, s, silenced, one, "silenced by dave until ")
		found, err := s.Silencing(t.Context(), silenced)
		if err != nil || len(found) != 1 || found[0].ID != id || found[0].CreatedBy != "dave" || !found[0].EndsAt.After(time.Now()) || !slices.Equal(found[0].Fingerprints, []string{one}) {
			t.Errorf("the silences of the alert are %+v, %v", found, err)
		}
		untilListed(t, s, inhibited, two, "")
		send(t, am, time.Hour, map[string]string{"alertname": "NodeDown"})
		untilListed(t, s, inhibited, two, "inhibited by another alert")
		if mutes { // before 0.28 nothing reports it
			untilListed(t, s, muted, three, "muted by always")
		}
		// The alert ends while silenced, and fires again without the silence: it is listed, but not notified.
		send(t, am, 0, silenced)
		testwait.Until(t, func() error {
			listing, err := s.Alerts(t.Context(), alertmanager.Query{Labels: silenced, Wanted: []string{one}})
			if err == nil && len(listing.Alerts) > 0 {
				err = fmt.Errorf("it lists %+v", listing.Alerts)
			}
			return err
		})
		if err := s.Expire(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := s.Expire(t.Context(), id); err != nil {
			t.Errorf("a second Expire gives %v", err)
		}
		send(t, am, time.Hour, silenced)
		untilListed(t, s, silenced, one, "")
		if repeat, err := s.LongestRepeat(t.Context()); repeat != time.Hour || err != nil {
			t.Errorf("the longest repeat_interval is %s, %v", repeat, err)
		}
	})
}
