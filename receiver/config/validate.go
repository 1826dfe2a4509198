package config

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/internal/alias"
	"github.com/smspager/smspager/templating"
)

// validator checks a configuration, resolves it, and reports its faults.
type validator struct {
	*decoder
	dir string // the folder of the configuration file
}

var (
	senderID      = regexp.MustCompile(`^[a-zA-Z0-9]{0,11}$`)
	callbackToken = regexp.MustCompile(`^[A-Za-z0-9_-]{16,}$`)
)

// check validates and resolves a configuration, then runs the checks of other packages.
func (v *validator) check(cfg *Config, checks []Check) {
	v.validate(cfg)
	for _, check := range checks {
		check(cfg, func(path string, err error) { v.fault(path, "%v", err) })
	}
}

// templating checks that each label is listed once.
func (v *validator) templating(t *Templating) {
	seen := make(map[string]bool)
	for _, list := range []struct {
		key    string
		labels []string
	}{{"objects", t.Objects}, {"ignore", t.Ignore}} {
		for i, label := range list.labels {
			switch path := fmt.Sprintf("templating.%s[%d]", list.key, i); {
			case label == "":
				v.fault(path, "empty; set the name of a label")
			case seen[label]:
				v.fault(path, "duplicate label %q; remove one", label)
			}
			seen[label] = true
		}
	}
}

// severities checks that each severity is listed once, in any spelling.
func (v *validator) severities(s *Severities) {
	if strings.TrimSpace(s.Label) != s.Label || s.Label == "" {
		v.fault("severities.label", "must be the name of a label, is %q", s.Label)
	}
	if len(s.Order) == 0 {
		s.Order = nil
	}
	for i, severity := range s.Order {
		path := fmt.Sprintf("severities.order[%d]", i)
		if strings.TrimSpace(severity) == "" {
			v.fault(path, "empty; set a severity")
			continue
		}
		for _, other := range s.Order[:i] {
			if templating.SameSeverity(severity, other) {
				v.fault(path, "duplicate severity: %q is the same as %q; remove one", severity, other)
			}
		}
	}
}

// noBlank checks that no severity of a list is blank.
func (v *validator) noBlank(path string, severities []string) {
	for i, severity := range severities {
		if strings.TrimSpace(severity) == "" {
			v.fault(fmt.Sprintf("%s[%d]", path, i), "empty; set a severity, or remove it")
		}
	}
}

func (v *validator) validate(cfg *Config) {
	v.textingHouse(&cfg.TextingHouse)
	v.storage(&cfg.Storage)

	v.secret("webhook.token", &cfg.Webhook.Token, &cfg.Webhook.TokenFile)
	if n := cfg.Webhook.MaxBodyBytes; n < 1<<10 || n > 1<<30 {
		v.fault("webhook.max_body_bytes", "must be 1024 to 1073741824, is %d", n)
	}
	if cfg.Probe.Interval != 0 {
		v.between("probe.interval", cfg.Probe.Interval, 30*time.Second, day)
	}
	for i, pattern := range cfg.Templates {
		if _, err := filepath.Match(pattern, ""); err != nil || pattern == "" {
			v.fault(fmt.Sprintf("templates[%d]", i), "must be a file pattern such as templates/*.tmpl, is %q", pattern)
		}
		cfg.Templates[i] = v.absolute(pattern)
	}
	v.severities(&cfg.Severities)
	v.templating(&cfg.Templating)
	known := v.contacts(cfg.Contacts)
	known.rotas = v.rotas(cfg.Rotas, known)
	v.receivers(cfg, known)
	v.heartbeats(cfg, known)
	v.rest(cfg, known)
	v.access(cfg, known.contacts)
}

func (v *validator) storage(s *Storage) {
	_, sqlite := v.places["storage.sqlite"]
	v.secret("storage.postgres_url", &s.PostgresURL, &s.PostgresURLFile)
	switch postgres := s.PostgresURL != "" || s.PostgresURLFile != ""; {
	case postgres && sqlite:
		v.fault("storage.sqlite", "sqlite and postgres_url are mutually exclusive")
	case postgres:
		s.SQLite = ""
	case s.SQLite == "":
		v.fault("storage.sqlite", "empty; set the name of a file, or remove the key")
	default:
		s.SQLite = v.absolute(s.SQLite)
	}
	v.between("storage.retention", s.Retention, day, 3650*day)
}

func (v *validator) textingHouse(t *TextingHouse) {
	if _, given := v.places["textinghouse"]; !given {
		v.fault("textinghouse", "missing; set user and password_file")
		return
	}
	if variable.MatchString(t.User) {
		v.fault("textinghouse.user", "environment variables are not expanded; write the user here")
	}
	if t.User == "" {
		v.fault("textinghouse.user", "missing; set the user of the HTTP API (in the portal: Options)")
	}
	if v.secret("textinghouse.password", &t.Password, &t.PasswordFile) && t.Password == "" {
		v.fault("textinghouse.password_file", "missing; set it to the file that holds the password of the HTTP API")
	}
	if len(t.Endpoints) == 0 {
		v.fault("textinghouse.endpoints", "no URL; list at least one, or remove the key")
	}
	for i, endpoint := range t.Endpoints {
		v.endpoint(fmt.Sprintf("textinghouse.endpoints[%d]", i), endpoint)
	}
	if !senderID.MatchString(t.SenderID) {
		v.fault("textinghouse.sender_id", "must be at most 11 of a-z, A-Z and 0-9, is %q", t.SenderID)
	}
	v.between("textinghouse.timeout", t.Timeout, time.Second, 5*time.Minute)
	if n := t.MaxPerSecond; n < 0 || n > 10_000 {
		v.fault("textinghouse.max_per_second", "must be 0 to 10000, is %d", n)
	}
	if t.Concurrency < 1 || t.Concurrency > 1000 {
		v.fault("textinghouse.concurrency", "must be 1 to 1000, is %d", t.Concurrency)
	}
	if v.secret("textinghouse.callback_token", &t.CallbackToken, &t.CallbackTokenFile) && t.CallbackToken != "" && !callbackToken.MatchString(t.CallbackToken.Reveal()) {
		v.fault(v.given("textinghouse.callback_token"), "must be at least 16 of A-Z, a-z, 0-9, _ and -, because it is part of a URL; create one with: openssl rand -hex 16")
	}
	if len(t.CallbackNetworks) > 0 && t.CallbackToken == "" && t.CallbackTokenFile == "" {
		v.fault("textinghouse.callback_networks", "requires callback_token_file; without a token there are no callbacks")
	}
}

// endpoint checks a URL that gets the password. It does not print the URL, which may hold a
// password.
func (v *validator) endpoint(path, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		v.fault(path, "must be a URL such as https://api.textinghouse.com/http/v1/do")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		v.fault(path, "must be a URL without user, password and parameters; set user and password under textinghouse")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		v.fault(path, "must be an https URL; over http the password could be read on the way")
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// secret reads a secret from its file, if one is named, and sets the file's name to "". It returns
// false after reporting a fault.
func (v *validator) secret(path string, s *Secret, file *string) bool {
	_, inline := v.places[path]
	_, named := v.places[path+"_file"]
	key := path[strings.LastIndexByte(path, '.')+1:]
	if inline && named {
		v.fault(path+"_file", "%[1]s and %[1]s_file are mutually exclusive", key)
		return false
	}
	if inline && *s == "" {
		v.fault(path, "empty; put the secret here, or set %s_file to the file that holds it", key)
		return false
	}
	if variable.MatchString(string(*s)) {
		v.fault(path, "environment variables are not expanded; write the secret into a file, and set %s_file to its name", key)
		return false
	}
	if *file == "" {
		return true
	}
	text, err := os.ReadFile(v.absolute(*file))
	if err != nil {
		v.fault(path+"_file", "%v", Unreadable(err))
		return false
	}
	*s = Secret(strings.Trim(plainText(text), "\r\n"))
	switch {
	case *s == "":
		v.fault(path+"_file", "the file %s is empty; put the secret into it", *file)
		return false
	case strings.ContainsAny(string(*s), "\r\n"):
		v.fault(path+"_file", "the file %s has several lines; leave only the secret in it", *file)
		return false
	case strings.ContainsFunc(string(*s), func(r rune) bool { return r == 0 || r == utf8.RuneError }):
		v.fault(path+"_file", "the file %s is not UTF-8 text; write the secret as UTF-8", *file)
		return false
	}
	*file = ""
	return true
}

// plainText returns the text of a file, which may be written as on Windows: with a byte order mark,
// in UTF-8 or UTF-16.
func plainText(text []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return strings.TrimPrefix(string(text), "\ufeff")
	}
	var units []uint16
	for i := 2; i+1 < len(text); i += 2 {
		units = append(units, order.Uint16(text[i:]))
	}
	return string(utf16.Decode(units))
}

// given returns the path of the key that sets a secret in the document: its own or that of its file.
func (v *validator) given(path string) string {
	if _, inline := v.places[path]; inline {
		return path
	}
	return path + "_file"
}

// aliases checks that no name in a calendar can refer to two contacts.
func (v *validator) aliases(contacts []Contact) {
	owners := make(map[string]int) // of plain names
	check := func(path, name, shown string, i int) {
		plain := cmp.Or(alias.Plain(name), name)
		owner, known := owners[plain]
		if !known {
			owners[plain] = i
		} else if owner != i {
			v.fault(path, "%s also names %s; calendars ignore case, accents and signs, and cannot tell them apart", shown, contacts[owner].Name)
		}
	}
	for i, c := range contacts {
		check(fmt.Sprintf("contacts[%d].name", i), c.Name, strconv.Quote(c.Name), i)
	}
	for i, c := range contacts {
		for j, other := range c.Aliases {
			check(fmt.Sprintf("contacts[%d].aliases[%d]", i, j), other, fmt.Sprintf("%q of %s", other, c.Name), i)
		}
	}
}

func (v *validator) receivers(cfg *Config, known people) {
	receivers := cfg.Receivers
	if len(receivers) == 0 {
		v.fault("receivers", "missing; add at least one of Alertmanager's receivers, with its recipients")
	}
	names := make(map[string]bool)
	for i := range receivers {
		r, path := &receivers[i], fmt.Sprintf("receivers[%d]", i)
		switch {
		case r.Name == "":
			v.fault(path+".name", "missing; set the name of the receiver in Alertmanager's configuration")
		case strings.HasPrefix(r.Name, "probe:"), strings.HasPrefix(r.Name, "smspager:"), IsContactReceiver(r.Name):
			v.fault(path+".name", "must not begin with probe:, smspager: or contact:; these are reserved for smspager's own messages")
		case names[r.Name]:
			v.fault(path+".name", "duplicate receiver %q; each needs its own name", r.Name)
		}
		names[r.Name] = true
		if len(r.To) == 0 && r.ToLabel == "" {
			v.fault(path+".to", "no recipients: list contacts or numbers, or set to_label")
		}
		r.Recipients = v.recipients(path+".to", r.To, known)
		v.paging(path, r, cfg, known)
		if r.ToLabel != "" && strings.TrimSpace(r.ToLabel) == "" {
			v.fault(path+".to_label", "blank; set the name of a label or annotation, or remove the key")
		}
		if strings.TrimSpace(r.Text) == "" {
			v.fault(path+".text", "empty; set a template, or remove the key")
		}
		for j, l := range r.Limits {
			at := fmt.Sprintf("%s.limits[%d]", path, j)
			if l.Messages < 1 || l.Messages > 1000 {
				v.fault(at+".messages", "must be 1 to 1000, is %d", l.Messages)
			}
			v.between(at+".per", l.Per, time.Second, day)
		}
		v.noBlank(path+".urgent", r.Urgent)
		r.Zone = v.zone(path+".timezone", r.Timezone)
		if r.MaxSegments < 1 || r.MaxSegments > 10 {
			v.fault(path+".max_segments", "must be 1 to 10, is %d", r.MaxSegments)
		}
		v.between(path+".dedupe_window", r.DedupeWindow, time.Second, day)
		v.between(path+".max_age", r.MaxAge, time.Minute, 7*day)
	}
}

// required does what between does, for a key without a default.
func (v *validator) required(path, what string, d, least, most time.Duration) {
	if _, given := v.places[path]; !given {
		v.fault(path, "missing; %s", what)
		return
	}
	v.between(path, d, least, most)
}

func (v *validator) between(path string, d, least, most time.Duration) {
	if d < least || d > most {
		v.fault(path, "must be %s to %s, is %s", written(least), written(most), written(d))
	}
}

// written returns a length of time in days, not weeks, as in the defaults and docs.
func written(d time.Duration) string {
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return model.Duration(d).String()
}

// Unreadable returns the error of a file that cannot be read, with what to do about it.
func Unreadable(err error) error {
	advice := "check the file"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "create the file, or correct its name; relative names begin at the folder of the configuration"
	case errors.Is(err, fs.ErrPermission):
		advice = "let the user that runs smspager read it"
	case errors.Is(err, syscall.EISDIR):
		advice = "name a file in that folder"
	}
	return fmt.Errorf("%w; %s", err, advice)
}

func (v *validator) absolute(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(v.dir, file)
}
