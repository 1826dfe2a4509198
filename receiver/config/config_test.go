package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver/config"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFaults reads files with one fault each. testdata/bad.golden holds the expected errors.
func TestFaults(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil || len(names) < 50 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	var got strings.Builder
	for _, name := range names {
		name = filepath.ToSlash(name)
		_, err := config.Load(name)
		var faults config.Errors
		if !errors.As(err, &faults) {
			t.Errorf("%s gives %v, want faults", name, err)
			continue
		}
		for line := range strings.Lines(err.Error() + "\n") {
			got.WriteString(strings.TrimPrefix(strings.ReplaceAll(line, mustAbs(t, "."), "DIR"), "testdata/bad/"))
		}
		if len(faults) != 1 && !strings.Contains(name, "many-at-once") {
			t.Errorf("%s gives %d faults, want 1:\n%v", name, len(faults), err)
		}
	}
	const golden = "testdata/bad.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the errors have changed; if that is right, run go test ./receiver/config -update\n%s", got.String())
	}
}

func mustAbs(t *testing.T, name string) string {
	t.Helper()
	abs, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestSmallestFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "textinghouse.password"), "s3cret\r\n")
	file := filepath.Join(dir, "smspager.yml")
	write(t, file, "textinghouse: {user: acme, password_file: textinghouse.password}\nreceivers:\n  - {name: oncall, to: [\"+33612345678\"]}\n")
	got, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		TextingHouse: config.TextingHouse{
			User: "acme", Password: "s3cret",
			Endpoints: []string{"https://api.textinghouse.com/http/v1/do", "https://api2.textinghouse.com/http/v1/do"},
			Timeout:   10 * time.Second, Concurrency: 16,
		},
		Storage:      config.Storage{SQLite: filepath.Join(dir, "smspager.db"), Retention: 90 * 24 * time.Hour},
		Webhook:      config.Webhook{MaxBodyBytes: 4194304},
		Severities:   config.Severities{Label: "severity"},
		Alertmanager: config.Alertmanager{MaxSilence: 24 * time.Hour},
		Alive:        config.Alive{Interval: time.Minute},
		Receivers: []config.Receiver{{
			Name: "oncall", To: []string{"+33612345678"}, Recipients: []config.Recipient{{Number: "+33612345678"}}, Text: `{{ template "sms.default" . }}`,
			MaxSegments: 2, SendResolved: true, DedupeWindow: 20 * time.Minute, MaxAge: time.Hour,
			Limits: []config.Limit{{5, 5 * time.Minute}, {5, 15 * time.Minute}, {11, time.Hour}},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if got.TextingHouse.Password.Reveal() != "s3cret" {
		t.Errorf("the password is %q", got.TextingHouse.Password.Reveal())
	}
}

// TestDefaultsWrittenOut: a file that sets every key to its default gives the same configuration as
// the smallest file.
func TestDefaultsWrittenOut(t *testing.T) {
	dir := t.TempDir()
	for _, secret := range []string{"textinghouse.password", "callback.token"} {
		write(t, filepath.Join(dir, secret), "0123456789abcdef\n")
	}
	file := filepath.Join(dir, "smspager.yml")
	write(t, file, read(t, "testdata/design.yml"))
	whole, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, `
textinghouse: {user: acme, password_file: textinghouse.password, callback_token_file: callback.token, callback_networks: []}
templates: [templates/*.tmpl]
contacts: [{name: alice, number: "+33612345678"}]
receivers: [{name: oncall, to: [alice, "+4915112345678"]}]
`)
	small, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(whole, small) {
		t.Errorf("the defaults written out give\n%+v, left out\n%+v", whole, small)
	}
}

func TestRecipientsAreResolved(t *testing.T) {
	cfg, err := config.Parse("x.yml", []byte(`
textinghouse: {user: acme, password: x}
contacts: [{name: alice, number: "+33 6 12 34 56 78"}, {name: bob, number: "+33612345679"}]
rotas: [{name: week, turns: {start: 2026-11-02 09:00, people: [alice]}}]
receivers: [{name: r, to: [alice, "+33612345678", "0049 1511 2345678", "+33612345679", "rota:week", "999"]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Recipient{{Name: "alice", Number: "+33612345678"}, {Number: "+4915112345678"}, {Name: "bob", Number: "+33612345679"}, {Rota: "week"}, {Number: "999"}}
	if !slices.Equal(cfg.Receivers[0].Recipients, want) {
		t.Errorf("the recipients are %v, want %v", cfg.Receivers[0].Recipients, want)
	}
}

func TestChecksOfOtherRooms(t *testing.T) {
	_, err := config.Parse("x.yml", []byte("textinghouse: {user: acme, password: x}\nreceivers:\n  - name: r\n    to: [nobody]\n    text: bad\n"),
		func(cfg *config.Config, report func(string, error)) {
			report("receivers[0].text", errors.New("is bad"))
			report("templates", errors.New("are missing"))
		})
	want := "x.yml:1:1: templates: are missing\n" +
		"x.yml:4:10: receivers[0].to[0]: no contact is named \"nobody\"; add it to contacts, or write a number\n" +
		"x.yml:5:5: receivers[0].text: is bad"
	if err == nil || err.Error() != want {
		t.Errorf("the errors are\n%v, want\n%s", err, want)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := config.Load("no-such.yml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load returns %v, want ErrNotExist", err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	s := struct {
		S config.Secret `yaml:"s"`
	}{"hunter2"}
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s.S, "all", s)
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s.S, s.S, s.S, s.S), string(asJSON), string(asYAML), log.String()} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e746572") || !strings.Contains(shown, "secret>") && !strings.Contains(shown, `secret\u003e`) {
			t.Errorf("the secret shows as %s", shown)
		}
	}
}

// TestExample loads the example file, and checks that it and the reference have every key of the
// types.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	example := read(t, "../../config.example.yml")
	write(t, filepath.Join(dir, "smspager.yml"), example)
	for _, secret := range []string{"textinghouse.password", "callback.token", "webhook.token", "api.token", "calendar.url", "alertmanager.token", "alive.url"} {
		text := "0123456789abcdef\n"
		if secret == "api.token" {
			text = "fedcba9876543210\n"
		}
		if strings.HasSuffix(secret, ".url") {
			text = "https://calendar.example/0123456789abcdef\n"
		}
		write(t, filepath.Join(dir, secret), text)
	}
	cfg, err := config.Load(filepath.Join(dir, "smspager.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Receivers) == 0 || len(cfg.Contacts) == 0 {
		t.Error("the example has no receivers or contacts")
	}
	reference := read(t, "../../docs/configuration.md")
	for _, key := range keys(reflect.TypeFor[config.Config](), "") {
		last := key[strings.LastIndexByte(key, '.')+1:]
		if !regexp.MustCompile(`(?m)^[ #-]*`+last+`:`).MatchString(example) && !strings.Contains(example, last+":") {
			t.Errorf("config.example.yml lacks %s", key)
		}
		if !strings.Contains(reference, "`"+key+"`") {
			t.Errorf("docs/configuration.md lacks `%s`", key)
		}
	}
}

// keys returns the paths of all keys below a type.
func keys(typ reflect.Type, path string) (all []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := f.Tag.Get("yaml")
		if name == "-" {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		elem := f.Type
		if elem.Kind() == reflect.Slice && elem.Elem().Kind() == reflect.Struct {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct && strings.HasSuffix(elem.PkgPath(), "/config") {
			all = append(all, keys(elem, at)...)
		} else {
			all = append(all, at)
		}
	}
	return all
}

// TestWrittenOnWindows reads secrets as editors on Windows write them, and a mapped IPv6 network as
// its IPv4 network.
func TestWrittenOnWindows(t *testing.T) {
	for name, secret := range map[string]string{
		"byte order mark": "\ufefftest\r\n", "UTF-16": "\xff\xfet\x00e\x00s\x00t\x00\r\x00\n\x00", "UTF-16, big-endian": "\xfe\xff\x00t\x00e\x00s\x00t",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "p"), secret)
		file := filepath.Join(dir, "c.yml")
		write(t, file, "textinghouse: {user: acme, password_file: p, callback_token: 0123456789abcdef, callback_networks: ['::ffff:203.0.113.0/120']}\nreceivers: [{name: oncall, to: ['+33 (0)6 39 98 00 01']}]\n")
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.TextingHouse.Password.Reveal(); got != "test" {
			t.Errorf("%s: the password is %q", name, got)
		}
		if got := fmt.Sprint(cfg.TextingHouse.CallbackNetworks, cfg.Receivers[0].Recipients[0].Number); got != "[203.0.113.0/24]+33639980001" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// FuzzParse: no input makes Parse panic, and every fault has a place.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add([]byte(read(f, name)))
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("textinghouse: &t {user: *t}\nreceivers: [*t]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := config.Parse("x.yml", data)
		var faults config.Errors
		switch {
		case err == nil && cfg == nil:
			t.Fatal("neither a configuration nor an error")
		case err != nil && !errors.As(err, &faults):
			t.Fatalf("the error is %T", err)
		}
		for _, e := range faults {
			if e.Line < 1 || e.Column < 1 || e.Message == "" {
				t.Fatalf("a fault without a place: %+v", e)
			}
		}
	})
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSharedNumber: a number that several contacts share belongs to the first of them.
func TestSharedNumber(t *testing.T) {
	for range 20 { // the iteration of a map has no fixed order
		cfg, err := config.Parse("x.yml", []byte(`
textinghouse: {user: acme, password: secret}
contacts:
  - {name: zoe, number: "+33639980001"}
  - {name: alice, number: "+33639980001"}
  - {name: bob, number: "+33639980001"}
receivers: [{name: oncall, to: ["+33639980001"]}]
`))
		if err != nil {
			t.Fatal(err)
		}
		if to := cfg.Receivers[0].Recipients; len(to) != 1 || to[0].Name != "zoe" {
			t.Fatalf("the recipients are %+v", to)
		}
	}
}
