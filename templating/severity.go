package templating

import (
	"slices"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// Ranks of severities, see [SeverityRank].
const (
	rankP0 = iota - 1
	rankCritical
	rankHigh
	rankUnknown
	rankWarning
	rankUnset
	rankInfo
	rankNone
)

// SeverityRank returns the rank of a severity, lower for a more severe one; case and
// spaces do not matter. Critical and its equals have 0, P0 and SEV0 less. A word that
// is not known ranks above warning. The names are those that Prometheus's, Zabbix's,
// Grafana's, PagerDuty's and syslog's users give.
func SeverityRank(severity string) int {
	switch s := strings.ToLower(strings.TrimSpace(severity)); s {
	case "critical", "crit", "page", "disaster", "emergency", "emerg", "fatal", "alert", "panic", "blocker", "urgent", "highest":
		return rankCritical
	case "error", "err", "high", "major":
		return rankHigh
	case "warning", "warn", "average", "medium", "minor", "task", "ticket", "notify":
		return rankWarning
	case "":
		return rankUnset
	case "info", "information", "informational", "notice", "low", "lowest", "debug", "ok":
		return rankInfo
	case "none", "unknown":
		return rankNone
	default:
		level, ok := severityLevel(s)
		if !ok {
			return rankUnknown
		}
		return [...]int{rankP0, rankCritical, rankHigh, rankWarning, rankInfo, rankInfo}[level]
	}
}

// severityLevel returns the number of a severity such as "P2", "sev-2", "S2" or "2".
func severityLevel(severity string) (level int, ok bool) {
	number := severity
	for _, prefix := range [...]string{"severity", "sev", "priority", "prio", "p", "s"} {
		if rest, found := strings.CutPrefix(severity, prefix); found {
			number = strings.TrimLeft(rest, " -_")
			break
		}
	}
	if len(number) != 1 || number[0] < '0' || number[0] > '5' {
		return 0, false
	}
	return int(number[0] - '0'), true
}

// severityWord returns a severity as a text has it: in capitals, and a bare number as "SEV1".
func severityWord(severity string) string {
	const longest = 20 // bytes; a longer value is no severity
	s := strings.ToUpper(strings.TrimSpace(severity))
	switch {
	case len(s) > longest || s == "NONE":
		return ""
	case len(s) == 1 && s[0] >= '0' && s[0] <= '9':
		return "SEV" + s
	}
	return s
}

// severityLabels are those that give an alert's severity, in order of preference.
var severityLabels = []string{"severity", "priority", "Severity", "level"}

func isSeverity(label string) bool { return slices.Contains(severityLabels, label) }

// severityOf returns the severity of an alert, or "".
func severityOf(labels alertmanager.KV) string {
	for _, name := range severityLabels {
		if s := strings.TrimSpace(labels[name]); s != "" {
			return s
		}
	}
	return ""
}

// Severity returns the most severe severity of the alerts that fire, or may fire; ""
// if no label gives one, or nothing fires.
func Severity(n Notification) string {
	most := ""
	for i := range n.Alerts {
		a := &n.Alerts[i]
		if s := severityOf(a.Labels); s != "" && (n.MayStillFire || a.Status == string(model.AlertFiring)) && (most == "" || SeverityRank(s) < SeverityRank(most)) {
			most = s
		}
	}
	return most
}

// Severities returns the severities of the alerts that fire, or may fire, and of all
// alerts if none does, each once; "" is that of an alert without one.
func Severities(n Notification) []string {
	alerts := alertmanager.Alerts(n.Alerts.Firing())
	if n.MayStillFire || len(alerts) == 0 {
		alerts = n.Alerts
	}
	var all []string
	for _, a := range alerts {
		if s := severityOf(a.Labels); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
