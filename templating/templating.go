// Package templating turns a group of alerts into the text of an SMS. It can be used alone.
//
// Templates are Go's, with Alertmanager's data and functions, so existing templates work, and with
// some functions of our own (docs/templates.md shows them). A Set parses them once; a Text renders
// notifications:
//
//	set, err := templating.New(templating.Options{})
//	text, err := set.Text(`{{ template "sms.default" . }}`, nil)
//	rendering := text.Render(notification, templating.Budget{MaxSegments: 2})
//
// A text is spelled with characters that an SMS can hold, and fitted. The built-in functions leave
// out what says least; a template that lists alerts itself gets as many as there is room for, the
// most severe and newest first, and the number of the others. If even one alert is too long, its
// values are shortened; as the last step, the text is cut at a word. What follows {{ tail }} in a
// template, and the tail of a [Budget], is never cut. If a segment would hold only a few septets,
// tighter spelling or shorter values save it. Rendering never fails: if a template fails, a
// built-in plain text replaces it.
//
// The package is part of smspager; its exported names may change until smspager has version 1.
package templating

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating/gsm7"
)

// Notification holds Alertmanager's data for one group of alerts, and the rest of its webhook.
type Notification struct {
	alertmanager.Data
	GroupKey        string
	Org             string // Grafana's organization (orgId), "" if the payload names none
	TruncatedAlerts uint64 // alerts that Alertmanager left out (max_alerts)
	// MayStillFire means that all listed alerts are resolved, but some that were left out may fire.
	// Status is then "firing".
	MayStillFire bool
	Order        *SeverityOrder `json:"-"` // of its severities; nil: the built-in order
}

// Repeats reports whether the notification says nothing new: Alertmanager sends it because the repeat interval
// has elapsed. Before 0.32, Alertmanager gives no reason.
func (n *Notification) Repeats() bool { return n.NotificationReason == "repeat interval elapsed" }

// Options holds the settings of [New]. The zero value works.
type Options struct {
	Globs []string         // patterns of template files
	Now   func() time.Time // nil: time.Now
	// Objects lists labels that name what is broken, most exact first; they come before the
	// built-in ones. Ignore lists labels that never name it.
	Objects, Ignore []string
	Alphabet        gsm7.Alphabet  // of the provider; "": all of GSM 03.38
	Severities      *SeverityOrder // nil: the built-in order
}

// Set is a set of parsed templates: the built-in ones and the user's.
type Set struct {
	templates *template.Template
	now       func() time.Time
	to        gsm7.Alphabet
	plain     map[string]*parse.Tree // of the built-in texts, not instrumented: they end, and write little
	order     map[string]int         // of Options.Objects, see label
	ignored   map[string]bool        // Options.Ignore
	samples   []Notification

	severities *SeverityOrder
}

//go:embed *.tmpl
var builtIn embed.FS

//go:embed samples/*.json
var sampleFiles embed.FS

// New parses the built-in templates and the files. A file may replace a built-in template by
// defining one of the same name.
func New(o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Set{now: o.Now, to: o.Alphabet, severities: o.Severities, order: make(map[string]int), ignored: make(map[string]bool)}
	for _, name := range o.Ignore {
		s.ignored[canonical(name)] = true
	}
	if o.Severities != nil && o.Severities.label != "" {
		s.ignored[canonical(o.Severities.label)] = true
	}
	for i, name := range o.Objects {
		s.order[canonical(name)] = i - len(o.Objects)
	}
	// The functions bound here only let templates parse; each instance binds its own.
	s.templates = template.New("").Option("missingkey=zero").Funcs(funcs(&instance{Text: &Text{set: s, now: o.Now}}))
	if _, err := s.templates.ParseFS(builtIn, "*.tmpl"); err != nil {
		return nil, err
	}
	own := make(map[string]*parse.Tree)
	for _, t := range s.templates.Templates() {
		if strings.HasPrefix(t.Name(), "sms.") {
			own[t.Name()] = t.Tree
		}
	}
	for _, glob := range o.Globs {
		if err := s.parseFiles(glob); err != nil {
			return nil, err
		}
	}
	s.plain = make(map[string]*parse.Tree)
	for name, tree := range own {
		if s.templates.Lookup(name).Tree == tree { // no file replaces it
			s.plain[name] = tree.Copy()
		}
	}
	instrument(s.templates, template.New(""))
	var err error
	s.samples, err = readSamples()
	return s, err
}

// parseFiles parses the template files that a pattern matches, in the order of their names.
func (s *Set) parseFiles(glob string) error {
	files, err := filepath.Glob(glob)
	if err != nil {
		return fmt.Errorf("%s: not a file pattern: %w", glob, err)
	}
	if len(files) == 0 && !strings.ContainsAny(glob, "*?[") { // a pattern may match nothing yet
		return fmt.Errorf("%s: no such template file", glob)
	}
	slices.Sort(files)
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			if file == glob {
				return fmt.Errorf("%s is a folder; name its files, such as %s", file, filepath.Join(file, "*.tmpl"))
			}
			continue // Kubernetes mounts a ConfigMap with such folders
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := s.templates.New(file).Parse(string(text)); err != nil {
			return located(err)
		}
	}
	return nil
}

// located removes the prefix "template: " of an error, so that it begins with its file and line.
func located(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "template: "))
}

// readSamples reads the notifications that templates are tried on.
func readSamples() (samples []Notification, err error) {
	names, err := fs.Glob(sampleFiles, "samples/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := sampleFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var n Notification
		if err := json.Unmarshal(body, &n); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		n.MayStillFire = n.TruncatedAlerts > 0 && len(n.Alerts.Firing()) == 0
		samples = append(samples, n)
	}
	return samples, nil
}

// Text is one template, ready to render. It is safe for concurrent use.
type Text struct {
	set       *Set
	now       func() time.Time
	zone      *time.Location // nil: UTC, which the text then shows
	instances sync.Pool
}

// Text parses a receiver's text and tries it on samples. A text that fails on a sample, or that is
// empty for all of them, is an error. Times of day are in the zone; nil is UTC, which the text then
// shows.
func (s *Set) Text(source string, zone *time.Location) (*Text, error) {
	parsed, err := s.templates.Clone()
	if err != nil {
		return nil, err
	}
	name := "text"
	for parsed.Lookup(name) != nil { // a template of the user's, which the source may use
		name = "receiver's " + name
	}
	if parsed, err = parsed.New(name).Parse(source); err != nil {
		return nil, located(err)
	}
	if err := undefined(parsed, name, map[string]bool{}); err != nil {
		return nil, err
	}
	instrument(parsed, s.templates)
	t := &Text{set: s, now: s.now, zone: zone}
	t.instances.New = func() any {
		in := &instance{Text: t}
		whole, err := parsed.Clone()
		if err != nil {
			return err // only of a template that was executed; parsed never is
		}
		fast, err := parsed.Clone()
		if err != nil {
			return err
		}
		for name, tree := range s.plain {
			if parsed.Lookup(name).Tree != s.templates.Lookup(name).Tree { // the source replaces it
				continue
			}
			if _, err := fast.AddParseTree(name, tree); err != nil {
				return err
			}
		}
		whole, fast = whole.Funcs(funcs(in)), fast.Funcs(funcs(in))
		in.execute = func(values bool) error {
			if values {
				return whole.ExecuteTemplate(&in.out, name, in.view)
			}
			return fast.ExecuteTemplate(&in.out, name, in.view)
		}
		return in
	}
	empty := 0
	for _, n := range s.samples {
		r := t.Render(n, Budget{MaxSegments: 2})
		if errors.Is(r.Err, errEmpty) {
			empty++
		} else if r.Err != nil {
			return nil, fmt.Errorf("fails on a sample notification (group %s): %w; docs/templates.md lists fields and functions", n.GroupKey, r.Err)
		}
	}
	if empty == len(s.samples) {
		return nil, errEmpty
	}
	return t, nil
}
