package oncall_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// watching is a transport that keeps the credentials of the last request.
type watching struct {
	http.RoundTripper
	mu   sync.Mutex
	last string
}

func (w *watching) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = r.Header.Get("Authorization") + " " + r.Header.Get("X-Scope-OrgID")
	if w.RoundTripper == nil {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}
	return w.RoundTripper.RoundTrip(r)
}

// took returns the credentials of the last request, and clears them.
func (w *watching) took() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.last = "" }()
	return w.last
}

// TestHTTPConfig: requests to Alertmanager, calendars and alive use the http_config, and a reload
// replaces it.
func TestHTTPConfig(t *testing.T) {
	text := func(token string) string {
		return strings.ReplaceAll(strings.Replace(team, "alertmanager: {", "alertmanager: {http_config: HTTP, ", 1)+`
receivers: [{name: oncall, to: [alice], limits: [], escalate: [{after: 5m, to: [bob]}]}]
rotas: [{name: week, calendar_url: "https://calendar/secret", http_config: HTTP, refresh: 1m}]
alive: {url: "https://elsewhere/secret", http_config: HTTP}
`, "HTTP", fmt.Sprintf("{authorization: {credentials: %s}, http_headers: {X-Scope-OrgID: {values: [acme]}}}", token))
	}
	inWorld(t, text("one"), func(w *world) {
		calendar, elsewhere, am := &watching{}, &watching{}, &watching{RoundTripper: transportOf(w.am)}
		w.routes.set("calendar", calendar)
		w.routes.set("elsewhere", elsewhere)
		w.routes.set("alertmanager", am)
		check := func(token string) {
			t.Helper()
			for name, service := range map[string]*watching{"Alertmanager": am, "the calendar": calendar, "alive": elsewhere} {
				if got := service.took(); got != "Bearer "+token+" acme" {
					t.Errorf("%s is asked with %q", name, got)
				}
			}
		}
		w.fire()
		after(6 * time.Minute)
		check("one")
		if err := w.r.Apply(w.config(text("two"))); err != nil {
			t.Fatal(err)
		}
		after(time.Hour)
		check("two")
	})
}
