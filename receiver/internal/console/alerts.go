package console

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
)

// maxLinks is the maximum number of links on a page.
const maxLinks = 8

// alertList is what a page shows about its alerts.
type alertList struct {
	Shared []pair // labels that all alerts have
	About  []pair // annotations that all alerts have
	All    []alert
	More   int // the number of alerts whose details are not kept
	Firing []alert
	Links  []webLink
}

// Count returns the number of the page's alerts.
func (l alertList) Count() int { return len(l.All) + l.More }

// pair is a label or an annotation.
type pair struct{ Name, Value, Link string }

// webLink is a link to another web site.
type webLink struct{ Name, Href string }

// alert is an alert of a page.
type alert struct {
	Where       string // how it differs from the others
	Word, Class string
	Since       when
	Until       when // the end of its suppression
	By          string
	Labels      []pair // labels that not all alerts have
	Annotations []pair // annotations that not all alerts have
}

// where lists labels that tell where an alert is, the most specific first.
var where = []string{"pod", "instance", "node", "host", "hostname", "device", "mountpoint", "job", "service", "name"}

// alertsOf returns what a page shows about its alerts.
func alertsOf(f *Frame, p *page.Page) alertList {
	var l alertList
	whole := alerts(p)
	labels, annotations := shared(whole, func(a template.Alert) template.KV { return a.Labels }), shared(whole, func(a template.Alert) template.KV { return a.Annotations })
	l.Links = links(whole)
	l.Shared, l.About = f.pairs(labels, nil), slices.DeleteFunc(f.pairs(annotations, nil), func(a pair) bool {
		return sentence(a.Value) == f.Shown(summary(p)) || slices.ContainsFunc(l.Links, func(link webLink) bool { return link.Href == a.Link })
	})
	for _, a := range p.Alerts {
		if a.Whole == nil {
			if a.Live() {
				l.More++
			}
			continue
		}
		shown := alert{Since: f.when(a.StartsAt), Until: f.when(a.Until), By: f.Shown(a.By), Labels: f.pairs(a.Whole.Labels, labels), Annotations: f.pairs(a.Whole.Annotations, annotations)}
		shown.Where = f.Shown(whereIs(a.Whole.Labels, labels))
		shown.Labels = slices.DeleteFunc(shown.Labels, func(label pair) bool { return label.Value == shown.Where })
		switch {
		case !p.State.Current():
			shown.Word, shown.Class = "ended", "is-ok"
		case a.State == page.Firing:
			shown.Word, shown.Class = "firing", "is-crit"
			l.Firing = append(l.Firing, shown)
		case a.State == page.Suppressed:
			shown.Word, shown.Class = "suppressed", "is-wait"
			if by, _, silenced := strings.Cut(a.By, " until "); silenced {
				shown.Word, shown.By = "silenced", f.Shown(by)+" until "+shown.Until.Clock()
			}
		default:
			shown.Word, shown.Class = string(a.State), "is-ok"
		}
		l.All = append(l.All, shown)
	}
	l.More += int(p.Truncated())
	return l
}

// shared returns the names and values that all alerts have.
func shared(all template.Alerts, of func(template.Alert) template.KV) template.KV {
	same := template.KV{}
	for i, a := range all {
		if i == 0 {
			maps.Copy(same, of(a))
			continue
		}
		maps.DeleteFunc(same, func(name, value string) bool { other, has := of(a)[name]; return !has || other != value })
	}
	return same
}

// pairs returns names and values sorted by name, except those in except, as the reader may see them.
func (f *Frame) pairs(of, except template.KV) []pair {
	var all []pair
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if value := of[name]; except[name] != value || value == "" {
			all = append(all, pair{f.Shown(name), f.Shown(value), link(of[name])})
		}
	}
	return all
}

// whereIs returns a label that distinguishes an alert from the others, or else its location.
func whereIs(labels, shared template.KV) string {
	for _, alone := range []bool{true, false} {
		for _, name := range where {
			if _, all := shared[name]; labels[name] != "" && all != alone {
				return labels[name]
			}
		}
		if !alone {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			if shared[name] != labels[name] {
				return name + "=" + labels[name]
			}
		}
	}
	return labels["alertname"]
}

// links returns the links in the annotations of alerts.
func links(all template.Alerts) []webLink {
	var found []webLink
	add := func(name, address string) {
		href := link(address)
		if href == "" || len(found) == maxLinks || slices.ContainsFunc(found, func(l webLink) bool { return l.Href == href }) {
			return
		}
		found = append(found, webLink{name, href})
	}
	for _, known := range []struct{ annotation, name string }{
		{"runbook_url", "Runbook"}, {"runbook", "Runbook"}, {"dashboard_url", "Dashboard"}, {"dashboard", "Dashboard"}, {"__dashboardURL__", "Dashboard"}, {"grafana_url", "Dashboard"},
	} {
		for _, a := range all {
			add(known.name, a.Annotations[known.annotation])
		}
	}
	for _, a := range all {
		add("Source in Prometheus", a.GeneratorURL)
	}
	return found
}
