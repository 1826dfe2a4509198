package config_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"
	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
)

const schemaFile = "../../deploy/smspager.schema.json"

// node is a part of a JSON Schema.
type node map[string]any

// TestSchema: deploy/smspager.schema.json, with which editors complete the configuration, has the keys of the
// structs and their descriptions from docs/configuration.md. With -update the test writes it.
func TestSchema(t *testing.T) {
	schema := schemaOf(reflect.TypeFor[config.Config](), "", meanings(t))
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "smspager.yml"
	schema["required"] = []string{"textinghouse", "receivers"}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, schemaFile, b.String())
	}
	if have := read(t, schemaFile); have != b.String() {
		t.Errorf("%s is not that of the structs and docs/configuration.md; run go test ./receiver/config -update", schemaFile)
	}
}

// row matches a row of the tables in docs/configuration.md.
var row = regexp.MustCompile("^\\| (`[^|]*) \\| ([^|]*) \\| (.*) \\|$")

// meanings returns the description of each key in docs/configuration.md.
func meanings(t *testing.T) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(read(t, "../../docs/configuration.md")) {
		found := row.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		for key := range strings.SplitSeq(found[1], ", ") {
			link := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
			all[strings.Trim(key, "`")] = link.ReplaceAllString(found[3], "$1") + ". Default: " + found[2] + "."
		}
	}
	return all
}

func schemaOf(typ reflect.Type, path string, meanings map[string]string) node {
	switch typ {
	case reflect.TypeFor[time.Duration]():
		return node{"type": "string", "pattern": "^([0-9]+(ms|[smhdwy]))+$|^0$"}
	case reflect.TypeFor[netip.Prefix](), reflect.TypeFor[e164.Number](), reflect.TypeFor[config.Secret]():
		return node{"type": "string"}
	case reflect.TypeFor[config.Role]():
		return node{"enum": []config.Role{config.Viewer, config.Responder, config.Admin}}
	case reflect.TypeFor[*promconfig.HTTPClientConfig]():
		return node{"type": "object"} // Prometheus's http_config
	}
	switch typ.Kind() {
	case reflect.String:
		return node{"type": "string"}
	case reflect.Bool:
		return node{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return node{"type": "integer"}
	case reflect.Map:
		return node{"type": "object", "additionalProperties": schemaOf(typ.Elem(), path, meanings)}
	case reflect.Slice:
		return node{"type": "array", "items": schemaOf(typ.Elem(), path, meanings)}
	case reflect.Struct:
		properties := node{}
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := f.Tag.Get("yaml")
			if name == "-" {
				continue
			}
			at := strings.TrimPrefix(path+"."+name, ".")
			one := schemaOf(f.Type, at, meanings)
			if meaning := meanings[at]; meaning != "" {
				one["description"] = meaning
			}
			properties[name] = one
		}
		return node{"type": "object", "additionalProperties": false, "properties": properties}
	}
	panic("no schema of " + typ.String())
}

// TestExampleFitsTheSchema: the schema allows the example configuration.
func TestExampleFitsTheSchema(t *testing.T) {
	var schema node
	if err := json.Unmarshal([]byte(read(t, schemaFile)), &schema); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../config.example.yml")
	if err != nil {
		t.Fatal(err)
	}
	var example any
	if err := yaml.Unmarshal(data, &example); err != nil {
		t.Fatal(err)
	}
	fits(t, "config.example.yml", schema, example)
}

func fits(t *testing.T, at string, schema map[string]any, value any) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, item := range v {
			one, known := properties[name].(map[string]any)
			if rest, ok := schema["additionalProperties"].(map[string]any); !known && ok {
				one, known = rest, true
			}
			if !known && properties != nil {
				t.Errorf("%s.%s is not in the schema", at, name)
			} else if known {
				fits(t, at+"."+name, one, item)
			}
		}
	case []any:
		for _, item := range v {
			one, _ := schema["items"].(map[string]any)
			fits(t, at+"[]", one, item)
		}
	case string:
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			t.Errorf("%s: %q does not match %s", at, v, pattern)
		}
		if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, any(v)) {
			t.Errorf("%s: %q is not one of %v", at, v, enum)
		} else if !ok && schema["type"] != "string" {
			t.Errorf("%s: %q is a text, want %v", at, v, schema["type"])
		}
	case bool:
		if schema["type"] != "boolean" {
			t.Errorf("%s is %v, want %v", at, v, schema["type"])
		}
	case int:
		if schema["type"] != "integer" {
			t.Errorf("%s is %v, want %v", at, v, schema["type"])
		}
	}
}
