package templating

import (
	"cmp"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
)

// severityRank is the rank of an alert's severity, by its label severity, else priority.
func severityRank(labels alertmanager.KV) int {
	return SeverityRank(cmp.Or(labels["severity"], labels["priority"]))
}

// SeverityRank returns the rank of a severity, lower for a more severe one. The names
// are those that Prometheus's, Zabbix's and Grafana's users give.
func SeverityRank(severity string) int {
	switch strings.ToLower(severity) {
	case "critical", "page", "disaster", "emergency", "fatal", "alert", "p1":
		return 0
	case "error", "high", "major", "p2":
		return 1
	case "warning", "warn", "average", "minor", "p3":
		return 2
	case "info", "information", "notice", "low", "p4":
		return 3
	}
	return 4
}
