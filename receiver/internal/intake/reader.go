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

// reader reads the values of a webhook's body in one pass. A value of an unexpected type is read
// as it is written, or as empty. After a syntax error, err is set, and the rest is not read.
type reader struct {
	d   *jsontext.Decoder
	err error
	// shared holds label names and short values. Most of them recur in each alert.
	shared map[string]string
}

func newReader(body []byte) *reader {
	return &reader{
		d: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), shared: make(map[string]string),
	}
}

// value returns the next value as it is written. It is valid until the next call.
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

// object calls field for each name of an object; field reads the value. If the next value is not
// an object, object skips it and returns false.
func (r *reader) object(field func(name string)) bool {
	if r.err != nil {
		return false
	}
	if r.d.PeekKind() != '{' {
		r.skip()
		return false
	}
	r.token()
	for r.err == nil && r.d.PeekKind() != '}' {
		if name := r.text(); r.err == nil {
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

// text returns a string, or another value as it is written; "" for null.
func (r *reader) text() string {
	value := r.value()
	switch {
	case len(value) == 0 || value.Kind() == 'n':
		return ""
	case value.Kind() != '"':
		return string(value)
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return r.share(inside)
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	if err != nil && len(unquoted) == 0 {
		return ""
	}
	return strings.ToValidUTF8(string(unquoted), "\uFFFD")
}

// share returns a string, the same one each time if it is short.
func (r *reader) share(s []byte) string {
	const short, most = 64, 1 << 12
	if len(s) > short {
		return string(s)
	}
	if known, ok := r.shared[string(s)]; ok {
		return known
	}
	text := string(s)
	if len(r.shared) < most {
		r.shared[text] = text
	}
	return text
}

// labels returns an object of strings. It is never nil, because templates index it.
func (r *reader) labels() template.KV {
	kv := template.KV{}
	r.object(func(name string) { kv[name] = r.text() })
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

// status returns "firing" or "resolved"; anything else is an error.
func (r *reader) status() (string, error) {
	isString := r.err == nil && r.d.PeekKind() == '"'
	s := r.text()
	if !isString || s != string(model.AlertFiring) && s != string(model.AlertResolved) {
		return "", fmt.Errorf(`status must be "firing" or "resolved", is %s`, quote(s))
	}
	return s, nil
}

// alerts returns a list of alerts. It reads the list to its end even if an alert is an error.
func (r *reader) alerts() (alerts template.Alerts, err error) {
	if r.err != nil || r.d.PeekKind() != '[' {
		r.skip()
		return nil, errNoAlerts
	}
	r.token()
	for i := 0; r.err == nil && r.d.PeekKind() != ']'; i++ {
		a, one := r.alert()
		if one != nil && err == nil {
			err = fmt.Errorf("alerts[%d]: %w", i, one)
		}
		alerts = append(alerts, a)
	}
	r.token()
	return alerts, err
}

func (r *reader) alert() (a template.Alert, err error) {
	err = errStatus
	isObject := r.object(func(name string) {
		switch name {
		case "status":
			a.Status, err = r.status()
		case "labels":
			a.Labels = r.labels()
		case "annotations":
			a.Annotations = r.labels()
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
