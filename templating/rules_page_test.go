package templating_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating"
)

// rule is a rule of the built-in texts in docs/templates.md, which shows alerts and their text. All
// alerts are invented.
type rule struct {
	title, is string
	alerts    []template.Alert
}

func firing(labels, annotations template.KV) template.Alert {
	return template.Alert{Status: "firing", Labels: labels, Annotations: annotations, StartsAt: now().Add(-9 * time.Minute)}
}

func quota(resource, used string) template.Alert {
	return firing(
		template.KV{"alertname": "QuotaNearlyUsedUp", "severity": "warning", "namespace": "shop", "resourcequota": "team", "resource": resource},
		template.KV{"summary": "A quota is nearly used up.", "description": "Namespace shop uses " + used + " of its " + resource + " quota."},
	)
}

func bare(name, severity, instance string) template.Alert {
	return firing(template.KV{"alertname": name, "severity": severity, "instance": instance}, nil)
}

func rules() []rule {
	resolved := firing(template.KV{"alertname": "DoorOpen", "severity": "critical", "door": "north"}, template.KV{"summary": "Door north is open."})
	resolved.Status, resolved.EndsAt = "resolved", now().Add(-2*time.Minute)
	noData := resolved
	noData.Annotations = template.KV{"summary": "Door north is open.", "grafana_state_reason": "MissingSeries"}
	return []rule{
		{"The sentence has the figure", "The summary, if it has a measured figure; else the first sentence of the description that has one; else the summary. A window of time or a threshold is no measured figure. Figures get three digits.",
			[]template.Alert{firing(
				template.KV{"alertname": "VolumeNearlyFull", "severity": "critical", "instance": "files-3.lab.example:9100", "mountpoint": "/srv/media"},
				template.KV{"summary": "A volume is nearly full.", "description": "Volume /srv/media of files-3.lab.example:9100 has 2.718281828% left."},
			)}},
		{"A summary that repeats the name is left out", "So are `(instance ...)`, `LABELS = ...`, and sentences that say what to do or what may follow. A `VALUE = ...` follows in brackets if the sentence has no figure.",
			[]template.Alert{firing(
				template.KV{"alertname": "QueueConsumerStalled", "severity": "warning", "instance": "mq-07.lab.example:9419", "queue": "mail.outgoing"},
				template.KV{"summary": "Queue consumer stalled (instance mq-07.lab.example:9419)", "description": "Nobody took a message from mail.outgoing for 12 minutes. Check the consumer.\n  VALUE = 48211\n  LABELS = map[...]"},
			)}},
		{"The object is what the rule's author names", "The object is the most exact label whose value an annotation names: volume claim, pod, job, workload, mount point, device, interface, topic, queue, database, a label of the rule's own, URL, node, instance, service. If no annotation names one, the same order holds over the labels that there are. An exporter's pod or address is never the object. `exported_instance` goes before `instance`, and `k8s.pod.name` is a `pod`.",
			[]template.Alert{firing(
				template.KV{"alertname": "DeploymentLacksReplicas", "severity": "warning", "cluster": "hall-2", "namespace": "shop", "deployment": "basket-api", "pod": "kube-state-metrics-7c9d8b5f46-zk2vw", "instance": "10.1.2.3:8080", "job": "kube-state-metrics"},
				template.KV{"summary": "Deployment lacks replicas.", "description": "Deployment shop/basket-api has had 2 of 5 replicas for 15 minutes."},
			)}},
		{"Each thing appears once", "The object precedes the sentence, only if the sentence lacks it; of `namespace/pod` only the part that is lacking. What is part of a host (a mount point, a device, a label of the rule's own) brings the host.",
			[]template.Alert{firing(
				template.KV{"alertname": "RingMemberUnreachable", "severity": "page", "namespace": "shop", "pod": "basket-ring-0", "instance": "10.3.4.5:7946"},
				template.KV{"summary": "Ring member basket-ring-0 cannot be reached by its neighbours."},
			)}},
		{"A long sentence is made lean before it is cut", "A threshold becomes `(limit ...)`; places that the text names already and brackets without a figure go. If that is not enough, the summary takes the figure of the description. Last, the sentence is cut at a word, and keeps its figure.",
			[]template.Alert{firing(
				template.KV{"alertname": "HeapAlmostExhausted", "severity": "warning", "instance": "calc-21.lab.example:8778", "region_cluster": "abacus-north"},
				template.KV{"description": "The part of the heap that the virtual machine on calc-21.lab.example:8778 in abacus-north has in use after its last full collection is 91 percent, which is above the threshold of 85 percent."},
			)}},
		{"A group's lines show what differs", "By the fewest labels that distinguish all alerts, those that the annotations name first; with the one figure in which the descriptions differ. Hosts lose domain and port and pods the hash of their template if all stay distinct. A sentence that all alerts share is in the first line if there is room.",
			[]template.Alert{quota("requests.cpu", "93.1%"), quota("limits.memory", "97.4%"), quota("configmaps", "91%")}},
		{"A mixed group has a line per name", "The most severe first, with the severity if it is not the first word; all names before any object. What they have in common is in the first line.",
			[]template.Alert{
				bare("BackupMissing", "critical", "db-01.example:9100"), bare("LampBroken", "warning", "lamp-00.example:80"), bare("LampBroken", "warning", "lamp-01.example:80"), bare("SnapshotMissing", "warning", "db-02.example:9100"),
			}},
		{"Severities by name or number", "`P0` to `P5`, `sev0` to `sev5`, `S1`, `crit`, `emerg`, `urgent` and bare numbers are read without regard to case; `1` is written `SEV1`.",
			[]template.Alert{firing(template.KV{"alertname": "HallWithoutPower", "severity": "1", "hall": "north"}, template.KV{"summary": "Hall north is without power."})}},
		{"RESOLVED names the object", "It does not repeat what was wrong.", []template.Alert{resolved}},
		{"An end without data is no RESOLVED", "Grafana ends an alert whose series is missing, or whose rule was paused or deleted (`grafana_state_reason`).", []template.Alert{noData}},
		{"Markup becomes words", "HTML, Markdown links and terminal colours go. In a URL, what an SMS cannot hold is percent-encoded. An annotation that is blank, or that Prometheus could not expand, counts as absent.",
			[]template.Alert{firing(
				template.KV{"alertname": "DiskFull", "severity": "critical", "instance": "db1"},
				template.KV{"summary": "<b>No space</b> on <i>/var</i>, see https://wiki.example/disk_full", "description": "<error expanding template: nil data>"},
			)}},
	}
}

// rulesOfPage returns the rules as the page shows them, each with its alerts and their text.
func rulesOfPage(t *testing.T) string {
	var b strings.Builder
	tmpl := text(t, byDefault)
	for _, rule := range rules() {
		n := templating.Notification{Data: template.Data{Status: "resolved", Alerts: rule.alerts, GroupLabels: template.KV{}}}
		if rule.alerts[0].Status == "firing" {
			n.Status = "firing"
		}
		for i := range n.Alerts {
			n.Alerts[i].Fingerprint = fmt.Sprintf("%016x", i)
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n```\n", rule.title, wrapped(rule.is))
		for _, a := range rule.alerts {
			fmt.Fprintf(&b, "%s{%s}\n", a.Labels["alertname"], pairs(a.Labels.Remove([]string{"alertname"})))
			for _, p := range a.Annotations.SortedPairs() {
				fmt.Fprintf(&b, "  %s: %s\n", p.Name, strings.ReplaceAll(p.Value, "\n", "\n    "))
			}
		}
		r := tmpl.Render(n, templating.Budget{MaxSegments: 2})
		check(t, r, 1)
		fmt.Fprintf(&b, "```\n\nbecomes\n\n```\n%s\n```\n\n", r.Text)
	}
	return b.String()
}

func pairs(labels template.KV) string {
	var all []string
	for _, p := range labels.SortedPairs() {
		all = append(all, fmt.Sprintf("%s=%q", p.Name, p.Value))
	}
	return strings.Join(all, ", ")
}

// wrapped breaks lines at 100 columns.
func wrapped(s string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(s) {
		switch {
		case column == 0:
		case column+1+len(word) > 100:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
