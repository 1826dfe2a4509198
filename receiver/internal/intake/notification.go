package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating"
)

// reasonAllResolved and reasonRepeat are notification reasons as Alertmanager
// gives them since 0.32.
const (
	reasonAllResolved = "all alerts resolved"
	reasonRepeat      = "repeat interval elapsed"
)

// Decode reads the body of a webhook: Alertmanager's (version "4") or Grafana's
// (version "1"). Only what makes a body no notification is an error: it is not
// one JSON object, its version is another, or its alerts or statuses are not
// what they must be. Anything else that is missing or of another type is read
// as empty, since a page must not be lost for a detail.
func Decode(body []byte) (templating.Notification, error) {
	var n templating.Notification
	top, err := object(body)
	if err != nil {
		return n, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	switch version, ok := jsonString(top["version"]); {
	case !ok:
		return n, errors.New(`not a notification: it has no "version"; is this Alertmanager's webhook?`)
	case version != "4" && version != "1":
		return n, fmt.Errorf("not a notification: version %s; this program reads version \"4\" (Alertmanager) and \"1\" (Grafana)", quote(version))
	}
	var alerts []json.RawMessage
	if err := json.Unmarshal(top["alerts"], &alerts); err != nil || len(alerts) == 0 {
		return n, errors.New(`not a notification: "alerts" must be a list of at least one alert`)
	}
	for i, raw := range alerts {
		a, err := decodeAlert(raw)
		if err != nil {
			return n, fmt.Errorf("not a notification: alerts[%d]: %w", i, err)
		}
		n.Alerts = append(n.Alerts, a)
	}
	if n.Status, err = decodeStatus(top["status"]); err != nil {
		return n, fmt.Errorf("not a notification: %w", err)
	}
	n.Receiver = text(top["receiver"])
	n.NotificationReason = text(top["notification_reason"])
	n.GroupLabels = labels(top["groupLabels"])
	n.CommonLabels = labels(top["commonLabels"])
	if _, given := top["commonLabels"]; !given {
		n.CommonLabels = common(n.Alerts)
	}
	n.CommonAnnotations = labels(top["commonAnnotations"])
	n.RouteLabels = labels(top["routeLabels"])
	n.ExternalURL = text(top["externalURL"])
	n.GroupKey = text(top["groupKey"])
	n.TruncatedAlerts = count(top["truncatedAlerts"])
	if n.GroupKey == "" {
		n.GroupKey = fingerprints(n.Alerts)
	}
	// Alertmanager cuts the list before it computes the status.
	if n.Status == string(model.AlertResolved) && n.TruncatedAlerts > 0 && n.NotificationReason != reasonAllResolved {
		n.Status, n.MayStillFire = string(model.AlertFiring), true
	}
	return n, nil
}

// common are the labels that all alerts have, for payloads that do not tell.
func common(alerts template.Alerts) template.KV {
	kv := maps.Clone(alerts[0].Labels)
	for _, a := range alerts[1:] {
		maps.DeleteFunc(kv, func(name, value string) bool { return a.Labels[name] != value })
	}
	return kv
}

func decodeAlert(raw json.RawMessage) (a template.Alert, err error) {
	fields, err := object(raw)
	if err != nil {
		return a, errors.New("must be an object")
	}
	if a.Status, err = decodeStatus(fields["status"]); err != nil {
		return a, err
	}
	a.Labels = labels(fields["labels"])
	a.Annotations = labels(fields["annotations"])
	a.StartsAt = timestamp(fields["startsAt"])
	a.EndsAt = timestamp(fields["endsAt"])
	a.GeneratorURL = text(fields["generatorURL"])
	a.Fingerprint = text(fields["fingerprint"])
	if a.Fingerprint == "" {
		set := make(model.LabelSet, len(a.Labels))
		for name, value := range a.Labels {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		a.Fingerprint = set.Fingerprint().String()
	}
	return a, nil
}

func decodeStatus(raw json.RawMessage) (string, error) {
	s, _ := jsonString(raw)
	if s != string(model.AlertFiring) && s != string(model.AlertResolved) {
		return "", fmt.Errorf(`status must be "firing" or "resolved", is %s`, quote(text(raw)))
	}
	return s, nil
}

// object reads one JSON object, by its exact keys: encoding/json would take
// "Status" for "status" in a struct.
func object(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("it is null")
	}
	return fields, nil
}

// jsonString reads a JSON string; ok is false for anything else.
func jsonString(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// text reads a string, or takes another value as it is written.
func text(raw json.RawMessage) string {
	if s, ok := jsonString(raw); ok {
		return s
	}
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return ""
	}
	return string(raw)
}

// labels reads an object of strings; it is never nil, as templates index it.
func labels(raw json.RawMessage) template.KV {
	kv := template.KV{}
	fields, err := object(raw)
	if err != nil {
		return kv
	}
	for name, value := range fields {
		kv[name] = text(value)
	}
	return kv
}

func timestamp(raw json.RawMessage) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text(raw))
	if err != nil {
		return time.Time{}
	}
	return t
}

func count(raw json.RawMessage) uint64 {
	n, err := strconv.ParseUint(text(raw), 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// fingerprints stands in for a missing group key.
func fingerprints(alerts template.Alerts) string {
	var all []string
	for _, a := range alerts {
		all = append(all, a.Fingerprint)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// quote shows a value of a payload in an error, at most 40 bytes of it.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return strconv.QuoteToASCII(s)
}
