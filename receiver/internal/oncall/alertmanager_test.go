package oncall_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
)

// fakeAlertmanager is as much of one as silences need.
type fakeAlertmanager struct {
	mu       sync.Mutex
	silences []alertmanager.Silence
	fires    bool   // every alert of a silence fires
	broken   bool   // answers 503
	breakAt  int    // breaks once so many silences were set; 0: not
	refusal  string // answers 400
}

func (a *fakeAlertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.broken:
		http.Error(w, "away", http.StatusServiceUnavailable)
	case a.refusal != "":
		http.Error(w, a.refusal, http.StatusBadRequest)
	case r.Method == http.MethodPost && r.URL.Path == "/api/v2/silences":
		var s alertmanager.Silence
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &s); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.ID, s.Status = fmt.Sprint("silence-", len(a.silences)+1), &alertmanager.Status{State: "active"}
		a.silences = append(a.silences, s)
		if a.broken = len(a.silences) == a.breakAt; a.broken {
			panic(http.ErrAbortHandler) // and the answer is lost
		}
		fmt.Fprintf(w, `{"silenceID":%q}`, s.ID)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/silences":
		_ = json.NewEncoder(w).Encode(a.silences)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/alerts":
		alerts := []map[string]string{}
		for _, s := range a.silences {
			if _, fingerprint, ok := strings.Cut(s.Comment, ", alert "); ok && a.fires {
				alerts = append(alerts, map[string]string{"fingerprint": fingerprint})
			}
		}
		_ = json.NewEncoder(w).Encode(alerts)
	case r.Method == http.MethodDelete:
		for i := range a.silences {
			if strings.HasSuffix(r.URL.Path, "/"+a.silences[i].ID) {
				a.silences[i].Status.State = "expired"
			}
		}
	default:
		http.NotFound(w, r)
	}
}

// set changes the fake.
func (a *fakeAlertmanager) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// active are the silences that are.
func (a *fakeAlertmanager) active() (all []alertmanager.Silence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.silences {
		if s.Status.State == "active" {
			all = append(all, s)
		}
	}
	return all
}
