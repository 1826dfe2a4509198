package templating

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// funcs are the functions that templates have: Alertmanager's, with an
// injected clock, and ours.
//
//	severity VIEW      the highest severity that fires, in capitals, or FIRING
//	subject VIEW       what the group is about: alert name and group labels
//	summary ALERT      its summary (or description, or message), without the last stop
//	where ALERT VIEW   the labels that tell it from others, as short as they can be
//	item ALERT VIEW    its line in a list
//	mentions TEXT PLACE  whether a text names a place already
//	age ALERT          how long it fires, or fired: "7m", "2h14m", "3d4h"
func funcs(in *instance) template.FuncMap {
	fm := template.FuncMap{}
	maps.Copy(fm, template.FuncMap(alertmanager.DefaultFuncs))
	maps.Copy(fm, template.FuncMap{
		"now":   func() time.Time { return in.now() },
		"since": func(t time.Time) time.Duration { return in.now().Sub(t) },
		// Alertmanager executes a route label as a template; here labels are data.
		"routeLabels": func(name string) string { return in.view.RouteLabels[name] },

		"severity": severity,
		"subject":  subject,
		"summary":  summary,
		"where":    where,
		"item":     item,
		"mentions": mentions,
		"age":      func(a alertmanager.Alert) string { return short(age(a, in.now())) },
	})
	return fm
}

// severity is the severest of the alerts that fire, "FIRING" where none tells.
func severity(v *view) string {
	for _, a := range v.Alerts {
		if s := cmp.Or(a.Labels["severity"], a.Labels["priority"]); s != "" && a.Status == string(model.AlertFiring) && !strings.EqualFold(s, "none") {
			return strings.ToUpper(s)
		}
	}
	return "FIRING"
}

// context are labels that say in which of several like places something is.
var context = []string{"cluster", "environment", "env", "region"}

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
					telling = append(telling, value)
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

// short is a duration with its two largest units: "45s", "7m", "2h14m", "3d4h".
// It is "" for 0.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(large time.Duration, largeUnit string, small time.Duration, smallUnit string) string {
		s := fmt.Sprintf("%d%s", d/large, largeUnit)
		if rest := d % large / small; rest > 0 {
			s += fmt.Sprintf("%d%s", rest, smallUnit)
		}
		return s
	}
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(1, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return two(time.Hour, "h", time.Minute, "m")
	}
	return two(day, "d", time.Hour, "h")
}

// plain is the text where no template can be used. It cannot fail.
func plain(v *view, now time.Time) string {
	if v.MayStillFire { // what is listed is resolved
		return fmt.Sprintf("%s: %d resolved, %d more may still fire", subject(v), v.ResolvedCount, v.TruncatedAlerts)
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
		if d := short(age(a, now)); d != "" {
			b.WriteString(", " + d)
		}
	}
	if v.hidden > 0 {
		fmt.Fprintf(&b, " +%d more", v.hidden)
	}
	return b.String()
}
