package templating

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/templating/gsm7"
)

// severity is the severest of the alerts that fire, or of all where those that
// may still fire are not listed; "FIRING" where none tells.
func severity(v *view) string {
	const longest = 20 // bytes; a longer value is no severity
	for _, a := range v.Alerts {
		s := cmp.Or(a.Labels["severity"], a.Labels["priority"])
		if s == "" || len(s) > longest || strings.EqualFold(s, "none") {
			continue
		}
		if v.MayStillFire || a.Status == string(model.AlertFiring) {
			return strings.ToUpper(s)
		}
	}
	return "FIRING"
}

// context are labels that say in which of several like places something is. In
// rulename Grafana names the rule whose data is missing (DatasourceNoData).
var context = []string{"rulename", "cluster", "environment", "env", "region"}

// subject is what all alerts of the group have in common.
func subject(v *view) string {
	name := cmp.Or(v.CommonLabels[model.AlertNameLabel], v.GroupLabels[model.AlertNameLabel])
	words := []string{name}
	if name == "" {
		words = nil
	}
	single := len(v.Alerts) == 1 && v.hidden == 0
	add := func(value string) {
		if value == "" || value == name || slices.Contains(words, value) {
			return
		}
		if single && mentions(summary(v.Alerts[0])+" "+where(v.Alerts[0], v), value) {
			return
		}
		words = append(words, value)
	}
	for _, p := range v.GroupLabels.SortedPairs() {
		switch {
		case p.Name == model.AlertNameLabel || p.Name == "severity" || p.Name == "priority" || len(v.GroupLabels) > 4:
		case name == "" && p.Name != "grafana_folder":
			add(p.Name + " " + p.Value)
		default:
			add(p.Value)
		}
	}
	for _, label := range context {
		add(v.CommonLabels[label])
	}
	if len(words) == 0 {
		return "alert"
	}
	return strings.Join(words, " ")
}

// summary is what an alert says of itself.
func summary(a alertmanager.Alert) string {
	s := cmp.Or(a.Annotations["summary"], a.Annotations["message"], a.Annotations["description"], a.Annotations["title"])
	return strings.TrimRight(strings.Join(strings.Fields(s), " "), ".")
}

// places are labels that name where an alert is, the most telling first; of a
// pair the first stands before the second with a slash.
var places = [][]string{
	{"namespace", "pod"}, {"pod"}, {"namespace", "deployment"}, {"namespace", "statefulset"}, {"namespace", "daemonset"}, {"namespace", "job_name"},
	{"instance", "mountpoint"}, {"instance", "device"}, {"instance"}, {"node"}, {"host"}, {"hostname"}, {"nodename"}, {"device"}, {"queue"},
	{"namespace", "service"}, {"service"}, {"namespace"}, {"job"},
}

// where names the place of an alert. In a group of several, what they have in
// common is left out.
func where(a alertmanager.Alert, v *view) string {
	several := len(v.Alerts)+v.hidden > 1
	for _, names := range places {
		var all, telling []string
		for _, name := range names {
			if value := a.Labels[name]; value != "" {
				all = append(all, value)
				if !several || v.CommonLabels[name] == "" {
					telling = append(telling, cmp.Or(v.hosts[value], value))
				}
			}
		}
		if len(all) < len(names) || len(telling) == 0 {
			continue
		}
		if len(telling) == 2 && !strings.HasPrefix(telling[1], "/") { // unlike a path
			return telling[0] + "/" + telling[1]
		}
		return strings.Join(telling, "")
	}
	return ""
}

// shortHosts maps each instance to its host's name without port and domain,
// where that names no other instance too.
func shortHosts(alerts alertmanager.Alerts) map[string]string {
	hosts, meant := map[string]string{}, map[string]string{} // by instance; instances by host
	for _, a := range alerts {
		instance := a.Labels["instance"]
		if instance == "" || hosts[instance] != "" {
			continue
		}
		host, _, _ := strings.Cut(instance, ":")
		if _, err := netip.ParseAddr(host); err != nil {
			host, _, _ = strings.Cut(host, ".")
		}
		if other := meant[host]; other != "" || len(host) < 2 {
			hosts[instance], hosts[other] = instance, other
			continue
		}
		hosts[instance], meant[host] = host, instance
	}
	return hosts
}

// mentions reports whether a text names a place, by its whole name or, of a
// host with a domain or port, by its first part.
func mentions(text, place string) bool {
	if place == "" || strings.Contains(text, place) {
		return true
	}
	host, _, isHost := strings.Cut(place, ".")
	if !isHost {
		host, _, isHost = strings.Cut(place, ":")
	}
	return isHost && len(host) >= 3 && strings.Trim(host, "0123456789") != "" && strings.Contains(text, host)
}

// item is an alert's line in a list: its name where the group has several, and
// where it is, or else its summary.
func item(a alertmanager.Alert, v *view) string {
	var words []string
	if name := a.Labels[model.AlertNameLabel]; v.CommonLabels[model.AlertNameLabel] == "" && name != "" {
		words = append(words, name)
	}
	place, said := where(a, v), summary(a)
	shared := v.CommonAnnotations["summary"] != "" || a.Status != string(model.AlertFiring)
	switch {
	case place == "" && (!shared || len(words) == 0):
		words = append(words, said)
	case len(words) > 0 && !shared && said != "" && mentions(said, place):
		words = append(words, said)
	default:
		words = append(words, place)
	}
	if line := strings.TrimSpace(strings.Join(words, " ")); line != "" {
		return line
	}
	return "alert"
}

// headline is what a group is about, in a few words.
func headline(v *view, to gsm7.Alphabet) string {
	const longest = 50 // septets
	about := severity(v)
	if v.Status == string(model.AlertResolved) && !v.MayStillFire {
		about = "RESOLVED"
	}
	return shortened(about+" "+subject(v), longest, to)
}

// Rank is lower the severer a headline's first word is; what is resolved comes
// last.
func Rank(headline string) int {
	word, _, _ := strings.Cut(headline, " ")
	if word == "RESOLVED" {
		return SeverityRank("") + 1
	}
	return SeverityRank(word)
}

// plain is the text where no template can be used. It cannot fail.
func plain(v *view, now time.Time) string {
	if v.MayStillFire { // what is listed is resolved
		left := "some"
		if n := v.TruncatedAlerts; n > 0 {
			left = fmt.Sprintf("up to %d more", n)
		}
		return fmt.Sprintf("%s %s: %d resolved, %s may still fire", severity(v), subject(v), v.ResolvedCount, left)
	}
	var b strings.Builder
	if v.Status == string(model.AlertResolved) {
		b.WriteString("RESOLVED")
	} else {
		b.WriteString(severity(v))
	}
	b.WriteString(" " + subject(v))
	for _, a := range v.Alerts {
		if said := summary(a); said != "" {
			b.WriteString(": " + said)
		}
		if place := where(a, v); !mentions(summary(a), place) {
			b.WriteString(", " + place)
		}
		if d := Duration(age(a, now)); d != "" {
			b.WriteString(", " + d)
		}
	}
	return b.String()
}
