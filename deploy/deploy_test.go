// Package deploy_test checks the contents of deploy/: rules, a dashboard, packages.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/realpart"
)

var update = flag.Bool("update", false, "write generated files anew")

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// metrics returns the metrics that docs/metrics.md names. A test of receiver checks that they exist.
func metrics(t *testing.T) map[string]bool {
	all := make(map[string]bool)
	name := regexp.MustCompile("`([a-z_]+)(\\{[^}]*\\})?`")
	for line := range strings.Lines(read(t, "../docs/metrics.md")) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, found := range name.FindAllStringSubmatch(cells[1], -1) {
			all["smspager_"+found[1]] = true
		}
	}
	return all
}

var used = regexp.MustCompile(`smspager_[a-z_]+`)

// TestRules: the rules are valid; each is tested, names only metrics that exist, and has a runbook.
func TestRules(t *testing.T) {
	rules, known, runbooks := read(t, "prometheus/smspager.rules.yml"), metrics(t), read(t, "../docs/runbooks.md")
	for _, m := range used.FindAllString(rules, -1) {
		if !known[m] {
			t.Errorf("the rules use %s, which docs/metrics.md lacks", m)
		}
	}
	tests := read(t, "prometheus/smspager.rules.test.yml")
	for _, found := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(tests, found[1]) {
			t.Errorf("alert %s has no test", found[1])
		}
		if !strings.Contains(runbooks, "\n## "+found[1]+"\n") || !strings.Contains(rules, "runbooks.md#"+strings.ToLower(found[1])+"\n") {
			t.Errorf("alert %s has no runbook", found[1])
		}
	}
	promtool := realpart.Program(t, "promtool", "apt-get install prometheus")
	for _, args := range [][]string{{"check", "rules", "smspager.rules.yml"}, {"test", "rules", "smspager.rules.test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestUnit: systemd never gives up starting smspager: by default it does after five starts in ten seconds.
func TestUnit(t *testing.T) {
	unit, _, _ := strings.Cut(read(t, "systemd/smspager.service"), "[Service]")
	if !strings.Contains(unit, "\nStartLimitIntervalSec=0\n") {
		t.Error("the unit has a limit of starts")
	}
}

// TestPackageHasWhatItsDocsLinkTo: the package has the files that docs/ names.
func TestPackageHasWhatItsDocsLinkTo(t *testing.T) {
	contents := read(t, "package/nfpm.yaml")
	for _, file := range []string{"CHANGELOG.md", "docs/openapi.yml", "config.example.yml", "deploy/prometheus/smspager.rules.yml", "deploy/grafana/smspager.json", "deploy/smspager.schema.json"} {
		if !strings.Contains(contents, "{src: "+file+",") {
			t.Errorf("the package lacks %s", file)
		}
	}
}

// panel is a panel of the dashboard.
type panel struct {
	title, kind, unit string
	queries           []query
}

type query struct{ expr, legend string }

const rate = "[$__rate_interval]"

// dashboard is the Grafana dashboard, by rows.
var dashboard = []struct {
	title  string
	panels []panel
}{
	{"Health", []panel{
		{"Up", "stat", "none", []query{{`up{job=~"$job"}`, "{{instance}}"}}},
		{"Account refused", "stat", "none", []query{{`max(smspager_account_refused{job=~"$job"})`, "refused"}}},
		{"Oldest waiting message", "stat", "s", []query{{`max(smspager_oldest_waiting_seconds{job=~"$job"})`, "oldest"}}},
		{"Not stored for", "stat", "s", []query{{`max(smspager_spool_oldest_seconds{job=~"$job"})`, "oldest"}}},
		{"Since the last probe", "stat", "s", []query{{`time() - max(smspager_probe_last_success_timestamp_seconds{job=~"$job"} > 0)`, "probe"}}},
		{"Credit lasts", "stat", "s", []query{{`min(smspager_credit_left_seconds{job=~"$job"} > 0)`, "credit"}}},
		{"Replica that sends", "stat", "none", []query{{`smspager_leading{job=~"$job"}`, "{{instance}}"}}},
		{"Open pages", "stat", "none", []query{{`sum(smspager_pages{job=~"$job",state="open"})`, "open"}}},
	}},
	{"Pages", []panel{
		{"Pages that are not over", "timeseries", "none", []query{{`sum by (state) (smspager_pages{job=~"$job"})`, "{{state}}"}}},
		{"Time to the acknowledgement", "timeseries", "s", quantiles("smspager_page_acknowledged_seconds", "")},
		{"Steps of escalations", "timeseries", "none", []query{{`sum by (receiver) (increase(smspager_escalations_total{job=~"$job"}` + rate + `))`, "{{receiver}}"}}},
		{"Replies and acts", "timeseries", "none", []query{
			{`sum by (command) (increase(smspager_replies_total{job=~"$job"}` + rate + `))`, "reply {{command}}"},
			{`sum by (command) (increase(smspager_acts_total{job=~"$job"}` + rate + `))`, "act {{command}}"},
		}},
	}},
	{"Messages", []panel{
		{"Messages by their end", "timeseries", "none", []query{{`sum by (state) (increase(smspager_messages_total{job=~"$job"}` + rate + `))`, "{{state}}"}}},
		{"From the webhook to the phone", "timeseries", "s", quantiles("smspager_message_ended_seconds", `,state="delivered"`)},
		{"From the webhook to the provider", "timeseries", "s", quantiles("smspager_message_accepted_seconds", "")},
		{"Segments", "timeseries", "none", []query{{`sum by (encoding) (increase(smspager_segments_total{job=~"$job"}` + rate + `))`, "{{encoding}}"}}},
	}},
	{"Notifications and provider", []panel{
		{"Notifications", "timeseries", "none", []query{{`sum by (outcome) (increase(smspager_notifications_total{job=~"$job"}` + rate + `))`, "{{outcome}}"}}},
		{"Requests to the provider", "timeseries", "reqps", []query{{`sum by (command, outcome) (rate(smspager_provider_requests_total{job=~"$job"}` + rate + `))`, "{{command}} {{outcome}}"}}},
		{"Endpoints", "timeseries", "none", []query{{`min by (endpoint) (smspager_endpoint_up{job=~"$job"})`, "{{endpoint}}"}}},
		{"Callbacks", "timeseries", "none", []query{{`sum by (kind, outcome) (increase(smspager_callbacks_total{job=~"$job"}` + rate + `))`, "{{kind}} {{outcome}}"}}},
	}},
	{"People and heartbeats", []panel{
		{"Heartbeats", "timeseries", "none", []query{{`smspager_heartbeat_up{job=~"$job"}`, "{{heartbeat}}"}}},
		{"Until the next gap", "timeseries", "s", []query{{`(smspager_rota_next_gap_timestamp_seconds{job=~"$job"} > 0) - time()`, "{{rota}}"}}},
		{"Probe", "timeseries", "s", []query{{`max(smspager_probe_duration_seconds{job=~"$job"})`, "to the receipt"}}},
		{"Credit", "timeseries", "none", []query{{`min(smspager_credit{job=~"$job"})`, "credit"}}},
	}},
}

// quantiles returns queries for the p50 and the p90 of a histogram.
func quantiles(histogram, labels string) []query {
	of := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (le) (rate(" + histogram + `_bucket{job=~"$job"` + labels + "}" + rate + ")))"
	}
	return []query{{of("0.5"), "p50"}, {of("0.9"), "p90"}}
}

// TestDashboard: the dashboard equals the generated one, and names only metrics that exist. With -update
// the test writes it.
func TestDashboard(t *testing.T) {
	const file = "grafana/smspager.json"
	known := metrics(t)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(grafana()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, file) != b.String() {
		t.Errorf("%s is not the generated one; run go test ./deploy -update", file)
	}
	for _, m := range used.FindAllString(b.String(), -1) {
		if name := strings.TrimSuffix(m, "_bucket"); !known[name] {
			t.Errorf("the dashboard uses %s, which docs/metrics.md lacks", name)
		}
	}
}

// grafana returns the dashboard as Grafana imports it.
func grafana() map[string]any {
	source := map[string]string{"type": "prometheus", "uid": "${datasource}"}
	var panels []any
	id, y := 0, 0
	for _, row := range dashboard {
		id++
		panels = append(panels, map[string]any{"id": id, "type": "row", "title": row.title, "collapsed": false, "gridPos": map[string]int{"x": 0, "y": y, "w": 24, "h": 1}})
		y++
		width, height := 24/len(row.panels), 8
		if row.panels[0].kind == "stat" {
			height = 4
		}
		for i, p := range row.panels {
			id++
			var targets []any
			for j, q := range p.queries {
				targets = append(targets, map[string]any{"refId": string(rune('A' + j)), "expr": q.expr, "legendFormat": q.legend, "datasource": source})
			}
			panels = append(panels, map[string]any{
				"id": id, "type": p.kind, "title": p.title, "datasource": source, "targets": targets,
				"gridPos":     map[string]int{"x": i * width, "y": y, "w": width, "h": height},
				"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit, "min": 0}, "overrides": []any{}},
			})
		}
		y += height
	}
	return map[string]any{
		"title": "smspager", "uid": "smspager", "tags": []string{"smspager", "alertmanager"}, "timezone": "browser", "schemaVersion": 39, "version": 1,
		"refresh": "30s", "time": map[string]string{"from": "now-24h", "to": "now"}, "editable": true, "panels": panels,
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
			map[string]any{"name": "job", "type": "query", "label": "Job", "datasource": source, "query": "label_values(smspager_leading, job)", "includeAll": true, "multi": true, "refresh": 2},
		}},
	}
}
