package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating"
)

// reasonAllResolved is a notification reason of Alertmanager since 0.32.
const reasonAllResolved = "all alerts resolved"

var (
	errNoAlerts = errors.New(`"alerts" must be a list of at least one alert`)
	errStatus   = errors.New(`status must be "firing" or "resolved", is ""`)
)

// Decode reads the body of a webhook of Alertmanager (version "4") or Grafana (version "1"). It
// fails if the body is not one JSON object, or if its version, alerts or statuses are wrong. Other
// fields that are missing or have another type are read as empty, so that no page is lost because
// of a detail.
func Decode(body []byte) (templating.Notification, error) {
	return decode(newReader(bytes.NewBuffer(body), 0))
}

// decode does the same as Decode, with a reader.
func decode(r *reader) (templating.Notification, error) {
	var n templating.Notification
	var version string
	alertsErr, statusErr := errNoAlerts, errStatus
	isObject := r.object(func(name []byte) {
		switch string(name) {
		case "version":
			version = plainVersion(r.text())
		case "alerts":
			n.Alerts, alertsErr = r.alerts()
		case "status":
			n.Status, statusErr = r.status()
		case "receiver":
			n.Receiver = r.text()
		case "notification_reason":
			n.NotificationReason = r.text()
		case "groupLabels":
			n.GroupLabels = r.labels()
		case "commonLabels":
			n.CommonLabels = r.labels()
		case "commonAnnotations":
			n.CommonAnnotations = r.annotations()
		case "routeLabels":
			n.RouteLabels = r.labels()
		case "externalURL":
			n.ExternalURL = r.text()
		case "groupKey":
			n.GroupKey = r.text()
		case "orgId":
			n.Org = r.text()
		case "truncatedAlerts":
			n.TruncatedAlerts = r.count()
		default:
			r.skip()
		}
	})
	if len(n.Alerts) == 0 && alertsErr == nil {
		alertsErr = errNoAlerts
	}
	switch err := r.end(); {
	case errors.Is(err, io.EOF):
		return n, errors.New("the body is empty")
	case err != nil:
		return n, fmt.Errorf("the body is not a JSON object: %w", err)
	case !isObject:
		return n, fmt.Errorf("the body is not a JSON object: it is %s", r.kind)
	case version == "":
		return n, errors.New(`not a notification: it has no "version"; is this Alertmanager's webhook?`)
	case version != "4" && version != "1":
		return n, fmt.Errorf("not a notification: version %s; this program reads version \"4\" (Alertmanager) and \"1\" (Grafana)", quote(version))
	case alertsErr != nil:
		return n, fmt.Errorf("not a notification: %w", alertsErr)
	case statusErr != nil:
		return n, fmt.Errorf("not a notification: %w", statusErr)
	}
	complete(&n, r.cut)
	return n, nil
}

// plainVersion returns the version that a text or a number in a payload writes.
func plainVersion(text string) string {
	text = strings.Trim(text, `"`)                               // Alertmanager before 0.35 can only render "4" with its quotes
	if number, err := strconv.ParseFloat(text, 64); err == nil { // 4.0, as templates and proxies write numbers
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return text
}

// complete adds what a payload omits. cut is the number of alerts that the reader did not keep.
func complete(n *templating.Notification, cut uint64) {
	for _, kv := range []*template.KV{&n.GroupLabels, &n.CommonLabels, &n.CommonAnnotations, &n.RouteLabels} {
		if *kv == nil {
			*kv = template.KV{}
		}
	}
	if len(n.CommonLabels) == 0 { // missing, or empty, as Grafana sends them
		n.CommonLabels = templating.CommonLabels(n.Alerts)
	}
	if n.GroupKey == "" {
		n.GroupKey = fingerprints(n.Alerts)
	}
	n.Alerts = firingOnce(n.Alerts)
	switch fires := len(n.Alerts.Firing()) > 0; { // a template may write another status than that of the alerts
	case fires:
		n.Status = string(model.AlertFiring)
	case n.TruncatedAlerts == 0 && cut == 0:
		n.Status = string(model.AlertResolved)
	}
	// Alertmanager truncates the list before it computes the status, so the other alerts may still fire.
	if n.Status == string(model.AlertResolved) && n.TruncatedAlerts > 0 && n.NotificationReason != reasonAllResolved {
		n.Status, n.MayStillFire = string(model.AlertFiring), true
	}
	if n.TruncatedAlerts += cut; n.Status == string(model.AlertFiring) && n.TruncatedAlerts > 0 && len(n.Alerts.Firing()) == 0 {
		n.MayStillFire = true
	}
}

// firingOnce leaves out the resolved alerts that the payload also lists as firing. If a template of payloads leaves out
// fingerprints and labels, two different alerts look like one.
func firingOnce(alerts template.Alerts) template.Alerts {
	firing := make(map[string]bool)
	for _, a := range alerts {
		if a.Status == string(model.AlertFiring) {
			firing[a.Fingerprint] = true
		}
	}
	if len(firing) == 0 || len(alerts.Resolved()) == 0 {
		return alerts
	}
	return slices.DeleteFunc(alerts, func(a template.Alert) bool { return a.Status != string(model.AlertFiring) && firing[a.Fingerprint] })
}

// fingerprints returns the replacement for a missing group key.
func fingerprints(alerts template.Alerts) string {
	var all []string
	for _, a := range alerts {
		all = append(all, a.Fingerprint)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// quote quotes a value of a payload for an error, cut to 40 bytes.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return strconv.QuoteToASCII(s)
}
