package receiver_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestRecipes posts each body of docs/recipes.md, with the sending program's placeholders filled in.
// A body that opens a page must make a message, and the body that ends it must find the page.
func TestRecipes(t *testing.T) {
	c := start(t, textinghousetest.Options{}, `
api: {token: `+apiToken+`}
contacts: [{name: alice, number: "`+alice+`"}]
receivers:
  - {name: oncall, to: [alice], acknowledge: true, limits: []}
`)
	down := strings.NewReplacer(
		"{{ msg | json }}", `"[Shop] [Down] connect ECONNREFUSED \"10.0.0.1\""`, "{{ monitorJSON.id }}", "17",
		"{% if heartbeatJSON.status == 1 %}true{% else %}false{% endif %}", "false",
		"$NAME", "nightly backup", "$CODE", "5b1c2d3e",
		"[ENDPOINT_NAME]", "shop", "[ALERT_DESCRIPTION]", "is down", "[ALERT_TRIGGERED_OR_RESOLVED]", "false")
	blocks := regexp.MustCompile("(?ms)^```json\n(.*?)^```").FindAllStringSubmatch(readFile(t, "../docs/recipes.md"), -1)
	if len(blocks) < 8 {
		t.Fatalf("docs/recipes.md has %d bodies", len(blocks))
	}
	for _, block := range blocks {
		body := down.Replace(block[1])
		path := "/api/v1/pages"
		if strings.Contains(body, `"alerts"`) {
			path = "/alertmanager/oncall"
		}
		code, text := c.do("POST", path, body, "Authorization", "Bearer "+apiToken)
		if code != http.StatusOK || !strings.Contains(text, `"status":"accepted"`) {
			t.Errorf("POST %s of\n%s\nresponds %d %s", path, body, code, text)
		}
		// With resolve set to true, the same body ends the page that it has opened.
		if end := strings.Replace(body, `"resolve": false`, `"resolve": true`, 1); end != body {
			if code, text := c.do("POST", path, end, "Authorization", "Bearer "+apiToken); code != http.StatusOK {
				t.Errorf("POST %s of\n%s\nresponds %d %s", path, end, code, text)
			}
		}
	}
}
