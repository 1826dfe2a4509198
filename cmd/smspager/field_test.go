package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFieldConfigurations runs check-config on each configuration of testdata/field, which is
// /work/shared/field. Its README gives the expected results.
func TestFieldConfigurations(t *testing.T) {
	for file, want := range map[string]string{ // contained in an error; "": valid
		"config-alias-is-a-name.yml":        `"bob" of alice also names bob`,
		"config-alias-twice.yml":            `"alex" of bob also names alice`,
		"config-calendar-webcal.yml":        "",
		"config-network-ipv4-mapped.yml":    "",
		"config-number-with-trunk-zero.yml": "",
		"config-secret-in-utf16.password":   "",
		"config-secret-two-lines.password":  "has several lines",
		"config-secret-with-bom.password":   "",
		"config-templates-in-configmap.yml": "",
	} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			text, err := os.ReadFile(filepath.Join("testdata/field", file))
			if err != nil {
				t.Fatal(err)
			}
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("rota.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nSUMMARY:alice\nDTSTART:20200101T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n")
			config := string(text)
			if strings.HasSuffix(file, ".password") {
				write("p", config)
				config = "textinghouse: {user: acme, password_file: p}\nreceivers: [{name: oncall, to: [\"+33639980001\"]}]\n"
			}
			if strings.Contains(file, "configmap") { // as Kubernetes mounts a ConfigMap
				if err := os.MkdirAll(filepath.Join(dir, "tmpl/..2026_11_28"), 0o700); err != nil {
					t.Fatal(err)
				}
				write("tmpl/..2026_11_28/a.tmpl", `{{ define "x" }}y{{ end }}`)
				for name, to := range map[string]string{"..data": "..2026_11_28", "a.tmpl": "..data/a.tmpl"} {
					if err := os.Symlink(to, filepath.Join(dir, "tmpl", name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			write("smspager.yml", config)
			code, _, stderr := smspager(t, "", "check-config", filepath.Join(dir, "smspager.yml"))
			if (code == 0) != (want == "") || !strings.Contains(stderr, want) {
				t.Errorf("check-config exits with %d: %s", code, stderr)
			}
		})
	}
}

// TestFieldPayloads shows the text of each payload of testdata/field with preview.
func TestFieldPayloads(t *testing.T) {
	config := filepath.Join(t.TempDir(), "smspager.yml")
	if err := os.WriteFile(config, []byte("textinghouse: {user: acme, password: test}\nreceivers: [{name: oncall, to: [\"+33639980001\"]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"payload-alike-interfaces.json":        "Gi0/1 Gi0/2 Te1/1",
		"payload-alike-topics.json":            "orders payments",
		"payload-ansi.json":                    "ERROR disk full 95%",
		"payload-common-labels-empty.json":     "CRITICAL Backups are late",
		"payload-crit-among-warnings.json":     "DatacentreDown dc1 WARNING",
		"payload-datasource-error.json":        "connection refused",
		"payload-exported-instance.json":       "DiskFull: db1",
		"payload-exporter-deployment.json":     "web/checkout",
		"payload-exporter-job.json":            "web/nightly-dump-28912",
		"payload-exporter-operators.json":      "authentication console",
		"payload-html.json":                    "See runbook & page",
		"payload-nodata-three-rules.json":      "Backups are late Disk fills up Orders stopped",
		"payload-p0-among-p3.json":             "DatacentreDown dc1 P3",
		"payload-resolved-missing-series.json": "(no data) Host down: db1",
		"payload-summary-blank.json":           "95% of /var is used",
		"payload-url-with-underscore.json":     "https://runbooks.example/node%5Fexporter /Disk%5FFull",
	} {
		t.Run(file, func(t *testing.T) {
			code, out, stderr := smspager(t, "", "preview", "-c", config, filepath.Join("testdata/field", file))
			shown := strings.Join(strings.Fields(strings.ReplaceAll(out, "|", "")), " ")
			if code != 0 || !strings.Contains(shown, want) {
				t.Errorf("preview exits with %d: %s%s, want %q", code, out, stderr, want)
			}
		})
	}
}
