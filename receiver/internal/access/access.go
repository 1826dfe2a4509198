// Package access determines who makes a request, and what they may do.
//
// A person logs in by basic auth, which the server in front of this package checks, or at a proxy
// that names them in a header. Scripts and the command line have a bearer token. A request without
// any of these is anonymous, and may only read.
package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
)

// Caller is who makes a request.
type Caller struct {
	Login   string      // "": anonymous, or a script with the token
	Contact string      // the contact of the login; "": none
	Role    config.Role // at least config.Viewer
	Open    bool        // nobody can log in here
}

// Number returns a phone number as the caller may see it.
func (c Caller) Number(n e164.Number) string {
	if c.Role.Includes(config.Admin) {
		return string(n)
	}
	return n.Short()
}

// ErrLogin is the error if the caller must log in first.
var ErrLogin = errors.New("log in first: use the token of api.token_file, basic auth (--web.config.file and console.users) or a trusted proxy; see docs/console.md")

// ErrRole is the error if the caller has logged in, but may not do this.
var ErrRole = errors.New("your role does not allow this; see console.users and docs/console.md")

// May returns nil if the caller has a role, otherwise ErrLogin or ErrRole.
func (c Caller) May(role config.Role) error {
	switch {
	case c.Role.Includes(role):
		return nil
	case c.Login == "":
		return ErrLogin
	}
	return ErrRole
}

// As returns the contact that the caller acts as on a page. A script or an admin may name any contact;
// everybody else acts as the contact of their login.
func (c Caller) As(by string) (contact string, err error) {
	if err := c.May(config.Responder); err != nil {
		return "", err
	}
	switch {
	case by == "" && c.Contact == "":
		return "", ErrNobody
	case by == "" || by == c.Contact:
		return c.Contact, nil
	case c.Role.Includes(config.Admin):
		return by, nil
	}
	return "", ErrRole
}

// ErrNobody is the error if no contact is known for an act.
var ErrNobody = errors.New(`name the contact who acts: "by" (--by), or console.users with a contact for the login`)

// Status returns the HTTP status of an error of this package.
func Status(err error) int {
	switch {
	case errors.Is(err, ErrLogin):
		return http.StatusUnauthorized
	case errors.Is(err, ErrRole):
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// Control determines who makes a request. Configure must be called before anything else. It is safe for
// concurrent use.
type Control struct {
	// BasicAuth reports whether the server in front has checked this user's basic auth password. Nil:
	// it checks none.
	BasicAuth func(user string) bool

	settings atomic.Pointer[settings]
}

type settings struct {
	token   config.Secret
	webhook config.Secret
	console config.Console
	aliases map[string]string // contacts by name and alias in lower case
}

// Configure sets or replaces the configuration.
func (c *Control) Configure(cfg *config.Config) {
	s := &settings{token: cfg.API.Token, webhook: cfg.Webhook.Token, console: cfg.Console, aliases: make(map[string]string)}
	for _, contact := range cfg.Contacts {
		for _, alias := range contact.Aliases {
			s.aliases[strings.ToLower(alias)] = contact.Name
		}
	}
	for _, contact := range cfg.Contacts {
		s.aliases[strings.ToLower(contact.Name)] = contact.Name
	}
	c.settings.Store(s)
}

// open reports whether nobody can log in.
func (s *settings) open() bool {
	return s.token == "" && len(s.console.Users) == 0 && s.console.LoginHeader == ""
}

// Caller returns who makes a request.
func (c *Control) Caller(r *http.Request) Caller {
	s := c.settings.Load()
	nobody := Caller{Role: config.Viewer, Open: s.open()}
	if token, ok := Bearer(r); ok {
		if s.token != "" && s.token.Matches(token) {
			return Caller{Role: config.Admin}
		}
		return nobody
	}
	if logins := r.Header.Values(s.console.LoginHeader); s.console.LoginHeader != "" && strings.Join(logins, "") != "" && s.trusts(r) {
		if len(logins) > 1 { // it is unknown which of them is the proxy's
			return nobody
		}
		return s.named(logins[0], r.Header.Values(s.console.GroupsHeader))
	}
	if user, _, ok := r.BasicAuth(); ok && c.BasicAuth != nil && c.BasicAuth(user) {
		return s.named(user, nil)
	}
	return nobody
}

// named returns the caller with a login and groups.
func (s *settings) named(login string, groups []string) Caller {
	caller := Caller{Login: login, Role: config.Viewer}
	if i := slices.IndexFunc(s.console.Users, func(u config.ConsoleUser) bool { return u.Login == login }); i >= 0 {
		caller.Contact, caller.Role = s.console.Users[i].Contact, s.console.Users[i].Role
	}
	for _, group := range s.console.Groups {
		member := slices.ContainsFunc(groups, func(list string) bool {
			return slices.ContainsFunc(strings.Split(list, ","), func(name string) bool { return strings.TrimSpace(name) == group.Name })
		})
		if member && group.Role.Includes(caller.Role) {
			caller.Role = group.Role
		}
	}
	if caller.Contact == "" && caller.Role != config.Viewer {
		caller.Contact = s.aliases[strings.ToLower(login)]
	}
	return caller
}

// trusts reports whether a request comes from a trusted proxy.
func (s *settings) trusts(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(s.console.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap().WithZone("")) })
}

// NeedsNoLogin reports whether a request is allowed without basic auth: it asks for smspager's health,
// has a public path, or has a token that its path requires.
func (c *Control) NeedsNoLogin(r *http.Request) bool {
	path := r.URL.Path
	if path == "/-/healthy" || path == "/-/ready" || strings.HasPrefix(path, "/textinghouse/") || strings.HasPrefix(path, "/p/") {
		return true
	}
	s := c.settings.Load()
	token, ok := Bearer(r)
	hook := path == "/alertmanager" || strings.HasPrefix(path, "/alertmanager/")
	return ok && (s.token != "" && s.token.Matches(token) || hook && s.webhook != "" && s.webhook.Matches(token))
}

// Bearer returns the bearer token of a request.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), found && strings.EqualFold(scheme, "Bearer")
}

type key struct{}

// Handler returns a handler that adds the Caller of each request to its context, see From.
func (c *Control) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(With(r.Context(), c.Caller(r))))
	})
}

// With returns a context for requests of a caller.
func With(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, key{}, caller)
}

// From returns the caller of a request, from its context. If the context has none, the caller is anonymous.
func From(ctx context.Context) Caller {
	if caller, ok := ctx.Value(key{}).(Caller); ok {
		return caller
	}
	return Caller{Role: config.Viewer}
}
