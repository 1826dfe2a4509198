package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
)

// API holds the settings of the JSON API, which scripts and the command line use.
type API struct {
	Token     Secret `yaml:"token"` // bearer token, role admin; "": none
	TokenFile string `yaml:"token_file"`
}

// Role says what a login may do.
type Role string

// The roles. Each includes the one before it.
const (
	Viewer    Role = "viewer"    // read; numbers are shortened
	Responder Role = "responder" // act on pages, as a contact
	Admin     Role = "admin"     // read whole numbers, verify phones, reload the configuration
)

func roles() []Role { return []Role{Viewer, Responder, Admin} }

// Includes reports whether a role may do everything that another one may.
func (r Role) Includes(other Role) bool {
	return slices.Index(roles(), r) >= slices.Index(roles(), other)
}

// Console sets who may log in, and what they may do in the console and the API. Logins come from basic
// auth or from a proxy.
type Console struct {
	Users []ConsoleUser `yaml:"users"`
	// LoginHeader is the header in which a trusted proxy names the login; "": no proxy logs people in.
	LoginHeader    string         `yaml:"login_header"`
	GroupsHeader   string         `yaml:"groups_header"`   // header that names the login's groups, separated by commas
	Groups         []ConsoleGroup `yaml:"groups"`          // roles of those groups
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"` // proxies whose headers count
}

// ConsoleUser sets what a login may do.
type ConsoleUser struct {
	Login   string `yaml:"login"`
	Contact string `yaml:"contact"` // the login's contact; "": none, so the login cannot act on pages
	Role    Role   `yaml:"role"`
}

// ConsoleGroup sets what the members of a proxy's group may do. A member's contact is the one whose
// name or alias is the login.
type ConsoleGroup struct {
	Name string `yaml:"name"`
	Role Role   `yaml:"role"`
}

// Web sets how others reach the public listener.
type Web struct {
	PublicURL string `yaml:"public_url"` // such as https://sms.example.com; "": pages have no links
	// ReplyNumber is the number that texts come from. If it is "", the page for phones leaves the
	// number to the phone.
	ReplyNumber e164.Number `yaml:"reply_number"`
}

func (v *validator) access(cfg *Config, contacts map[string]e164.Number) {
	v.secret("api.token", &cfg.API.Token, &cfg.API.TokenFile)
	if cfg.API.Token != "" && cfg.API.Token == cfg.Webhook.Token {
		v.fault(v.given("api.token"), "must differ from webhook.token, which must not open the API; create one with: openssl rand -hex 16")
	}
	c := &cfg.Console
	logins := make(map[string]bool)
	for i := range c.Users {
		u, path := &c.Users[i], fmt.Sprintf("console.users[%d]", i)
		switch {
		case strings.TrimSpace(u.Login) == "":
			v.fault(path+".login", "missing; set the user of basic auth (--web.config.file) or the login that the proxy names")
		case logins[u.Login]:
			v.fault(path+".login", "duplicate login %q; remove one", u.Login)
		}
		logins[u.Login] = true
		v.role(path, &u.Role)
		if _, known := contacts[u.Contact]; u.Contact != "" && !known {
			v.fault(path+".contact", "no contact is named %q", u.Contact)
		}
		if u.Contact == "" && u.Role == Responder {
			v.fault(path+".contact", "missing; a responder acts as a contact")
		}
	}
	v.proxy(c)
	v.web(cfg)
}

// proxy checks the settings of the proxy that people log in to.
func (v *validator) proxy(c *Console) {
	for i := range c.Groups {
		g, path := &c.Groups[i], fmt.Sprintf("console.groups[%d]", i)
		if strings.TrimSpace(g.Name) == "" || strings.Contains(g.Name, ",") {
			v.fault(path+".name", "must be the name of a group, without a comma, is %q", g.Name)
		}
		v.role(path, &g.Role)
	}
	switch {
	case c.LoginHeader != "" && len(c.TrustedProxies) == 0:
		v.fault("console.login_header", "requires trusted_proxies: anybody else could write that header")
	case c.LoginHeader == "" && len(c.TrustedProxies) > 0:
		v.fault("console.trusted_proxies", "requires login_header, the header in which the proxy names who has logged in")
	case c.GroupsHeader != "" && c.LoginHeader == "":
		v.fault("console.groups_header", "requires login_header")
	case len(c.Groups) > 0 && c.GroupsHeader == "":
		v.fault("console.groups", "requires groups_header, the header in which the proxy names groups")
	}
}

func (v *validator) role(path string, r *Role) {
	if !slices.Contains(roles(), *r) {
		v.fault(path+".role", "must be one of %v, is %q", roles(), *r)
	}
}

// linkCharacters are the characters that the provider allows and that every phone shows as part of a
// link.
const linkCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:/"

// web checks the public URL, and that links have one.
func (v *validator) web(cfg *Config) {
	if raw := cfg.Web.PublicURL; raw != "" {
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
			v.fault("web.public_url", "must be an https URL such as https://sms.example.com")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			v.fault("web.public_url", "must be a URL without user, password and parameters")
		case strings.Trim(raw, linkCharacters) != "":
			v.fault("web.public_url", "must consist of a-z, A-Z, 0-9 and -.:/ only, which texts can hold")
		default:
			cfg.Web.PublicURL = strings.TrimSuffix(raw, "/")
		}
	}
	if n := cfg.Web.ReplyNumber; n != "" {
		number, err := e164.Parse(string(n))
		if err != nil {
			v.fault("web.reply_number", "%v, is %q", err, n)
		}
		cfg.Web.ReplyNumber = number
	}
	for i := range cfg.Receivers {
		r, path := &cfg.Receivers[i], fmt.Sprintf("receivers[%d].link", i)
		switch {
		case r.Link && cfg.Web.PublicURL == "":
			v.fault(path, "requires web.public_url, the address of --public.listen-address as phones reach it")
		case r.Link && !r.Pages():
			v.fault(path, "requires acknowledge or escalate: without a page there is nothing to link to")
		}
	}
}

// contactPrefix begins the name of the receiver that pages one contact by hand.
const contactPrefix = "contact:"

// ContactReceiver returns the name of the receiver that pages a contact by hand.
func ContactReceiver(contact string) string { return contactPrefix + contact }

// IsContactReceiver reports whether a receiver pages one contact by hand. No other receiver may have
// such a name.
func IsContactReceiver(name string) bool { return strings.HasPrefix(name, contactPrefix) }

// WithContacts returns a copy of a resolved configuration with a receiver for each contact. Its pages
// go to that contact only.
func (cfg *Config) WithContacts() *Config {
	all := *cfg
	all.Receivers = slices.Clone(cfg.Receivers)
	for _, c := range cfg.Contacts {
		var r Receiver
		r.setDefaults()
		r.Name, r.Acknowledge = ContactReceiver(c.Name), true
		r.To, r.Recipients = []string{c.Name}, []Recipient{{Name: c.Name, Number: c.Number}}
		if c.Quiet.Zone != nil {
			r.Timezone, r.Zone = c.Quiet.Timezone, c.Quiet.Zone
		}
		all.Receivers = append(all.Receivers, r)
	}
	return &all
}

// variable matches an environment variable as shells, Compose and Kubernetes write it.
var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*[^}]*\}|^\$\([A-Za-z_][A-Za-z0-9_]*\)$`)
