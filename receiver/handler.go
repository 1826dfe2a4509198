package receiver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/oncall"
)

// private adds what people and Alertmanager use.
func (r *Receiver) private(mux *http.ServeMux) {
	mux.Handle("/alertmanager", r.intake)
	mux.Handle("/alertmanager/{receiver...}", r.intake)
	mux.HandleFunc("GET /api/v1/messages", r.console.ServeList)
	mux.HandleFunc("GET /api/v1/messages/{id}", r.console.ServeMessage)
	mux.HandleFunc("GET /api/v1/pages", r.console.ServePages)
	mux.HandleFunc("GET /api/v1/pages/{id}", r.console.ServePage)
	mux.HandleFunc("GET /api/v1/replies", r.console.ServeReplies)
	mux.HandleFunc("GET /api/v1/contacts", r.serveContacts)
	mux.HandleFunc("POST /api/v1/contacts/{name}/verify", r.serveVerify)
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
		fmt.Fprintf(w, "The outbox cannot be written: %v. Pages are sent without a record; it is tried again.\n", err)
		backlog()
		return
	}
	fmt.Fprintln(w, "smspager is ready.")
	backlog()
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

// Contact is a contact as the API shows it.
type Contact struct {
	Name       string    `json:"name"`
	State      string    `json:"state"` // "verified", "unverified" or "stopped"
	VerifiedAt *api.Time `json:"verified_at"`
	StoppedAt  *api.Time `json:"stopped_at"`
}

// NewContact is what is known of a contact, as the API shows it.
func NewContact(c oncall.ContactState) Contact {
	shown := Contact{Name: c.Name, State: c.State()}
	if !c.Verified.IsZero() {
		shown.VerifiedAt = (*api.Time)(&c.Verified)
	}
	if !c.Stopped.IsZero() {
		shown.StoppedAt = (*api.Time)(&c.Stopped)
	}
	return shown
}

func (r *Receiver) serveContacts(w http.ResponseWriter, _ *http.Request) {
	contacts := []Contact{}
	for _, c := range r.oncall.Contacts() {
		contacts = append(contacts, NewContact(c))
	}
	answer(w, http.StatusOK, map[string]any{"contacts": contacts})
}

// serveVerify sends a contact a code to answer.
func (r *Receiver) serveVerify(w http.ResponseWriter, req *http.Request) {
	switch err := r.oncall.Verify(req.Context(), req.PathValue("name")); {
	case errors.Is(err, oncall.ErrUnknownContact):
		fail(w, http.StatusNotFound, err)
	case err != nil:
		r.logger.Error("a verification could not be sent", "err", err)
		fail(w, http.StatusServiceUnavailable, errors.New("the text could not be stored; try again (the log says why)"))
	default:
		answer(w, http.StatusOK, map[string]string{"status": "sent"})
	}
}

func fail(w http.ResponseWriter, code int, err error) {
	answer(w, code, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}
