package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// reader reads the values of a webhook's body in one pass. It reads a value of an unexpected type
// as written, or as empty. After a syntax error, it sets err and does not read the rest.
type reader struct {
	d    *jsontext.Decoder
	err  error
	kind string // of the body, if it is not an object
	most int64  // an alert is kept if it ends within this many bytes; 0: all are kept
	cut  uint64 // the number of alerts that were not kept
	// shared interns label names and short values, most of which recur in each alert. It is nil until
	// the second alert.
	shared map[string]string
}

func newReader(body io.Reader, most int64) *reader {
	return &reader{
		d:    jsontext.NewDecoder(body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		most: most,
	}
}

// kinds maps kinds of values to their names.
var kinds = map[jsontext.Kind]string{'[': "a list", '"': "a string", 'n': "null", 't': "a boolean", 'f': "a boolean", '0': "a number"}

// value returns the next value as written. It is valid until the next call.
func (r *reader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	value, err := r.d.ReadValue()
	if err != nil {
		r.err = err
		return nil
	}
	return value
}

func (r *reader) skip() {
	if r.err == nil {
		r.err = r.d.SkipValue()
	}
}

// object calls field for each name of an object; field reads the value, which makes the name invalid.
// If the next value is not an object, object skips it and returns false.
func (r *reader) object(field func(name []byte)) bool {
	if r.err != nil {
		return false
	}
	if kind := r.d.PeekKind(); kind != '{' {
		r.kind = kinds[kind]
		r.skip()
		return false
	}
	r.token()
	for r.err == nil && r.d.PeekKind() != '}' {
		if name := r.bytes(); r.err == nil {
			field(name)
		}
	}
	r.token()
	return r.err == nil
}

func (r *reader) token() {
	if r.err == nil {
		_, r.err = r.d.ReadToken()
	}
}

// text returns a string, or another value as written; "" for null.
func (r *reader) text() string { return r.share(r.bytes()) }

// bytes does the same as text. The result is valid until the next value is read.
func (r *reader) bytes() []byte {
	value := r.value()
	switch {
	case len(value) == 0 || value.Kind() == 'n':
		return nil
	case value.Kind() != '"':
		return value
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return inside
	}
	unquoted, _ := jsontext.AppendUnquote(nil, value) // what can be read of it
	return bytes.ToValidUTF8(unquoted, []byte("\uFFFD"))
}

// share returns a string. If it is short, equal strings share their memory.
func (r *reader) share(s []byte) string {
	const short, most = 64, 1 << 12
	if len(s) > short {
		return string(s)
	}
	if known, ok := r.shared[string(s)]; ok {
		return known
	}
	text := string(s)
	if r.shared != nil && len(r.shared) < most {
		r.shared[text] = text
	}
	return text
}

// labels returns an object of strings. It is never nil, because templates index it.
func (r *reader) labels() template.KV {
	kv := template.KV{}
	r.object(func(name []byte) {
		key := r.share(name)
		kv[key] = r.text()
	})
	return kv
}

// annotations returns an object of strings. It leaves out those that a rule's template could not
// expand: they contain the error, as Prometheus or vmalert writes it.
func (r *reader) annotations() template.KV {
	kv := r.labels()
	for name, value := range kv {
		if value = strings.TrimSpace(value); strings.HasPrefix(value, "<error expanding template") || strings.HasPrefix(value, "error evaluating template") {
			delete(kv, name)
		}
	}
	return kv
}

func (r *reader) count() uint64 {
	n, err := strconv.ParseUint(r.text(), 10, 32)
	if err != nil {
		return 0
	}
	return n
}

func (r *reader) timestamp() time.Time {
	t, err := time.Parse(time.RFC3339Nano, r.text())
	if err != nil {
		return time.Time{}
	}
	return t
}

// status returns "firing" or "resolved"; any other value is an error.
func (r *reader) status() (string, error) {
	isString := r.err == nil && r.d.PeekKind() == '"'
	s := r.text()
	if !isString || s != string(model.AlertFiring) && s != string(model.AlertResolved) {
		return "", fmt.Errorf(`status must be "firing" or "resolved", is %s`, quote(s))
	}
	return s, nil
}

// alerts returns a list of alerts. It reads the list to its end even if an alert is invalid. It
// counts the alerts that end after most bytes, but keeps the first alert in any case.
func (r *reader) alerts() (alerts template.Alerts, err error) {
	if r.err != nil || r.d.PeekKind() != '[' {
		r.skip()
		return nil, errNoAlerts
	}
	r.token()
	for i := 0; r.err == nil && r.d.PeekKind() != ']'; i++ {
		if i == 1 {
			r.shared = make(map[string]string)
		}
		if r.full() && i > 0 {
			r.skip()
			r.cut++
			continue
		}
		a, one := r.alert()
		if one == nil && r.full() && i > 0 {
			r.cut++
			continue
		}
		if one != nil && err == nil {
			err = fmt.Errorf("alerts[%d]: %w", i, one)
		}
		alerts = append(alerts, a)
	}
	r.token()
	return alerts, err
}

// full reports whether most bytes have been read.
func (r *reader) full() bool { return r.most > 0 && r.d.InputOffset() > r.most }

func (r *reader) alert() (a template.Alert, err error) {
	err = errStatus
	isObject := r.object(func(name []byte) {
		switch string(name) {
		case "status":
			a.Status, err = r.status()
		case "labels":
			a.Labels = r.labels()
		case "annotations":
			a.Annotations = r.annotations()
		case "startsAt":
			a.StartsAt = r.timestamp()
		case "endsAt":
			a.EndsAt = r.timestamp()
		case "generatorURL":
			a.GeneratorURL = r.text()
		case "fingerprint":
			a.Fingerprint = r.text()
		default:
			r.skip()
		}
	})
	switch {
	case r.err == nil && !isObject:
		return a, errors.New("must be an object")
	case err != nil:
		return a, err
	}
	if a.Labels == nil {
		a.Labels = template.KV{}
	}
	if a.Annotations == nil {
		a.Annotations = template.KV{}
	}
	if a.Fingerprint == "" {
		set := make(model.LabelSet, len(a.Labels))
		for name, value := range a.Labels {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		a.Fingerprint = set.Fingerprint().String()
	}
	return a, nil
}

// end returns an error if the body continues.
func (r *reader) end() error {
	if r.err != nil {
		return r.err
	}
	if _, err := r.d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("more data follows the object")
	}
	return nil
}
