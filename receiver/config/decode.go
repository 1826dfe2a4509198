package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"
)

// position is a place in the file; both numbers begin at 1.
type position struct{ line, column int }

// decoder reads a YAML document into a Config. It continues after a fault, and records the position of
// each key.
type decoder struct {
	file   string
	faults Errors
	places map[string]position // of keys and of items of lists, by path
}

func newDecoder(file string) *decoder {
	return &decoder{file: filepath.ToSlash(file), places: map[string]position{"": {1, 1}}}
}

// fault reports a fault of the key at a path, unless that key has one already. A missing key is
// reported at the position of its parent.
func (d *decoder) fault(path, format string, args ...any) {
	if slices.ContainsFunc(d.faults, func(e *Error) bool { return e.Path == path && path != "" }) {
		return
	}
	at, known := d.places[path]
	for parent := path; !known; at, known = d.places[parent] {
		parent = parent[:max(0, strings.LastIndexAny(parent, ".["))]
	}
	d.faults = append(d.faults, &Error{File: d.file, Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// yamlError matches an error of yaml.v3.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// decodeDocument reads the only document of a file. It returns false if there is nothing to
// validate.
func (d *decoder) decodeDocument(data []byte, cfg *Config) bool {
	documents := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	switch err := documents.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.fault("", "the file is empty; see config.example.yml")
		return false
	case err != nil:
		d.syntaxFault(err)
		return false
	}
	if err := documents.Decode(&second); err == nil {
		d.places[""] = position{max(1, second.Line), 1}
		d.fault("", "a second document begins here; a configuration is one document")
		return false
	} else if !errors.Is(err, io.EOF) {
		d.syntaxFault(err)
		return false
	}
	node := root.Content[0]
	if node.Kind != yaml.MappingNode {
		d.fault("", "must be a mapping of keys to values; see config.example.yml")
		return false
	}
	d.decode("", node, reflect.ValueOf(cfg).Elem())
	return true
}

func (d *decoder) syntaxFault(err error) {
	m := yamlError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	e := &Error{File: d.file, Line: 1, Column: 1, Message: "not YAML: " + err.Error()}
	if m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			e.Line = max(1, line)
		}
		e.Message = "not YAML: " + m[2]
		if strings.Contains(m[2], "cannot start any token") {
			e.Message += "; indent with spaces instead of tabs, and quote values that begin with @, % or `"
		}
		if strings.Contains(m[2], "did not find expected") {
			e.Message += "; check the indentation of this line and the next, and that brackets and quotes are closed"
		}
	}
	d.faults = append(d.faults, e)
}

// decode reads a node into a value, by the value's type.
func (d *decoder) decode(path string, node *yaml.Node, v reflect.Value) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if d.decodeSpecial(path, node, v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(path, node, v.Elem())
	case reflect.Struct:
		d.decodeMapping(path, node, v)
	case reflect.Map:
		d.decodeMap(path, node, v)
	case reflect.Slice:
		d.decodeSequence(path, node, v)
	case reflect.String:
		if s, ok := d.scalar(path, node, "a text"); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		var b bool
		if node.Tag != "!!bool" || node.Decode(&b) != nil {
			d.fault(path, "must be true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		var n int64
		if node.Tag != "!!int" || node.Decode(&n) != nil {
			d.fault(path, "must be a whole number")
			return
		}
		v.SetInt(n)
	default:
		panic("config: a field of type " + v.Type().String())
	}
}

// decodeSpecial reads a node into a value whose type has a form of its own, and reports whether the
// type has one.
func (d *decoder) decodeSpecial(path string, node *yaml.Node, v reflect.Value) bool {
	switch x := v.Addr().Interface().(type) {
	case *time.Duration:
		if s, ok := d.scalar(path, node, "a duration such as 10m"); ok {
			t, err := model.ParseDuration(s)
			if err != nil {
				d.fault(path, "must be a duration such as 30s, 10m or 90d, is %q", s)
			}
			*x = time.Duration(t)
		}
	case *netip.Prefix:
		if s, ok := d.scalar(path, node, "a network such as 203.0.113.0/24"); ok {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				d.fault(path, "must be a network such as 203.0.113.0/24, is %q", s)
			}
			if mapped := p.Bits() - 96; p.Addr().Is4In6() && mapped >= 0 { // ::ffff:203.0.113.0/120
				p = netip.PrefixFrom(p.Addr().Unmap(), mapped)
			}
			*x = p
		}
	case *promconfig.URL:
		d.decodeURL(path, node, x)
	case *promconfig.TLSVersion:
		d.decodeTLSVersion(path, node, x)
	case *any: // a claim of OAuth2
		if err := node.Decode(x); err != nil {
			d.fault(path, "%v", err)
		}
	case **HTTPConfig:
		*x = new(promconfig.DefaultHTTPClientConfig)
		d.decode(path, node, v.Elem())
	default:
		return false
	}
	return true
}

// scalar returns the text of a scalar, whatever its type in YAML. want describes it in a fault.
func (d *decoder) scalar(path string, node *yaml.Node, want string) (string, bool) {
	if node.Kind != yaml.ScalarNode {
		d.fault(path, "must be %s, not a list or mapping; quote a value that begins with { or [", want)
		return "", false
	}
	if node.Tag == "!!null" {
		d.fault(path, "no value; set %s, or remove the key", want)
		return "", false
	}
	return node.Value, true
}

func (d *decoder) decodeMapping(path string, node *yaml.Node, v reflect.Value) {
	fields := make(map[string]reflect.Value)
	var names []string
	if inlined := addFields(v, fields, &names); inlined.IsValid() {
		d.decodeMap(path, node, inlined)
		return
	}
	d.eachKey(path, node, func(at, key string, value *yaml.Node) {
		if field, known := fields[key]; known {
			d.decode(at, value, field)
		} else {
			d.fault(at, "unknown key%s", suggestion(key, names))
		}
	})
}

// addFields adds the fields of a struct by their keys. It returns the inlined map, if there is one.
func addFields(v reflect.Value, fields map[string]reflect.Value, names *[]string) (inlined reflect.Value) {
	for i := range v.NumField() {
		switch name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); {
		case options == "inline" && v.Field(i).Kind() == reflect.Map:
			return v.Field(i)
		case options == "inline":
			addFields(v.Field(i), fields, names)
		case name != "-" && name != "":
			fields[name] = v.Field(i)
			*names = append(*names, name)
		}
	}
	return inlined
}

// decodeMap reads a mapping with arbitrary keys.
func (d *decoder) decodeMap(path string, node *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.eachKey(path, node, func(at, key string, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(at, value, item)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	})
}

// eachKey calls decode for each key of a mapping, with the key's path. It reports duplicate keys.
func (d *decoder) eachKey(path string, node *yaml.Node, decode func(at, key string, value *yaml.Node)) {
	if node.Tag == "!!null" {
		return // a key without a value
	}
	if node.Kind != yaml.MappingNode {
		d.fault(path, "must be a mapping of keys to values")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if seen[key.Value] {
			d.faults = append(d.faults, &Error{d.file, key.Line, key.Column, at, "duplicate key; remove one"})
			continue
		}
		seen[key.Value] = true
		d.places[at] = position{key.Line, key.Column}
		decode(at, key.Value, value)
	}
}

func (d *decoder) decodeSequence(path string, node *yaml.Node, v reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		how := "begin each entry with a dash"
		if node.Kind == yaml.ScalarNode {
			how = "put its values into brackets: [A, B]"
		}
		d.fault(path, "must be a list; %s", how)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.places[at] = position{item.Line, item.Column}
		if item, ok := v.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
			item.setDefaults()
		}
		d.decode(at, item, v.Index(i))
	}
}

// suggestion names the known key that is most similar to an unknown one, or all known keys if none is.
func suggestion(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if n := distance(key, k); n < least && n < len(k) {
			best, least = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %s?", best)
	}
	return "; known: " + strings.Join(known, ", ")
}

// distance returns how many letters must be inserted, deleted or replaced (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
