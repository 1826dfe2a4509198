package templating

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// Ranks of severities in the built-in order, most severe first.
const (
	rankP0 = iota - 1
	rankCritical
	rankHigh
	rankUnknown
	rankWarning
	rankUnset
	rankInfo
	rankNone
	rankResolved
)

// SeverityResolved is the severity of a message about alerts none of which fires.
const SeverityResolved = "resolved"

// severityRanks holds the built-in ranks of words in the spelling of [severityKey]. The words are
// in use with Prometheus, Zabbix, Grafana, PagerDuty and syslog.
var severityRanks = func() map[string]int {
	all := map[string]int{"": rankUnset, SeverityResolved: rankResolved}
	for rank, words := range map[int]string{
		rankCritical: "critical page disaster emergency fatal alert panic blocker urgent highest severe catastrophic outage",
		rankHigh:     "error high major serious",
		rankWarning:  "warning average medium moderate minor task ticket notify",
		rankInfo:     "info notice low lowest debug trace trivial ok",
		rankNone:     "none unknown notclassified",
	} {
		for word := range strings.FieldsSeq(words) {
			all[word] = rank
		}
	}
	return all
}()

// levelRanks holds the built-in ranks of P0 to P5.
var levelRanks = [...]int{rankP0, rankCritical, rankHigh, rankWarning, rankInfo, rankInfo}

// SeverityOrder sets which label gives an alert's severity, and which severities are worse. Nil
// means the built-in order.
type SeverityOrder struct {
	label    string         // the label that is read first; "": only the built-in ones
	listed   map[string]int // positions of the configured severities, by their keys
	ranks    []int          // the built-in ranks of the configured severities
	reversed bool           // a greater number is worse
}

// NewSeverityOrder returns an order. label is read before the built-in labels; "" adds none. order
// lists severities, most severe first; if it is empty, the built-in order applies. A severity that
// it does not list ranks like its equal in the list (crit like critical, sev1 like P1), otherwise
// before the first listed severity that is milder in the built-in order. If order lists a greater
// number first, 5 is worse than 1.
func NewSeverityOrder(label string, order []string) *SeverityOrder {
	o := &SeverityOrder{label: label, listed: make(map[string]int)}
	last := -1
	for _, severity := range order {
		if level, ok := severityLevel(severity); ok {
			o.reversed = last > level
			last = level
		}
	}
	for i, severity := range order {
		o.listed[severityKey(severity)] = i
		o.ranks = append(o.ranks, o.builtIn(severity))
	}
	return o
}

// Rank returns the rank of a severity, lower for a more severe one, whatever its case and spaces. 0
// and less are the highest level: critical and its equals, or the first of a configured order. In
// the built-in order, an unknown word ranks above warning.
func (o *SeverityOrder) Rank(severity string) int {
	builtIn := o.builtIn(severity)
	if o == nil || len(o.listed) == 0 {
		return builtIn
	}
	n := len(o.ranks)
	if i, ok := o.listed[severityKey(severity)]; ok {
		return 2 * i
	}
	if builtIn == rankResolved {
		return 2 * n
	}
	if i := slices.Index(o.ranks, builtIn); i >= 0 && builtIn != rankUnknown {
		return 2 * i
	}
	for i, rank := range o.ranks {
		if rank > builtIn {
			return 2*i - 1
		}
	}
	return 2*n - 1
}

// builtIn returns the rank of a severity in the built-in order.
func (o *SeverityOrder) builtIn(severity string) int {
	if level, ok := severityLevel(severity); ok {
		if o != nil && o.reversed {
			level = min(6-level, 5)
		}
		return levelRanks[level]
	}
	if rank, ok := severityRanks[severityKey(severity)]; ok {
		return rank
	}
	return rankUnknown
}

// IsUrgent reports whether a severity is in a list, in any spelling. If the list is nil, it reports whether
// the severity has the highest level.
func (o *SeverityOrder) IsUrgent(severity string, urgent []string) bool {
	if urgent == nil {
		return o.Rank(severity) <= 0
	}
	return slices.ContainsFunc(urgent, func(u string) bool { return SameSeverity(u, severity) })
}

// SameSeverity reports whether two texts are the same severity: crit and Critical, sev1
// and P1.
func SameSeverity(a, b string) bool { return severityKey(a) == severityKey(b) }

// severityKey returns the canonical spelling of a severity: without capitals, spaces and
// punctuation, with abbreviations written out, and a level as its number.
func severityKey(severity string) string {
	if level, ok := severityLevel(severity); ok {
		return strconv.Itoa(level)
	}
	key := strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, severity)
	switch key {
	case "crit":
		return "critical"
	case "emerg":
		return "emergency"
	case "err":
		return "error"
	case "warn":
		return "warning"
	case "information", "informational":
		return "info"
	}
	return key
}

// severityLevel returns the number of a severity such as "P2", "sev-2", "S2", "2" or
// "2 - High".
func severityLevel(severity string) (level int, ok bool) {
	number := strings.ToLower(strings.TrimSpace(severity))
	for _, prefix := range [...]string{"severity", "sev", "priority", "prio", "p", "s"} {
		if rest, found := strings.CutPrefix(number, prefix); found {
			number = strings.TrimLeft(rest, " -_:")
			break
		}
	}
	if number == "" || number[0] < '0' || number[0] > '5' {
		return 0, false
	}
	if rest := number[1:]; rest != "" && !strings.ContainsRune(" -:(", rune(rest[0])) {
		return 0, false
	}
	return int(number[0] - '0'), true
}

// severityWord returns a severity as texts write it: in capitals, and a bare number as "SEV1".
func severityWord(severity string) string {
	const longest = 20 // bytes; a longer value is not a severity
	s := strings.ToUpper(strings.TrimSpace(severity))
	switch {
	case len(s) > longest || s == "NONE":
		return ""
	case len(s) == 1 && s[0] >= '0' && s[0] <= '9':
		return "SEV" + s
	}
	return s
}

// severityLabels lists the labels that give an alert's severity, most preferred first.
var severityLabels = []string{"severity", "priority", "Severity", "level"}

func isSeverity(label string) bool { return slices.Contains(severityLabels, label) }

// of returns the severity of an alert, or "".
func (o *SeverityOrder) of(labels alertmanager.KV) string {
	if o != nil && o.label != "" {
		if s := strings.TrimSpace(labels[o.label]); s != "" {
			return s
		}
	}
	for _, name := range severityLabels {
		if s := strings.TrimSpace(labels[name]); s != "" {
			return s
		}
	}
	return ""
}

// Severity returns the most severe severity of the alerts that fire or may fire: "" if no label
// gives one, SeverityResolved if nothing fires.
func Severity(n Notification) string {
	most, fires := "", n.MayStillFire
	for i := range n.Alerts {
		a := &n.Alerts[i]
		if !n.MayStillFire && a.Status != string(model.AlertFiring) {
			continue
		}
		fires = true
		if s := n.Order.of(a.Labels); s != "" && (most == "" || n.Order.Rank(s) < n.Order.Rank(most)) {
			most = s
		}
	}
	if !fires {
		return SeverityResolved
	}
	return most
}

// Severities returns the severities of the alerts that fire or may fire, or of all alerts if none
// does, each once. "" means an alert without a severity.
func Severities(n Notification) []string {
	alerts := alertmanager.Alerts(n.Alerts.Firing())
	if n.MayStillFire || len(alerts) == 0 {
		alerts = n.Alerts
	}
	var all []string
	for _, a := range alerts {
		if s := n.Order.of(a.Labels); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// IsUrgent reports whether limits let a notification pass: an alert that fires or may fire has an
// urgent severity (see [SeverityOrder.IsUrgent]), or Alertmanager has left out alerts, which may
// have one.
func (n *Notification) IsUrgent(urgent []string) bool {
	if n.MayStillFire || n.TruncatedAlerts > 0 && n.Status == string(model.AlertFiring) {
		return true
	}
	return slices.ContainsFunc(n.Alerts, func(a alertmanager.Alert) bool {
		return a.Status == string(model.AlertFiring) && n.Order.IsUrgent(n.Order.of(a.Labels), urgent)
	})
}
