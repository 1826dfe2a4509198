package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/e164"
)

// validator checks what a document says, resolves it, and reports its faults.
type validator struct {
	*decoder
	dir string // that of the configuration file
}

var (
	senderID      = regexp.MustCompile(`^[a-zA-Z0-9]{0,11}$`)
	callbackToken = regexp.MustCompile(`^[A-Za-z0-9_-]{16,}$`)
)

// check validates and resolves a configuration, then lets other rooms check it.
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
				v.fault(path, "must be the name of a label, is empty")
			case seen[label]:
				v.fault(path, "%q is listed twice", label)
			}
			seen[label] = true
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
	v.templating(&cfg.Templating)
	contacts := v.contacts(cfg.Contacts)
	known := people{contacts: contacts, rotas: v.rotas(cfg.Rotas, contacts)}
	v.receivers(cfg, known)
	v.heartbeats(cfg, known)
	v.rest(cfg, known)
}

func (v *validator) storage(s *Storage) {
	_, sqlite := v.places["storage.sqlite"]
	v.secret("storage.postgres_url", &s.PostgresURL, &s.PostgresURLFile)
	switch postgres := s.PostgresURL != "" || s.PostgresURLFile != ""; {
	case postgres && sqlite:
		v.fault("storage.sqlite", "stands beside PostgreSQL; remove one of the two")
	case postgres:
		s.SQLite = ""
	case s.SQLite == "":
		v.fault("storage.sqlite", "must name a file")
	default:
		s.SQLite = v.absolute(s.SQLite)
	}
	v.between("storage.retention", s.Retention, day, 3650*day)
}

func (v *validator) textingHouse(t *TextingHouse) {
	if _, given := v.places["textinghouse"]; !given {
		v.fault("textinghouse", "is missing; give the account's user and password_file")
		return
	}
	if t.User == "" {
		v.fault("textinghouse.user", "is missing; give the user of the HTTP API (in the portal: Options)")
	}
	if v.secret("textinghouse.password", &t.Password, &t.PasswordFile) && t.Password == "" {
		v.fault("textinghouse.password_file", "is missing; name a file that holds the password of the HTTP API")
	}
	if len(t.Endpoints) == 0 {
		v.fault("textinghouse.endpoints", "must name at least one URL, or be left out")
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
		v.fault(v.given("textinghouse.callback_token"), "must be at least 16 of A-Z, a-z, 0-9, _ and -, as it stands in a URL; make one with: openssl rand -hex 16")
	}
	if len(t.CallbackNetworks) > 0 && t.CallbackToken == "" && t.CallbackTokenFile == "" {
		v.fault("textinghouse.callback_networks", "needs callback_token_file: without a token there are no callbacks")
	}
}

// endpoint checks a URL that the password is sent to. It does not print it: it
// may hold a password of its own.
func (v *validator) endpoint(path, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		v.fault(path, "must be a URL such as https://api.textinghouse.com/http/v1/do")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		v.fault(path, "must be a URL without user, password and parameters; those stand under textinghouse")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		v.fault(path, "must be an https URL: over http the password would be readable on the way")
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// secret reads a secret from its file, if it names one, and forgets the file's name. It
// returns false if it has reported a fault.
func (v *validator) secret(path string, s *Secret, file *string) bool {
	_, inline := v.places[path]
	_, named := v.places[path+"_file"]
	if inline && named {
		v.fault(path+"_file", "stands beside %s; remove one of the two", path[strings.LastIndexByte(path, '.')+1:])
		return false
	}
	if inline && *s == "" {
		v.fault(path, "is empty; put the secret here, or name a file that holds it with %s_file", path[strings.LastIndexByte(path, '.')+1:])
		return false
	}
	if *file == "" {
		return true
	}
	text, err := os.ReadFile(v.absolute(*file))
	if err != nil {
		v.fault(path+"_file", "cannot be read: %v", err)
		return false
	}
	*s = Secret(strings.Trim(string(text), "\r\n"))
	if *s == "" {
		v.fault(path+"_file", "the file %s is empty; put the secret into it", *file)
		return false
	}
	*file = ""
	return true
}

// given is the path of a secret's key, as the document has it.
func (v *validator) given(path string) string {
	if _, inline := v.places[path]; inline {
		return path
	}
	return path + "_file"
}

func (v *validator) contacts(contacts []Contact) map[string]e164.Number {
	numbers := make(map[string]e164.Number)
	for i := range contacts {
		c, path := &contacts[i], fmt.Sprintf("contacts[%d]", i)
		_, twice := numbers[c.Name]
		_, err := e164.Parse(c.Name)
		switch {
		case strings.TrimSpace(c.Name) == "":
			v.fault(path+".name", "is missing; give the contact a name for to")
		case twice:
			v.fault(path+".name", "%q is the name of a contact before; give each its own", c.Name)
		case err == nil, strings.ContainsAny(c.Name, ",;\n"), strings.HasPrefix(c.Name, rotaPrefix):
			v.fault(path+".name", "must not look like a number or a rota, or hold a comma, is %q", c.Name)
		}
		number, err := e164.Parse(string(c.Number))
		if err != nil {
			v.fault(path+".number", "%v, is %q", err, c.Number)
		}
		c.Number = number
		numbers[c.Name] = number
		v.quiet(path+".quiet", &c.Quiet)
	}
	return numbers
}

func (v *validator) receivers(cfg *Config, known people) {
	receivers := cfg.Receivers
	if len(receivers) == 0 {
		v.fault("receivers", "is missing; name at least one of Alertmanager's receivers and whom to page")
	}
	names := make(map[string]bool)
	for i := range receivers {
		r, path := &receivers[i], fmt.Sprintf("receivers[%d]", i)
		switch {
		case r.Name == "":
			v.fault(path+".name", "is missing; give the name of the receiver in Alertmanager's configuration")
		case strings.HasPrefix(r.Name, "probe:"), strings.HasPrefix(r.Name, "smspager:"):
			v.fault(path+".name", "must not begin with probe: or smspager:, as smspager's own messages do")
		case names[r.Name]:
			v.fault(path+".name", "%q is the name of a receiver before; give each its own", r.Name)
		}
		names[r.Name] = true
		if len(r.To) == 0 && r.ToLabel == "" {
			v.fault(path+".to", "names nobody; give contacts or numbers, or set to_label")
		}
		r.Recipients = v.recipients(path+".to", r.To, known)
		v.paging(path, r, cfg, known)
		if r.ToLabel != "" && strings.TrimSpace(r.ToLabel) == "" {
			v.fault(path+".to_label", "must name a label or annotation")
		}
		if strings.TrimSpace(r.Text) == "" {
			v.fault(path+".text", "must be a template, or be left out")
		}
		for j, l := range r.Limits {
			at := fmt.Sprintf("%s.limits[%d]", path, j)
			if l.Messages < 1 || l.Messages > 1000 {
				v.fault(at+".messages", "must be 1 to 1000, is %d", l.Messages)
			}
			v.between(at+".per", l.Per, time.Second, day)
		}
		r.Zone = v.zone(path+".timezone", r.Timezone)
		if r.MaxSegments < 1 || r.MaxSegments > 10 {
			v.fault(path+".max_segments", "must be 1 to 10, is %d", r.MaxSegments)
		}
		v.between(path+".dedupe_window", r.DedupeWindow, time.Second, day)
		v.between(path+".max_age", r.MaxAge, time.Minute, 7*day)
	}
}

// required is between of what has no default.
func (v *validator) required(path, what string, d, least, most time.Duration) {
	if _, given := v.places[path]; !given {
		v.fault(path, "is missing; %s", what)
		return
	}
	v.between(path, d, least, most)
}

func (v *validator) between(path string, d, least, most time.Duration) {
	if d < least || d > most {
		v.fault(path, "must be %s to %s, is %s", model.Duration(least), model.Duration(most), model.Duration(d))
	}
}

func (v *validator) absolute(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(v.dir, file)
}
