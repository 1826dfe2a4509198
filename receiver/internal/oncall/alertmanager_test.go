package oncall_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// fakeAlertmanager implements the part of Alertmanager's API that smspager uses.
type fakeAlertmanager struct {
	mu       sync.Mutex
	silences []alertmanager.Silence
	alerts   map[string]*listedAlert // by fingerprint: alerts that were notified and have not ended
	gone     bool                    // it lists no alerts
	broken   bool                    // it responds 503
	breakAt  int                     // it breaks when this many silences are set; 0: never
	refusal  string                  // it responds 400 with this text; "": it does not
	started  time.Time
	ahead    time.Duration // how far its clock is ahead
	other    string        // a receiver that also gets the alerts, and mutes none; "": none
	repeat   string        // repeat_interval
	asked    []string      // the paths and queries of its requests
}

// listedAlert is an alert that Alertmanager lists.
type listedAlert struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	StartsAt    time.Time         `json:"startsAt"`
	Status      listedStatus      `json:"status"`
	inhibited   bool
	muted       bool
}

type listedStatus struct {
	State       string   `json:"state"`
	SilencedBy  []string `json:"silencedBy"`
	InhibitedBy []string `json:"inhibitedBy"`
	MutedBy     []string `json:"mutedBy"`
}

// notified updates an alert from a notification.
func (a *fakeAlertmanager) notified(labels map[string]string, firing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set := make(model.LabelSet)
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	fingerprint := set.Fingerprint().String()
	if a.alerts == nil {
		a.alerts = make(map[string]*listedAlert)
	}
	delete(a.alerts, fingerprint)
	if firing {
		a.alerts[fingerprint] = &listedAlert{Fingerprint: fingerprint, Labels: labels, StartsAt: time.Now()}
	}
}

// list returns the alerts that a query selects. Only groups report which alerts are muted.
func (a *fakeAlertmanager) list(r *http.Request, groups bool) []listedAlert {
	all := []listedAlert{}
	for _, fingerprint := range slices.Sorted(maps.Keys(a.alerts)) {
		alert := *a.alerts[fingerprint]
		alert.Status = listedStatus{State: "active", SilencedBy: []string{}, InhibitedBy: []string{}, MutedBy: []string{}}
		for _, s := range a.silences {
			covers := s.Status.State == "active" && time.Now().Before(s.EndsAt)
			for _, m := range s.Matchers {
				covers = covers && alert.Labels[m.Name] == m.Value
			}
			if covers {
				alert.Status.State, alert.Status.SilencedBy = "suppressed", append(alert.Status.SilencedBy, s.ID)
			}
		}
		if alert.inhibited {
			alert.Status.State, alert.Status.InhibitedBy = "suppressed", []string{"5ca1ab1e"}
		}
		if alert.muted && groups {
			alert.Status.MutedBy = []string{"nights"}
		}
		selected := !a.gone
		for _, f := range r.URL.Query()["filter"] {
			name, value, _ := strings.Cut(f, "=")
			value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(strings.Trim(value, `"`))
			selected = selected && alert.Labels[name] == value
		}
		if selected {
			all = append(all, alert)
		}
	}
	return all
}

func (a *fakeAlertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(a.ahead).UTC().Format(http.TimeFormat))
	a.asked = append(a.asked, r.Method+" "+r.URL.RequestURI())
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
			panic(http.ErrAbortHandler) // the response is lost
		}
		fmt.Fprintf(w, `{"silenceID":%q}`, s.ID)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/silences":
		_ = json.NewEncoder(w).Encode(a.silences)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/alerts":
		_ = json.NewEncoder(w).Encode(a.list(r, false))
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/alerts/groups":
		groups := []any{map[string]any{"receiver": map[string]string{"name": "oncall"}, "alerts": a.list(r, true)}}
		if a.other != "" {
			groups = append(groups, map[string]any{"receiver": map[string]string{"name": a.other}, "alerts": a.list(r, false)})
		}
		_ = json.NewEncoder(w).Encode(groups)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/status":
		uptime := a.started
		if !uptime.IsZero() {
			uptime = uptime.Add(a.ahead)
		}
		original := "route: {receiver: oncall, repeat_interval: " + cmp.Or(a.repeat, "4h") + "}"
		_ = json.NewEncoder(w).Encode(map[string]any{"uptime": uptime, "config": map[string]string{"original": original}})
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/v2/silence/"):
		for _, s := range a.silences {
			if strings.HasSuffix(r.URL.Path, "/"+s.ID) {
				_ = json.NewEncoder(w).Encode(s)
			}
		}
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

// set changes the fake under its lock.
func (a *fakeAlertmanager) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// active returns the active silences.
func (a *fakeAlertmanager) active() (all []alertmanager.Silence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.silences {
		if s.Status.State == "active" && time.Now().Before(s.EndsAt) {
			all = append(all, s)
		}
	}
	return all
}

// transportOf returns a transport that carries requests to a handler.
func transportOf(h http.Handler) http.RoundTripper { return textinghousetest.Transport(h) }
