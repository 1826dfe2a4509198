package deploy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const chart = "charts/smspager"

// generated compares a file with its expected content. With -update it writes the file.
func generated(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, file) != want {
		t.Errorf("%s is not the generated one; run go test ./deploy -update", file)
	}
}

// TestChartFiles: the chart holds the rules, and its schema holds the configuration's, without keys that
// would put a secret into a ConfigMap.
func TestChartFiles(t *testing.T) {
	generated(t, chart+"/files/smspager.rules.yml", read(t, "prometheus/smspager.rules.yml"))

	var config map[string]any
	if err := json.Unmarshal([]byte(read(t, "smspager.schema.json")), &config); err != nil {
		t.Fatal(err)
	}
	delete(config, "$schema")
	delete(config["properties"].(map[string]any), "storage") // the chart mounts the storage
	withoutSecrets(config)

	var values map[string]any
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(values)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	properties := schema["properties"].(map[string]any)
	properties["config"] = config
	properties["global"] = map[string]any{"type": "object"} // values of a parent chart
	properties["existingSecret"].(map[string]any)["minLength"] = 1
	properties["replicas"].(map[string]any)["minimum"] = 1
	properties["storage"].(map[string]any)["properties"].(map[string]any)["type"] = map[string]any{"enum": []string{"sqlite", "postgres"}}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	generated(t, chart+"/values.schema.json", b.String())
}

// withoutSecrets removes each key for which another key names a file.
func withoutSecrets(schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for key, value := range properties {
		if _, ok := properties[key+"_file"]; ok {
			delete(properties, key)
			continue
		}
		withoutSecrets(value.(map[string]any))
	}
	if items, ok := schema["items"].(map[string]any); ok {
		withoutSecrets(items)
	}
}

// schemaOf returns the schema of default values: the same keys and types. An empty map may have any keys.
func schemaOf(value any) map[string]any {
	switch v := value.(type) {
	case map[string]any:
		schema := map[string]any{"type": "object"}
		if len(v) > 0 {
			properties := make(map[string]any)
			for key, value := range v {
				properties[key] = schemaOf(value)
			}
			schema["properties"], schema["additionalProperties"] = properties, false
		}
		if _, ok := v["limits"]; ok { // resources: any keys
			return map[string]any{"type": "object"}
		}
		return schema
	case []any:
		return map[string]any{"type": "array"}
	case bool:
		return map[string]any{"type": "boolean"}
	case int:
		return map[string]any{"type": "integer"}
	}
	return map[string]any{"type": "string"}
}

// helm runs helm, and returns its output and error.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(helmBinary(t), args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// render returns the manifests for values, as text and by kind and name.
func render(t *testing.T, values ...string) (string, map[string]map[string]any) {
	t.Helper()
	text, err := helm(t, append([]string{"template", "smspager", chart}, values...)...)
	if err != nil {
		t.Fatalf("helm template %v: %v\n%s", values, err, text)
	}
	objects := make(map[string]map[string]any)
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object map[string]any
		if err := d.Decode(&object); err == io.EOF {
			return text, objects
		} else if err != nil {
			t.Fatal(err)
		}
		if object != nil {
			objects[object["kind"].(string)+"/"+at(object, "metadata", "name").(string)] = object
		}
	}
}

// at returns a value in nested maps and lists; nil if there is none.
func at(value any, path ...any) any {
	for _, step := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[step.(string)]
		case []any:
			if step.(int) >= len(v) {
				return nil
			}
			value = v[step.(int)]
		default:
			return nil
		}
	}
	return value
}

// TestChartValues: helm lints and renders each values file in ci, and each manifest decodes strictly as its
// kind.
func TestChartValues(t *testing.T) {
	files, _ := filepath.Glob(chart + "/ci/*-values.yaml")
	if len(files) < 3 {
		t.Fatalf("values to try: %v", files)
	}
	for _, f := range files {
		if out, err := helm(t, "lint", "--strict", chart, "-f", f); err != nil {
			t.Errorf("helm lint -f %s: %v\n%s", f, err, out)
		}
		text, _ := render(t, "-f", f)
		conforms(t, f, text)
	}
}

// conforms checks manifests with charts/check, a module of its own.
func conforms(t *testing.T, name, text string) {
	cmd := exec.Command("go", "run", ".")
	cmd.Dir, cmd.Stdin = "charts/check", strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

// TestChart: the chart renders what docs/kubernetes.md promises.
func TestChart(t *testing.T) {
	_, sqlite := render(t)
	pod := at(sqlite["StatefulSet/smspager"], "spec", "template", "spec")
	container := at(pod, "containers", 0)
	for what, ok := range map[string]bool{
		"one pod":                        at(sqlite["StatefulSet/smspager"], "spec", "replicas") == 1,
		"a volume":                       at(sqlite["StatefulSet/smspager"], "spec", "volumeClaimTemplates", 0, "metadata", "name") == "data",
		"not root":                       at(pod, "securityContext", "runAsNonRoot") == true,
		"a read-only root":               at(container, "securityContext", "readOnlyRootFilesystem") == true,
		"no capabilities":                at(container, "securityContext", "capabilities", "drop", 0) == "ALL",
		"alive by /-/healthy":            at(container, "livenessProbe", "httpGet", "path") == "/-/healthy",
		"ready by /-/ready":              at(container, "readinessProbe", "httpGet", "path") == "/-/ready",
		"no token of Kubernetes":         at(pod, "automountServiceAccountToken") == false,
		"the secret that exists":         at(pod, "volumes", 1, "secret", "secretName") == "smspager",
		"no public service by default":   sqlite["Service/smspager-public"] == nil,
		"no disruption budget for a pod": sqlite["PodDisruptionBudget/smspager"] == nil,
		"a network policy":               sqlite["NetworkPolicy/smspager"] != nil,
	} {
		if !ok {
			t.Errorf("default values: not %q", what)
		}
	}
	for kind := range sqlite {
		if strings.HasPrefix(kind, "Secret/") {
			t.Error("the chart makes a secret")
		}
	}
	config, _ := at(sqlite["ConfigMap/smspager"], "data", "smspager.yml").(string)
	if !strings.Contains(config, "sqlite: /data/smspager.db") {
		t.Errorf("the configuration is\n%s", config)
	}

	_, replicas := render(t, "-f", chart+"/ci/postgres-values.yaml")
	pod = at(replicas["Deployment/smspager"], "spec", "template", "spec")
	container = at(pod, "containers", 0)
	for what, ok := range map[string]bool{
		"three replicas":           at(replicas["Deployment/smspager"], "spec", "replicas") == 3,
		"no pod less in a rollout": at(replicas["Deployment/smspager"], "spec", "strategy", "rollingUpdate", "maxUnavailable") == 0,
		"a disruption budget":      at(replicas["PodDisruptionBudget/smspager"], "spec", "maxUnavailable") == 1,
		"probes by TLS":            at(container, "readinessProbe", "httpGet", "scheme") == "HTTPS",
		"scraping by TLS":          at(replicas["ServiceMonitor/smspager"], "spec", "endpoints", 0, "scheme") == "https",
		"rules":                    at(replicas["PrometheusRule/smspager"], "spec", "groups", 0, "rules", 0, "alert") != nil,
		"the public port only":     at(replicas["Ingress/smspager-public"], "spec", "rules", 0, "http", "paths", 0, "backend", "service", "name") == "smspager-public",
		"a label for Prometheus":   at(replicas["ServiceMonitor/smspager"], "metadata", "labels", "release") == "prometheus",
	} {
		if !ok {
			t.Errorf("PostgreSQL: not %q", what)
		}
	}
	// The monitor scrapes only the private service.
	for service, scraped := range map[string]bool{"Service/smspager": true, "Service/smspager-public": false} {
		if got := at(replicas[service], "metadata", "labels", "app.kubernetes.io/component") == at(replicas["ServiceMonitor/smspager"], "spec", "selector", "matchLabels", "app.kubernetes.io/component"); got != scraped {
			t.Errorf("%s is scraped: %t", service, got)
		}
	}
	if config, _ := at(replicas["ConfigMap/smspager"], "data", "smspager.yml").(string); !strings.Contains(config, "postgres_url_file: secrets/postgres.url") {
		t.Errorf("PostgreSQL: the configuration is\n%s", config)
	}
	_, route := render(t, "-f", chart+"/ci/route-values.yaml")
	if route["HTTPRoute/smspager-public"] == nil || route["ServiceAccount/smspager"] != nil || route["NetworkPolicy/smspager"] != nil {
		t.Error("values of a route: wrong kinds")
	}
}

// TestChartRefuses: the chart refuses values that would fail at night.
func TestChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		"config.textinghouse.pasword_file=x":     "pasword_file",
		"config.textinghouse.password=secret":    "password", // it would be in a ConfigMap
		"config.receivers[0].max_segments=lots":  "max_segments",
		"config.storage.sqlite=elsewhere":        "storage",
		"storage.type=mysql":                     "type",
		"existingSecret=":                        "existingSecret",
		"replica=3":                              "replica",
		"networkPolicy.enabled=maybe":            "enabled",
		"config.webhook.max_body_bytes=many":     "max_body_bytes",
		"config.escalate=nobody":                 "escalate",
		"public.ingress.class=nginx":             "class",
		"storage.postgres.url=postgres://u:p@db": "url",
	} {
		out, err := helm(t, "template", "smspager", chart, "--set", values)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("--set %s: %v\n%s", values, err, out)
		}
	}
}

// TestManifests: the plain manifests equal the chart's. With -update the test writes them.
func TestManifests(t *testing.T) {
	for file, values := range map[string][]string{
		"kubernetes/sqlite.yaml":   {"--set", "public.enabled=true"},
		"kubernetes/postgres.yaml": {"--set", "public.enabled=true", "--set", "storage.type=postgres"},
	} {
		text, _ := render(t, values...)
		var plain strings.Builder
		plain.WriteString("# Generated from deploy/charts/smspager by: go test ./deploy -run Manifests -update\n" +
			"# docs/kubernetes.md says what to change.\n")
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "helm.sh/chart:") && !strings.Contains(line, "managed-by: Helm") && !strings.HasPrefix(line, "# Source:") {
				plain.WriteString(line)
			}
		}
		generated(t, file, plain.String())
		conforms(t, file, plain.String())
	}
}

// helmBinary returns the path of Helm, or skips the test. Building Helm takes minutes, so no gate requires
// it.
func helmBinary(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("helm")
	if err != nil {
		t.Skip("helm is missing: go install helm.sh/helm/v4/cmd/helm@v4.3.1")
	}
	return path
}
