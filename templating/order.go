package templating

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// sort returns alerts in the order for a reader who sees only the first: firing before resolved,
// severe before mild, new before old. Alerts that are equal in this are ordered by their
// fingerprints, not by the payload.
func (o *SeverityOrder) sort(alerts alertmanager.Alerts) alertmanager.Alerts {
	type key struct {
		*alertmanager.Alert
		status, severity int
		minute           int64
	}
	keys := make([]key, len(alerts))
	for i := range alerts {
		a := &alerts[i]
		keys[i] = key{a, statusRank(a.Status), o.Rank(o.of(a.Labels)), a.StartsAt.Unix() / 60}
	}
	slices.SortFunc(keys, func(a, b key) int {
		if n := cmp.Or(a.status-b.status, a.severity-b.severity, cmp.Compare(b.minute, a.minute), strings.Compare(a.Fingerprint, b.Fingerprint)); n != 0 || a.Fingerprint != "" {
			return n
		}
		return cmp.Or(natural(labelsText(a.Labels), labelsText(b.Labels)), strings.Compare(labelsText(a.Annotations), labelsText(b.Annotations)))
	})
	sorted := make(alertmanager.Alerts, len(keys))
	for i, k := range keys {
		sorted[i] = *k.Alert
	}
	return sorted
}

// labelsText returns all labels as one text.
func labelsText(labels alertmanager.KV) string {
	var b strings.Builder
	for _, p := range labels.SortedPairs() {
		b.WriteString(p.Name + "=" + p.Value + ",")
	}
	return b.String()
}

// compareAlerts orders alerts as [SeverityOrder.sort] does. Ages count only if the text gives a
// range of them, and then by the power of two of their minutes.
func (c *composition) compareAlerts(a, b *alertmanager.Alert) int {
	age := func(a *alertmanager.Alert) int {
		if !c.isRange() {
			return 0
		}
		return bits.Len64(uint64(max(0, c.now.Sub(a.StartsAt)/time.Minute)))
	}
	return cmp.Or(
		cmp.Compare(statusRank(a.Status), statusRank(b.Status)),
		cmp.Compare(c.set.severities.Rank(c.severityOf(a)), c.set.severities.Rank(c.severityOf(b))),
		cmp.Compare(age(a), age(b)),
	)
}

// MostSevere returns a notification with no more than most of its alerts: firing before resolved,
// severe before mild, new before old. TruncatedAlerts counts the rest.
func MostSevere(n Notification, most int) Notification {
	if len(n.Alerts) > most {
		n.TruncatedAlerts += uint64(len(n.Alerts) - most)
		n.Alerts = n.Order.sort(n.Alerts)[:most]
	}
	return n
}

func statusRank(status string) int {
	if status == string(model.AlertFiring) {
		return 0
	}
	return 1
}
