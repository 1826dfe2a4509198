package receiver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/console"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/phone"
	"github.com/smspager/smspager/receiver/internal/response"
)

// openDoors makes the API, the phone pages and the console.
func (r *Receiver) openDoors(o Options, own *prometheus.Registry) (err error) {
	r.access.BasicAuth, r.history.startedAt = o.BasicAuth, r.spool.Now()
	if r.prefix, r.base, err = o.paths(); err != nil {
		return err
	}
	r.api = api.New(api.Options{Store: r.spool, Contacts: r.people, Actor: r.oncall, Caller: caller{r}, State: state{r}, Logger: o.Logger, Registerer: own})
	r.phone = phone.New(phone.Options{Store: r.spool, OnCall: r.oncall, People: r.people, Logger: o.Logger, Registerer: own})
	r.console, err = console.New(console.Options{
		Store: r.spool, People: r.people, OnCall: r.oncall, State: state{r}, Previewer: previewer{r},
		Base: r.base, Version: version.Version, Logger: o.Logger, Transport: o.Transport, NotFound: api.NotFound,
	})
	return err
}

// Handler returns a handler of all paths: the console, the webhook, the callbacks, the phone pages,
// the API, /metrics, /-/healthy, /-/ready and, with Options.Load, /-/reload.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	r.public(mux)
	mux.Handle("/", r.private())
	return r.guarded(mux)
}

// PublicHandler returns a handler of the public paths: the provider's callbacks and the phone pages.
func (r *Receiver) PublicHandler() http.Handler {
	mux := http.NewServeMux()
	r.public(mux)
	mux.HandleFunc("/", api.NotFound)
	return r.guarded(mux)
}

// PrivateHandler returns a handler of all paths that [Receiver.PublicHandler] lacks.
func (r *Receiver) PrivateHandler() http.Handler { return r.guarded(r.private()) }

// NeedsNoLogin reports whether a server that checks basic auth must let a request pass without it: a
// request to /-/healthy, /-/ready or a public path, or with the bearer token that its path requires.
func (r *Receiver) NeedsNoLogin(req *http.Request) bool {
	return r.access.NeedsNoLogin(r.withoutPrefix(tidy(req)))
}

// policy is the Content-Security-Policy of the responses: what browsers may load, and where forms may go.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded wraps a handler with what every request needs: headers for browsers, and a 403 if another web
// site makes a browser change something.
func (r *Receiver) guarded(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		response.Write(w, http.StatusForbidden, errors.New("this request comes from another web site, which may not change anything here"))
	}))
	next = protection.Handler(next)
	return WithHeaders(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { next.ServeHTTP(w, tidy(req)) }))
}

// WithHeaders adds the security headers for browsers to a handler's responses. A Receiver's handlers add
// them themselves; a login check in front of them does not.
func WithHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, req)
	})
}

// withoutPrefix returns a request for a private path as if there were no route prefix.
func (r *Receiver) withoutPrefix(req *http.Request) *http.Request {
	rest, under := strings.CutPrefix(req.URL.Path, r.prefix)
	if r.prefix == "" || !under || rest != "" && rest[0] != '/' {
		return req
	}
	u := *req.URL
	u.Path = rest
	short := *req
	short.URL = &u
	return &short
}

// slashes matches several slashes in a row.
var slashes = regexp.MustCompile(`/{2,}`)

// tidy replaces several slashes in a row with one. A ServeMux would redirect instead, and neither
// Alertmanager nor the provider is obliged to follow. An encoded slash is part of a name, and
// stays.
func tidy(req *http.Request) *http.Request {
	given := req.URL.EscapedPath()
	if !strings.Contains(given, "//") {
		return req
	}
	tidy := slashes.ReplaceAllString(given, "/")
	path, err := url.PathUnescape(tidy)
	if err != nil {
		return req
	}
	u := *req.URL
	u.Path, u.RawPath = path, tidy
	short := *req
	short.URL = &u
	return &short
}

// private returns a handler of the paths for people and Alertmanager, below the route prefix. Those for
// people learn who makes the request.
func (r *Receiver) private() http.Handler {
	mux, reload := http.NewServeMux(), r.access.Handler(http.HandlerFunc(r.serveReload))
	mux.Handle("/alertmanager", r.intake)
	mux.Handle("/alertmanager/{receiver...}", r.intake)
	mux.Handle("/api/v1/", r.access.Handler(r.api))
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "smspager is healthy.") })
	mux.HandleFunc("GET /-/ready", r.serveReady)
	if r.load != nil {
		mux.Handle("POST /-/reload", reload)
		mux.Handle("PUT /-/reload", reload)
		mux.HandleFunc("/-/reload", response.MethodNotAllowed(http.MethodPost))
	}
	for _, path := range []string{"/metrics", "/-/healthy", "/-/ready"} {
		mux.HandleFunc(path, response.MethodNotAllowed(http.MethodGet))
	}
	mux.Handle("/", r.access.Handler(r.console))
	if r.prefix == "" {
		return mux
	}
	below := http.NewServeMux()
	below.Handle(r.prefix+"/", http.StripPrefix(r.prefix, mux))
	toConsole := http.RedirectHandler(r.base+"/", http.StatusFound)
	below.Handle("GET /{$}", toConsole)
	below.Handle("GET "+r.prefix, toConsole)
	below.HandleFunc("/", api.NotFound)
	return below
}

// public adds the paths for the provider and for phones.
func (r *Receiver) public(mux *http.ServeMux) {
	serve := func(w http.ResponseWriter, req *http.Request) { (*r.callbacks.Load()).ServeHTTP(w, req) }
	for _, end := range []string{"", "/{$}"} {
		mux.HandleFunc("/textinghouse/{token}/dlr"+end, serve)
		mux.HandleFunc("/textinghouse/{token}/mo"+end, serve)
	}
	mux.Handle(link.Path, r.phone)
}

// slowBacklog is how old a backlog of the spool must be to be reported: writing behind takes up to a second.
const slowBacklog = 2 * time.Second

// serveReady responds 200 while notifications are accepted and can be stored. Further lines report
// other troubles; the status stays 200, because notifications are still accepted.
func (r *Receiver) serveReady(w http.ResponseWriter, _ *http.Request) {
	backlog := func() {
		if n, since := r.spool.Backlog(); n > 0 && time.Since(since) > slowBacklog {
			fmt.Fprintf(w, "%d entries and changes are waiting to be stored, the oldest for %s.\n", n, time.Since(since).Round(time.Second))
		}
	}
	if !r.running.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "smspager is starting or shutting down.")
		return
	}
	if err := r.spool.Trouble(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "The outbox cannot be written: %v. Pages are sent immediately, and stored once it can be written again.\n", err)
		backlog()
		return
	}
	fmt.Fprintln(w, "smspager is ready.")
	backlog()
	if r.spool.BadClock() {
		ahead, side := r.spool.ClockAhead(), "ahead of"
		if ahead < 0 {
			side = "behind"
		}
		fmt.Fprintf(w, "This machine's clock is %s %s the database's. smspager uses the database's clock. Synchronize this machine's clock (NTP).\n", ahead.Abs().Round(time.Second), side)
	}
	if refusal := r.delivery.Refusal(); refusal != "" {
		fmt.Fprintf(w, "The provider refuses the account: %s. Messages are kept; smspager tries again every minute.\n", refusal)
	}
	if !r.reachable() {
		fmt.Fprintln(w, "No endpoint of the provider works. Messages are kept; smspager tries again.")
	}
	if r.history.refused() { // the reason is only for callers that log in
		fmt.Fprintln(w, "A changed configuration was refused; the old one stays in force: run smspager check-config.")
	}
}

func (r *Receiver) serveReload(w http.ResponseWriter, req *http.Request) {
	if caller := access.From(req.Context()); !caller.Open {
		if err := caller.May(config.Admin); err != nil {
			response.Write(w, access.Status(err), err)
			return
		}
	}
	if err := r.Reload(); err != nil {
		response.Write(w, http.StatusInternalServerError, fmt.Errorf("not reloaded; the old configuration stays in force: %w", err))
		return
	}
	fmt.Fprintln(w, "smspager has reloaded its configuration.")
}
