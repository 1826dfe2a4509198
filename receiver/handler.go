package receiver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// private adds what people and Alertmanager use.
func (r *Receiver) private(mux *http.ServeMux) {
	mux.Handle("/alertmanager", r.intake)
	mux.Handle("/alertmanager/{receiver...}", r.intake)
	mux.HandleFunc("GET /api/v1/messages", r.console.ServeList)
	mux.HandleFunc("GET /api/v1/messages/{id}", r.console.ServeMessage)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{Registry: r.registry}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "smspager is healthy.") })
	mux.HandleFunc("GET /-/ready", r.serveReady)
	if r.load != nil {
		mux.HandleFunc("POST /-/reload", r.serveReload)
	}
	mux.HandleFunc("/", serveNotFound)
}

// public adds what the provider calls back.
func (r *Receiver) public(mux *http.ServeMux) {
	mux.HandleFunc("/textinghouse/{token}/dlr", r.delivery.ServeReceipt)
	mux.HandleFunc("/textinghouse/{token}/mo", r.delivery.ServeReply)
}

func serveNotFound(w http.ResponseWriter, _ *http.Request) {
	fail(w, http.StatusNotFound, errors.New("no such path; see docs/http.md"))
}

// serveReady says whether notifications are taken in. A refused account keeps
// them waiting, but not out: it is told in a line, and stays ready.
func (r *Receiver) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !r.running.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "smspager is starting or shutting down.")
		return
	}
	if err := r.store.Trouble(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "The outbox cannot be written: %v. Pages are sent without a record; it is tried again.\n", err)
		return
	}
	fmt.Fprintln(w, "smspager is ready.")
	if refusal := r.delivery.Refusal(); refusal != "" {
		fmt.Fprintf(w, "Nothing is sent, as the provider refuses the account: %s. Messages are kept and tried again every minute.\n", refusal)
	}
}

func (r *Receiver) serveReload(w http.ResponseWriter, _ *http.Request) {
	if err := r.Reload(); err != nil {
		fail(w, http.StatusInternalServerError, fmt.Errorf("not reloaded, the old configuration stays: %w", err))
		return
	}
	fmt.Fprintln(w, "smspager has reloaded its configuration.")
}

func fail(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
