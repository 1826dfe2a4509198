package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/postgres"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// Options are the options of a [Receiver]. The zero value works.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
	// Registerer registers the metrics until the Receiver is closed. Two receivers that share
	// one need labels, see [prometheus.WrapRegistererWith]. Nil: the Receiver's own registry.
	Registerer prometheus.Registerer
	// Gatherer gathers what /metrics shows. Nil: Registerer, if it is a Gatherer, and
	// otherwise the metrics of this Receiver.
	Gatherer prometheus.Gatherer
	// BasicAuth reports whether the server in front of the Handler has checked this user's basic auth
	// password. Nil: it checks none, so no user of the console can log in by basic auth.
	BasicAuth func(user string) bool
	// RoutePrefix is the path under which the private handlers are, such as "/smspager". "": the root.
	RoutePrefix string
	// ExternalURL is how browsers reach the console, such as https://ops.example.com/smspager; the
	// console's links begin with its path. "": they begin with RoutePrefix.
	ExternalURL string
	// Load reads the configuration that POST /-/reload applies; nil: that path responds 404.
	Load func() (*config.Config, error)
	// Store replaces the outbox that the configuration names. The Receiver owns it, and Close
	// closes it. Nil: the configuration's.
	Store outbox.Store
	// Transport carries the requests to the provider, Alertmanager, calendars and the dead-man's
	// switch. The TLS and proxy settings of an http_config are then ignored; its credentials and
	// headers are used. Nil: each has its own transport.
	Transport http.RoundTripper
}

// join registers the Receiver's metrics as the options say.
func (r *Receiver) join(own *prometheus.Registry, o Options) error {
	r.gatherer, r.unregister = own, func() {}
	if o.Registerer != nil {
		if err := o.Registerer.Register(own); err != nil {
			return fmt.Errorf("register the metrics: %w; receivers that share a registry need labels (prometheus.WrapRegistererWith)", err)
		}
		r.unregister = func() { o.Registerer.Unregister(own) }
		if all, ok := o.Registerer.(prometheus.Gatherer); ok {
			r.gatherer = all
		}
	}
	if o.Gatherer != nil {
		r.gatherer = o.Gatherer
	}
	return nil
}

// open opens the outbox: Options.Store, or the one that a configuration names.
func (o Options) open(ctx context.Context, s config.Storage) (outbox.Store, error) {
	if o.Store != nil {
		return o.Store, nil
	}
	if s.PostgresURL != "" {
		return asStore(postgres.Open(ctx, s.PostgresURL.Reveal()))
	}
	return asStore(sqlite.Open(ctx, s.SQLite))
}

func asStore[S outbox.Store](s S, err error) (outbox.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// paths returns the path of the private handlers, and the path by which browsers reach them. "" is
// the root.
func (o Options) paths() (prefix, base string, err error) {
	prefix = strings.TrimSuffix(o.RoutePrefix, "/")
	base = prefix
	if o.ExternalURL != "" { // checked first, because the route prefix may come from it
		u, err := url.Parse(o.ExternalURL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || strings.Contains(u.Path, "//") || u.RawQuery != "" || u.Fragment != "" {
			return "", "", errors.New("the external URL must be like https://ops.example.com/smspager, without a login and a query")
		}
		base = strings.TrimSuffix(u.Path, "/")
	}
	if prefix != "" && (!strings.HasPrefix(prefix, "/") || path.Clean(prefix) != prefix || strings.ContainsAny(prefix, "{}%?# ")) {
		return "", "", fmt.Errorf("the route prefix must be a path such as /smspager, is %q", o.RoutePrefix)
	}
	if below := prefix + "/"; strings.HasPrefix(below, link.Path) || strings.HasPrefix(below, "/textinghouse/") {
		return "", "", fmt.Errorf("the route prefix must not be that of public paths (%s, /textinghouse/), is %q", link.Path, o.RoutePrefix)
	}
	return prefix, base, nil
}
