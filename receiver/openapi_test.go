package receiver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// openAPI holds the parts of the OpenAPI file that the tests need.
type openAPI struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Ref  string `yaml:"$ref"`
			Name string
			In   string
		}
		RequestBody struct{ Content map[string]content } `yaml:"requestBody"`
		Responses   map[string]struct {
			Ref     string `yaml:"$ref"`
			Content map[string]content
		}
	}
	Components struct {
		Schemas    map[string]schema
		Parameters map[string]any
		Responses  map[string]struct{ Content map[string]content }
	}
}

type content struct{ Schema schema }

type schema struct {
	Ref        string `yaml:"$ref"`
	Type       any
	Format     string
	Properties map[string]schema
	Items      *schema
	Enum       []string
	OneOf      []schema `yaml:"oneOf"`
}

func readOpenAPI(t *testing.T) (o openAPI) {
	t.Helper()
	b, err := os.ReadFile("../docs/openapi.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestOpenAPIRoutes: the file lists exactly the routes of the API.
func TestOpenAPIRoutes(t *testing.T) {
	var documented []string
	for path, methods := range readOpenAPI(t).Paths {
		for method := range methods {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(documented)
	if served := api.New(api.Options{}).Routes(); !slices.Equal(documented, served) {
		t.Errorf("the file has\n%s\nthe API has\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}

// TestOpenAPIResponses: the API's responses have the fields, the types and the codes that the file
// documents.
func TestOpenAPIResponses(t *testing.T) {
	o := readOpenAPI(t)
	c := start(t, textinghousetest.Options{}, acting+`
heartbeats: [{name: prometheus, receiver: watchdog, timeout: 5m, to: [alice]}]
rotas: [{name: primary, turns: {start: 2026-11-02 09:00, days: 7, people: [alice]}}]
`)
	c.act("pages", `{"to":"oncall","text":"Backup failed","key":"backup"}`)
	c.texted(alice, "Backup failed")
	p := c.page()
	bodies := map[string]string{
		"POST /api/v1/pages":                  `{"to":"bob","text":"call me"}`,
		"POST /api/v1/pages/{id}/acknowledge": fmt.Sprintf(`{"version":%d,"by":"alice"}`, p.Version),
		"POST /api/v1/pages/{id}/silence":     fmt.Sprintf(`{"version":%d,"by":"alice","for":"2h"}`, p.Version),
		"POST /api/v1/pages/{id}/escalate":    `{}`,
		"POST /api/v1/pages/{id}/undo":        `{"version":0,"by":"alice"}`,
		"POST /api/v1/pages/{id}/note":        `{"version":0,"by":"alice","text":"x"}`,
		"POST /api/v1/preview":                `{"receiver":"oncall","payload":` + payload(t, "payloads/01-single-firing-critical.json") + `}`,
	}
	for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
		for method, operation := range o.Paths[path] {
			route := strings.ToUpper(method) + " " + path
			if path == "/api/v1/events" {
				continue
			}
			url := strings.NewReplacer("{id}", p.ID, "{name}", "alice").Replace(path)
			if strings.HasPrefix(path, "/api/v1/messages/") {
				url = "/api/v1/messages/" + p.Messages[0].ID
			}
			code, text := c.do(strings.ToUpper(method), url, bodies[route], "Authorization", "Bearer "+apiToken)
			response, known := operation.Responses[fmt.Sprint(code)]
			if name, isRef := strings.CutPrefix(response.Ref, "#/components/responses/"); isRef {
				response.Content = o.Components.Responses[name].Content
			}
			if !known || response.Content == nil {
				t.Errorf("%s responds %d %s, which the file lacks", route, code, text)
				continue
			}
			var body any
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				t.Fatal(err)
			}
			o.check(t, route, response.Content["application/json"].Schema, body)
		}
	}
}

// apiTime matches the form of all times; see also package api's TestTimes.
var apiTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// check checks a value by a schema. A field that the schema lacks is an error.
func (o *openAPI) check(t *testing.T, at string, s schema, v any) {
	t.Helper()
	for s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		found, ok := o.Components.Schemas[name]
		if !ok {
			t.Fatalf("%s: no schema %s", at, name)
		}
		s = found
	}
	if len(s.OneOf) > 0 {
		if v != nil {
			o.check(t, at, s.OneOf[0], v)
		}
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			property, ok := s.Properties[name]
			if !ok {
				t.Errorf("%s has the field %s, which the file lacks", at, name)
				continue
			}
			o.check(t, at+"."+name, property, value)
		}
	case []any:
		for _, item := range v {
			if s.Items == nil {
				t.Errorf("%s is a list", at)
				return
			}
			o.check(t, at+"[]", *s.Items, item)
		}
	case string:
		if s.Format == "date-time" && !apiTime.MatchString(v) {
			t.Errorf("%s is %q, not a time in UTC with milliseconds", at, v)
		}
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			t.Errorf("%s is %q, not one of %v", at, v, s.Enum)
		} else if s.Enum == nil && s.Type != nil && !strings.Contains(fmt.Sprint(s.Type), "string") {
			t.Errorf("%s is %q, not a %v", at, v, s.Type)
		}
	case float64:
		if typ := fmt.Sprint(s.Type); !strings.Contains(typ, "number") && (typ != "integer" || v != float64(int(v))) {
			t.Errorf("%s is %v, not a %v", at, v, s.Type)
		}
	case bool:
		if s.Type != "boolean" {
			t.Errorf("%s is %v, not a %v", at, v, s.Type)
		}
	case nil:
		if !strings.Contains(fmt.Sprint(s.Type), "null") {
			t.Errorf("%s is null, not a %v", at, s.Type)
		}
	}
}
