package receiver

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/response"
)

// Handler returns a handler of all paths: the webhook, the callbacks, the API, /metrics,
// /-/healthy, /-/ready and, with Options.Load, /-/reload.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	r.private(mux)
	r.public(mux)
	return tidied(mux)
}

// PublicHandler returns a handler of the provider's callbacks only.
func (r *Receiver) PublicHandler() http.Handler {
	mux := http.NewServeMux()
	r.public(mux)
	return tidied(mux)
}

// PrivateHandler returns a handler of all paths that [Receiver.PublicHandler] lacks.
func (r *Receiver) PrivateHandler() http.Handler {
	mux := http.NewServeMux()
	r.private(mux)
	return tidied(mux)
}

// slashes are several in a row.
var slashes = regexp.MustCompile(`/{2,}`)

// tidied serves several slashes in a row as one: a ServeMux redirects, and neither Alertmanager nor the
// provider need follow. An encoded slash is part of a name.
func tidied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		given := req.URL.EscapedPath()
		tidy := slashes.ReplaceAllString(given, "/")
		if path, err := url.PathUnescape(tidy); err == nil && tidy != given {
			u := *req.URL
			u.Path, u.RawPath = path, tidy
			req = req.Clone(req.Context())
			req.URL = &u
		}
		next.ServeHTTP(w, req)
	})
}

// private adds the paths for people and Alertmanager.
func (r *Receiver) private(mux *http.ServeMux) {
	mux.Handle("/alertmanager", r.intake)
	mux.Handle("/alertmanager/{receiver...}", r.intake)
	mux.Handle("/api/v1/", r.api)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "smspager is healthy.") })
	mux.HandleFunc("GET /-/ready", r.serveReady)
	if r.load != nil {
		mux.HandleFunc("POST /-/reload", r.serveReload)
		mux.HandleFunc("PUT /-/reload", r.serveReload)
	}
	mux.HandleFunc("/", api.NotFound)
}

// public adds the paths for the provider.
func (r *Receiver) public(mux *http.ServeMux) {
	serve := func(w http.ResponseWriter, req *http.Request) { (*r.callbacks.Load()).ServeHTTP(w, req) }
	for _, end := range []string{"", "/{$}"} {
		mux.HandleFunc("/textinghouse/{token}/dlr"+end, serve)
		mux.HandleFunc("/textinghouse/{token}/mo"+end, serve)
	}
}

// serveReady responds 200 while notifications are taken and can be stored. A line reports a
// refused account; it does not matter for the status, because notifications are taken.
func (r *Receiver) serveReady(w http.ResponseWriter, _ *http.Request) {
	backlog := func() {
		if n, since := r.spool.Backlog(); n > 0 {
			fmt.Fprintf(w, "%d entries and changes wait to be stored, for %s at most.\n", n, time.Since(since).Round(time.Second))
		}
	}
	if !r.running.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "smspager is starting or shutting down.")
		return
	}
	if err := r.spool.Trouble(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "The outbox cannot be written: %v. Pages are sent immediately, and stored when it can.\n", err)
		backlog()
		return
	}
	fmt.Fprintln(w, "smspager is ready.")
	backlog()
	if refusal := r.delivery.Refusal(); refusal != "" {
		fmt.Fprintf(w, "The provider refuses the account: %s. Messages are kept; smspager tries again every minute.\n", refusal)
	}
}

func (r *Receiver) serveReload(w http.ResponseWriter, _ *http.Request) {
	if err := r.Reload(); err != nil {
		response.Write(w, http.StatusInternalServerError, fmt.Errorf("not reloaded; the old configuration stays in force: %w", err))
		return
	}
	fmt.Fprintln(w, "smspager has reloaded its configuration.")
}
