package templating

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// rank orders labels by how exactly they say what is broken, the most exact first.
type rank int

const (
	rankClaim rank = iota
	rankPod
	rankJobName
	rankCronJob
	rankWorkload
	rankMountpoint
	rankDevice
	rankInterface
	rankTopic
	rankQueue
	rankDatabase
	rankOwn // a label of the rule itself
	rankURL
	rankNode
	rankInstance
	rankState // says how it is, not what it is
	rankService
	rankContainer
	rankNamespace
	rankJob
	rankContext  // says in which of several like places something is
	rankUnlikely // says something about the rule, unless an annotation has the value
	rankIgnored  // says nothing about the place
)

// ranks holds the ranks of well-known labels, spelled as by [canonical]. The names come from
// kube-state-metrics, cAdvisor, node-exporter, common exporters and, with underscores for dots,
// OpenTelemetry's semantic conventions.
var ranks = func() map[string]rank {
	all := map[string]rank{}
	for r, names := range map[rank]string{
		rankClaim:      "persistentvolumeclaim pvc claim persistentvolume k8s_persistentvolumeclaim_name",
		rankPod:        "pod pod_name kubernetes_pod_name k8s_pod_name",
		rankJobName:    "job_name k8s_job_name",
		rankCronJob:    "cronjob k8s_cronjob_name",
		rankWorkload:   "deployment statefulset daemonset replicaset replicationcontroller horizontalpodautoscaler hpa workload k8s_deployment_name k8s_statefulset_name k8s_daemonset_name k8s_replicaset_name",
		rankMountpoint: "mountpoint mount filesystem volume system_filesystem_mountpoint",
		rankDevice:     "device disk drive device_name system_device",
		rankInterface:  "interface iface ifname ifdescr ifalias nic network_interface_name",
		rankTopic:      "topic topicname messaging_destination_name",
		rankQueue:      "queue queue_name",
		rankDatabase:   "database datname db dbname db_name db_namespace",
		rankURL:        "url target uri url_full",
		rankNode:       "node nodename node_name host hostname host_name k8s_node_name vm server server_name server_address kubernetes_node devicename",
		rankInstance:   "instance service_instance_id",
		rankState:      "phase condition reason mode state status color colour code verb method ready type module probe_module quantile",
		rankService:    "service service_name app application app_kubernetes_io_name",
		rankContainer:  "container container_name k8s_container_name",
		rankNamespace:  "namespace kubernetes_namespace k8s_namespace_name service_namespace",
		rankJob:        "job",
		rankContext:    "cluster cluster_id cluster_name k8s_cluster_name environment env deployment_environment deployment_environment_name region cloud_region site datacenter dc",
		rankUnlikely:   "tier area context meta support_group playbook oid dashboard provider pipeline channel uid uuid fstype kind source scope origin category version stage tenant availability_zone zone",
		rankIgnored: "alertname rulename severity priority level alertgroup prometheus prometheus_replica replica __replica__ monitor owner runbook runbook_url receiver notify endpoint metrics_path le " +
			"recording grafana_folder datasource_uid ref_id integration_type inhibited_by alert_type alertid alert_id __alert_rule_uid__ show_at rule_uid sloth_id no_alert_on_absence " +
			"telemetry_sdk_name telemetry_sdk_language telemetry_sdk_version otel_scope_name otel_scope_version k8s_pod_uid k8s_node_uid",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = r
		}
	}
	return all
}()

// canonical returns a label's name in the spelling of [ranks]: in lower case, with underscores for
// dots and hyphens.
func canonical(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' || c == '.' || c == '-' {
			return underscores.Replace(strings.ToLower(name))
		}
	}
	return name
}

var underscores = strings.NewReplacer(".", "_", "-", "_")

// rankOf returns the rank of a label. exported_X has the rank of X, or rankOwn if X usually
// describes the scraped target.
func (s *Set) rankOf(name string) rank {
	own, exported := strings.CutPrefix(name, "exported_")
	name = canonical(own)
	if r := ranks[name]; exported && r >= rankState && r <= rankJob && r != rankNamespace { // exported labels name what the exporter reports on
		return rankOwn
	}
	if s.ignored[name] {
		return rankIgnored
	}
	if r, known := ranks[name]; known {
		return r
	}
	if name == "team" || strings.HasPrefix(name, "team_") || strings.HasSuffix(name, "_team") || strings.HasPrefix(name, "cancel_if_") || strings.HasPrefix(name, "inhibit_") || strings.HasPrefix(name, "__") {
		return rankIgnored
	}
	return rankOwn
}

// label is a label of an alert that may say where it is.
type label struct {
	name, value string
	rank        rank
	order       int  // 0, or negative for a label of Options.Objects, the first of them the least
	named       bool // an annotation has the value
	linked      bool // only an annotation without sentences has it, such as a dashboard's URL
	foreign     bool // names the exporter, which reports on something else
}

// compareNames orders labels of one rank: names first, IDs last.
func compareNames(a, b string) int {
	place := func(name string) int {
		switch {
		case name == "name" || strings.HasSuffix(name, "_name"):
			return 0
		case name == "id" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "Id"):
			return 2
		}
		return 1
	}
	return cmp.Or(place(a)-place(b), strings.Compare(a, b))
}

// isChosen reports whether Options.Objects lists a label.
func (l *label) isChosen() bool { return l.order < 0 }

// labelsOf returns the labels of an alert, most exact first. A label that the scrape would have
// overwritten (exported_instance) replaces the label of the scraped target.
func (s *Set) labelsOf(a *alertmanager.Alert, sentences, links string, words []string) []label {
	all := make([]label, 0, len(a.Labels))
	for name, value := range a.Labels {
		if value == "" || name == model.AlertNameLabel {
			continue
		}
		if a.Labels["exported_"+name] != "" {
			continue
		}
		if strings.ContainsAny(value, "\n\t") {
			value = strings.Join(strings.Fields(value), " ")
		}
		l := label{name: name, value: value, rank: s.rankOf(name), order: s.order[canonical(name)]}
		if l.rank > rankClaim && strings.Count(value, " ") > 3 || isWindow(value) { // a sentence, or a length of time
			l.rank = rankIgnored
		}
		if len(value) > 1 && l.rank < rankIgnored {
			l.named = names(sentences, value)
			l.linked = !l.named && names(links, value)
			l.named = l.named || l.linked
		}
		if l.named && (l.rank == rankUnlikely || l.rank == rankTopic) && isWord(value) { // perhaps by chance
			l.named = false
		}
		if l.mayBeHinted() && hints(words, name) { // such as a tunnel in TunnelDown
			l.named, l.linked, l.rank = true, false, min(l.rank, rankOwn)
		}
		if l.rank == rankOwn && name == "name" || l.named && l.rank == rankUnlikely {
			l.named, l.rank = true, rankOwn
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b label) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.rank, b.rank), compareNames(a.name, b.name))
	})
	markForeign(all)
	return all
}

// mayBeHinted reports whether a label is the object if its name occurs in the alert's name. Labels
// of the target itself and of the cluster are not.
func (l *label) mayBeHinted() bool {
	switch l.rank {
	case rankTopic, rankOwn, rankUnlikely:
		return !isSeverity(l.name)
	case rankIgnored:
		return slices.Contains([]string{"endpoint", "monitor", "owner", "receiver", "replica"}, l.name)
	case rankContext:
		return !slices.Contains(always, canonical(l.name))
	}
	return false
}

// hints reports whether the name of a label occurs among the words of an alert's name.
func hints(words []string, label string) bool {
	for part := range strings.SplitSeq(canonical(strings.TrimPrefix(label, "exported_")), "_") {
		if len(part) < 3 || !slices.ContainsFunc(words, func(word string) bool { return alike(word, part) }) {
			return false
		}
	}
	return true
}

// isWindow reports whether a value is a length of time, such as 1h30m.
func isWindow(value string) bool {
	if value == "" || value[0] < '0' || value[0] > '9' || !strings.ContainsRune("smhdwy", rune(value[len(value)-1])) {
		return false // avoids the cost of an error
	}
	_, err := model.ParseDuration(value)
	return err == nil
}

// isWord reports whether a value is an ordinary word, which a sentence may hold by chance.
func isWord(value string) bool {
	return strings.Trim(value, "abcdefghijklmnopqrstuvwxyz") == ""
}

// markForeign marks the labels of an exporter that reports on other objects: its pod, container,
// service and job, and its address if there is something else to name.
func markForeign(all []label) {
	is := func(l *label, r rank) bool { return l.rank == r && !l.named && !strings.HasPrefix(l.name, "exported_") }
	reporting, target, better := false, false, false
	for i := range all {
		l := &all[i]
		if is(l, rankPod) || is(l, rankContainer) || is(l, rankService) || is(l, rankJob) {
			reporting = reporting || isExporter(l.value) || l.rank == rankJob && (l.value == "node" || l.value == "kubelet")
			target = target || isProber(l.value) || l.rank == rankJob && l.value == "node"
		}
		better = better || l.rank < rankInstance && l.rank != rankPod || l.rank == rankPod && (l.named || !isExporter(l.value))
	}
	for i := range all {
		l := &all[i]
		switch {
		case is(l, rankPod):
			l.foreign = isExporter(l.value) || slices.ContainsFunc(all, func(other label) bool {
				return (other.rank == rankWorkload || other.rank == rankJobName || other.rank == rankCronJob) && !strings.HasPrefix(l.value, other.value)
			})
		case is(l, rankService), is(l, rankContainer), is(l, rankJob):
			l.foreign = reporting && isExporter(l.value)
		case is(l, rankInstance):
			l.foreign = better && (!target && reporting && isAddress(l.value) || isExporter(l.value) || strings.HasPrefix(l.value, "localhost"))
		}
	}
}

// exporters lists parts of the names of exporters' pods, services, containers and jobs.
var exporters = [...]string{"exporter", "state-metrics", "kube-prometheus-stack", "cadvisor", "pushgateway", "otel-collector", "opentelemetry-collector"}

// isExporter reports whether a name is an exporter's.
func isExporter(name string) bool {
	return slices.ContainsFunc(exporters[:], func(part string) bool { return strings.Contains(name, part) })
}

// probers lists exporters whose instance is the object that they report on.
var probers = [...]string{"node-exporter", "node_exporter", "windows", "snmp", "blackbox", "ipmi"}

func isProber(name string) bool {
	return slices.ContainsFunc(probers[:], func(part string) bool { return strings.Contains(name, part) })
}

// isAddress reports whether an instance is an IP address, with or without a port.
func isAddress(instance string) bool {
	if strings.Trim(instance, "0123456789.:") != "" && strings.Count(instance, ":") < 2 || !strings.ContainsAny(instance, ".:") {
		return false // most other instances end here, because errors are expensive
	}
	if _, err := netip.ParseAddrPort(instance); err == nil {
		return true
	}
	_, err := netip.ParseAddr(instance)
	return err == nil
}

// names reports whether a text names a value, as whole words.
func names(text, value string) bool {
	return index(text, value) >= 0
}

// namesHost reports whether a text names a host; the first part of its name is enough.
func namesHost(text, host string) bool {
	if names(text, host) {
		return true
	}
	short := shortHost(host)
	for from := 0; len(short) > 2; {
		i := strings.Index(text[from:], short)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(short)
		if (i == 0 || !isWordByte(text[i-1]) && text[i-1] != '-') && (end == len(text) || !isWordByte(text[end]) && text[end] != '-') {
			return true
		}
		from = i + 1
	}
	return false
}

// longURL is how many bytes of a URL are written if room is short.
const longURL = 80

// short returns the value of a label in the form that lists use.
func (r rank) short(value string) string {
	switch {
	case r == rankPod:
		return shortPod(value)
	case strings.Contains(value, "://") && len(value) > longURL:
		host, _, _ := strings.Cut(shortHost(value), "/")
		return host + "/.."
	case r == rankNode, r == rankInstance, strings.Contains(value, "://"):
		return shortHost(value)
	}
	return value
}

// shortHost returns a host without scheme, port and domain. An IP address keeps its
// digits, and a URL its path.
func shortHost(host string) string {
	if _, rest, isURL := strings.Cut(host, "://"); isURL {
		if strings.ContainsAny(rest, "_`\\") || strings.IndexFunc(rest, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			return host // kept as a URL, it is percent-encoded, not transliterated
		}
		return strings.TrimRight(rest, "/")
	}
	if isAddress(host) {
		if a, err := netip.ParseAddrPort(host); err == nil {
			return a.Addr().String()
		}
		return host
	}
	if strings.Contains(host, "/") || strings.Contains(host, " ") {
		return host
	}
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && strings.Trim(port, "0123456789") != "" {
		return host
	}
	if first, _, dotted := strings.Cut(name, "."); dotted && len(first) > 1 {
		return first
	}
	return name
}

// shortPod returns a pod's name with ".." for the hash of its template: "checkout-api-..x2lqp".
func shortPod(name string) string {
	last := strings.LastIndexByte(name, '-')
	if last < 0 || len(name)-last-1 != 5 || !isGenerated(name[last+1:]) {
		return name
	}
	hash := strings.LastIndexByte(name[:last], '-')
	if n := last - hash - 1; hash <= 0 || n < 8 || n > 10 || !isGenerated(name[hash+1:last]) {
		return name
	}
	return name[:hash+1] + ".." + name[last+1:]
}

// isGenerated reports whether Kubernetes may have generated a part of a name: it uses no vowels and
// no 0, 1 or 3 (k8s.io/apimachinery, util/rand).
func isGenerated(s string) bool {
	return strings.Trim(s, "bcdfghjklmnpqrstvwxz2456789") == ""
}
