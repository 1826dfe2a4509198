package templating

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// rank orders labels by how exactly they say what is broken, the most exact first.
type rank int

// Those of Options.Objects begin at 0.
const (
	rankClaim rank = iota + 1000
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
	rankOwn // a label of the rule's own
	rankURL
	rankNode
	rankInstance
	rankService
	rankContainer
	rankNamespace
	rankJob
	rankContext  // says in which of several like places something is
	rankUnlikely // says something about the rule, unless an annotation names it
	rankIgnored  // says nothing about the place
)

// ranks are those of well-known labels, in the spelling of [canonical]. The names are
// those of kube-state-metrics, cAdvisor, node-exporter, the common exporters and, with
// dots as underscores, OpenTelemetry's semantic conventions.
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
		rankService:    "service service_name app application app_kubernetes_io_name",
		rankContainer:  "container container_name k8s_container_name",
		rankNamespace:  "namespace kubernetes_namespace k8s_namespace_name service_namespace",
		rankJob:        "job",
		rankContext:    "cluster cluster_id cluster_name k8s_cluster_name environment env deployment_environment deployment_environment_name region cloud_region site datacenter dc",
		rankUnlikely:   "tier area context meta support_group playbook oid dashboard provider pipeline channel uid uuid fstype quantile type kind source scope origin category version stage tenant availability_zone zone",
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

// canonical returns a label's name as [ranks] has it: in lower case, with underscores
// for dots and hyphens.
func canonical(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' || c == '.' || c == '-' {
			return strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToLower(name))
		}
	}
	return name
}

// rankOf returns the rank of a label.
func (s *Set) rankOf(name string) rank {
	if r, configured := s.ranked[name]; configured {
		return r
	}
	name = canonical(name)
	if r, known := ranks[name]; known {
		return r
	}
	if strings.Contains(name, "team") || strings.HasPrefix(name, "cancel_if_") || strings.HasPrefix(name, "inhibit_") || strings.HasPrefix(name, "__") {
		return rankIgnored
	}
	return rankOwn
}

// label is a label of an alert that may say where it is.
type label struct {
	name, value string
	rank        rank
	named       bool // the value stands in an annotation
	foreign     bool // of the exporter that reports on something else
}

// labelsOf returns the labels of an alert, the most exact first. A label that a scrape
// would have overwritten (exported_instance) replaces the scraped target's own.
func (s *Set) labelsOf(a *alertmanager.Alert, text string) []label {
	all := make([]label, 0, len(a.Labels))
	for name, value := range a.Labels {
		if value == "" || name == model.AlertNameLabel {
			continue
		}
		own, exported := strings.CutPrefix(name, "exported_")
		if !exported && a.Labels["exported_"+name] != "" {
			continue
		}
		l := label{name: name, value: value, rank: s.rankOf(own)}
		if strings.Count(value, " ") > 3 && l.rank > rankClaim { // a sentence
			l.rank = max(l.rank, rankIgnored)
		}
		l.named = len(value) > 1 && l.rank < rankIgnored && names(text, value)
		if l.named && (l.rank == rankUnlikely || l.rank == rankTopic) && isWord(value) { // by chance
			l.named = false
		}
		if l.named && l.rank == rankUnlikely {
			l.rank = rankOwn
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b label) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name))
	})
	markForeign(all)
	return all
}

// isWord reports whether a value is an ordinary word, which a sentence may hold by chance.
func isWord(value string) bool {
	return strings.Trim(value, "abcdefghijklmnopqrstuvwxyz") == ""
}

// markForeign marks the labels of an exporter that reports on other objects: its pod,
// and if its pod is known, its address, service, container and namespace.
func markForeign(all []label) {
	exporter := func(r rank) bool {
		return slices.ContainsFunc(all, func(l label) bool { return l.rank == r && isExporter(l.value) })
	}
	reporting := exporter(rankPod) || exporter(rankContainer) || exporter(rankService) || exporter(rankJob)
	if !reporting {
		return
	}
	onlyState := slices.ContainsFunc(all, func(l label) bool { return strings.Contains(l.value, "kube-state-metrics") })
	for i := range all {
		l := &all[i]
		switch l.rank {
		case rankPod, rankService, rankContainer, rankJob:
			l.foreign = !l.named && (isExporter(l.value) || l.rank == rankContainer && onlyState)
		case rankInstance:
			l.foreign = !l.named && isAddress(l.value)
		}
	}
}

// isExporter reports whether a pod, service, container or job is named as an exporter.
func isExporter(name string) bool {
	for _, part := range [...]string{"exporter", "kube-state-metrics", "kube-prometheus-stack", "cadvisor", "pushgateway", "otel-collector", "opentelemetry-collector"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return name == "kubelet" || name == "node"
}

// isAddress reports whether an instance is an IP address, with or without a port.
func isAddress(instance string) bool {
	if instance == "" || instance[0] != '[' && (instance[0] < '0' || instance[0] > '9') && !strings.Contains(instance, ":") {
		return false
	}
	if _, err := netip.ParseAddrPort(instance); err == nil {
		return true
	}
	_, err := netip.ParseAddr(instance)
	return err == nil
}

// names reports whether a text names a value: as whole words, or, if it is a host with
// a domain or a port, by the host's first part.
func names(text, value string) bool {
	return index(text, value) >= 0
}

// namesHost is names for a host: its first part is enough.
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

// short returns the value of a label as lists have it.
func (r rank) short(value string) string {
	switch {
	case r == rankPod:
		return shortPod(value)
	case r == rankNode, r == rankInstance, strings.Contains(value, "://"):
		return shortHost(value)
	}
	return value
}

// shortHost returns a host without scheme, port and domain. An IP address keeps its
// digits, and a URL its path.
func shortHost(host string) string {
	if _, rest, isURL := strings.Cut(host, "://"); isURL {
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
	if first, _, dotted := strings.Cut(name, "."); dotted && len(first) > 2 {
		return first
	}
	return name
}

// shortPod returns a pod's name without the hash of its template, which a ".." stands
// for: "checkout-api-..x2lqp".
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

// isGenerated reports whether Kubernetes may have made a part of a name: it uses no
// vowels and no 0, 1 and 3 (k8s.io/apimachinery, util/rand).
func isGenerated(s string) bool {
	return strings.Trim(s, "bcdfghjklmnpqrstvwxz2456789") == ""
}
