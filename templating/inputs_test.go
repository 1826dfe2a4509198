package templating_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

// night is the time at which the payloads of testdata/inputs and testdata/field are rendered.
func night() time.Time { return time.Date(2026, 11, 27, 3, 20, 0, 0, time.UTC) }

func atNight(t testing.TB) *templating.Text {
	t.Helper()
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: night})
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.Text(byDefault, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestInputs: payloads of rules as people write them, and what a good text must say.
func TestInputs(t *testing.T) {
	const folder = "testdata/inputs"
	var expect map[string]struct {
		All, None, Once []string
		AtMostOnce      []string `json:"at_most_once"`
		First           string
		Segments        int
		DiffersFrom     string `json:"differs_from"`
	}
	body, err := os.ReadFile(filepath.Join(folder, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &expect); err != nil || len(expect) != 21 {
		t.Fatalf("%d inputs, %v", len(expect), err)
	}
	tmpl := atNight(t)
	render := func(name string) templating.Rendering {
		return tmpl.Render(payload(t, filepath.Join(folder, name)), templating.Budget{MaxSegments: 2})
	}
	for name, want := range expect {
		t.Run(name, func(t *testing.T) {
			r := render(name)
			check(t, r, want.Segments)
			for _, s := range want.All {
				if !strings.Contains(r.Text, s) {
					t.Errorf("%q lacks %q", r.Text, s)
				}
			}
			for _, s := range want.None {
				if strings.Contains(r.Text, s) {
					t.Errorf("%q has %q", r.Text, s)
				}
			}
			for _, s := range want.Once {
				if strings.Count(r.Text, s) != 1 {
					t.Errorf("%q does not have %q once", r.Text, s)
				}
			}
			for _, s := range want.AtMostOnce {
				if strings.Count(r.Text, s) > 1 {
					t.Errorf("%q has %q more than once", r.Text, s)
				}
			}
			if !strings.HasPrefix(r.Text, want.First) {
				t.Errorf("%q does not begin with %q", r.Text, want.First)
			}
			if want.DiffersFrom != "" && r.Text == render(want.DiffersFrom).Text {
				t.Errorf("%q is the text of %s, too", r.Text, want.DiffersFrom)
			}
		})
	}
}

// TestField: payloads from public reports; testdata/README.md names their sources.
func TestField(t *testing.T) {
	tmpl := atNight(t)
	for name, want := range map[string]string{
		"alike-interfaces":        "CRITICAL InterfaceDown sw1: 3 firing, 10m\nGi0/1\nGi0/2\nTe1/1",
		"alike-topics":            "WARNING ConsumerLag: 2 firing, 10m\norders\npayments",
		"ansi":                    "CRITICAL DiskFull: db1: ERROR disk full 95%, for 10m",
		"common-labels-empty":     "CRITICAL Backups are late: nas1: no backup since 3 days, for 10m",
		"crit-among-warnings":     "CRIT team infra: 13 firing, 10m\nDatacentreDown dc1\nWARNING DiskWillFill x12 node00, node01, node02, node03, node04, node05, node06, node07, node08, node09, +2",
		"datasource-error":        "CRITICAL Login errors: data source error: dial tcp 192.0.2.7:9090: connection refused, for 10m",
		"exported-instance":       "CRITICAL DiskFull: db1, for 10m",
		"exporter-deployment":     "WARNING KubeDeploymentStuck: web/checkout: Rollout does not go on, for 10m",
		"exporter-job":            "WARNING KubeJobFailed: web/nightly-dump-28912, for 10m",
		"exporter-operators":      "WARNING ClusterOperatorDegraded openshift-cluster-version: 2 firing, 10m\nauthentication\nconsole",
		"html":                    "CRITICAL DiskFull: db1: See runbook & page <dba>, for 10m",
		"nodata-three-rules":      "CRITICAL no data: 3 firing, 10m\nBackups are late\nDisk fills up\nOrders stopped",
		"p0-among-p3":             "P0 team infra: 13 firing, 10m\nDatacentreDown dc1\nP3 DiskWillFill x12 node00, node01, node02, node03, node04, node05, node06, node07, node08, node09, node10, +1",
		"resolved-missing-series": "ENDED (no data) Host down: db1, after 21m",
		"summary-blank":           "CRITICAL DiskFull: db1: 95% of /var is used, for 10m",
		"url-with-underscore":     "CRITICAL DiskFull: db1: full, see https://runbooks.example/node%5Fexporter/Disk%5FFull, for 10m",
	} {
		r := tmpl.Render(payload(t, "testdata/field/payload-"+name+".json"), templating.Budget{MaxSegments: 2})
		check(t, r, 1)
		if r.Text != want {
			t.Errorf("%s gives\n%s\nwant\n%s", name, r.Text, want)
		}
	}
}
