package house_test

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver/config"
)

// around is what a fragment of a configuration in docs/ leaves out.
const around = `
textinghouse: {user: acme, password: secret, callback_token: 0123456789abcdef}
contacts:
  - {name: alice, number: "+33639980001"}
  - {name: bob, number: "+33639980002"}
  - {name: carol, number: "+33639980003"}
receivers:
  - {name: oncall, to: [alice]}
rotas:
  - {name: primary, turns: {start: 2026-11-02 09:00, people: [alice, bob]}}
web: {public_url: https://sms.example.com}
`

// TestConfigurationsOfDocs: each configuration that a page shows is valid, except for files that the reader has. A
// fragment is completed; one with an account and receivers is complete.
func TestConfigurationsOfDocs(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	checked := 0
	for name, page := range documents(t) {
		for _, found := range block.FindAllStringSubmatch(page, -1) {
			var shown map[string]any
			if yaml.Unmarshal([]byte(found[1]), &shown) != nil {
				continue
			}
			if values, ok := shown["config"].(map[string]any); ok { // of the chart
				shown = values
			}
			if strings.Contains(found[1], "webhook_configs") || !known(shown) { // Alertmanager's, or another file
				continue
			}
			if account, ok := shown["textinghouse"].(map[string]any); !ok || account["user"] == nil || shown["receivers"] == nil {
				var rest map[string]any
				if err := yaml.Unmarshal([]byte(around), &rest); err != nil {
					t.Fatal(err)
				}
				if ok {
					maps.Copy(rest["textinghouse"].(map[string]any), account)
					delete(shown, "textinghouse")
				}
				if shown["contacts"] != nil {
					delete(rest, "rotas") // their people may be others
				}
				maps.Copy(rest, shown)
				shown = rest
			}
			text, err := yaml.Marshal(shown)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			var faults config.Errors
			_, err = config.Parse("smspager.yml", text)
			if err != nil && !errors.As(err, &faults) {
				t.Errorf("%s: %v", name, err)
			}
			for _, fault := range faults {
				if !strings.Contains(fault.Error(), "no such file or directory") {
					t.Errorf("%s: %v\n%s", name, fault, found[1])
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d configurations were found", checked)
	}
}

// known reports whether all keys of a mapping are keys of a configuration.
func known(m map[string]any) bool {
	keys := []string{"alertmanager", "alive", "api", "console", "contacts", "credit", "heartbeats", "probe", "receivers", "rotas", "severities", "storage", "templates", "templating", "textinghouse", "web", "webhook"}
	for key := range m {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return len(m) > 0
}
