package alertmanager_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
)

// responding starts an Alertmanager with the same response to every request. It returns its URL, and a
// function that returns the last request.
func responding(t *testing.T, code int, body string) (string, func() (r *http.Request, body string)) {
	var last *http.Request
	var sent string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		last, sent = r, string(b)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() (*http.Request, string) { return last, sent }
}

func TestSet(t *testing.T) {
	url, last := responding(t, 200, `{"silenceID":"abc"}`)
	s := alertmanager.New(alertmanager.Options{URLs: []string{"http://127.0.0.1:1", url + "/prefix/"}, Client: http.DefaultClient})
	at := time.Date(2026, 11, 25, 3, 14, 0, 0, time.UTC)
	id, err := s.Set(t.Context(), alertmanager.Silence{
		Matchers: alertmanager.Exact(map[string]string{"alertname": "Größe{}"}), StartsAt: at, EndsAt: at.Add(time.Hour), CreatedBy: "alice", Comment: "page",
	})
	r, body := last()
	if id != "abc" || err != nil || r.URL.Path != "/prefix/api/v2/silences" {
		t.Errorf("Set gives %q, %v, after a request to %s", id, err, r.URL)
	}
	if want := `{"matchers":[{"name":"alertname","value":"Größe{}","isRegex":false,"isEqual":true}],"startsAt":"2026-11-25T03:14:00Z","endsAt":"2026-11-25T04:14:00Z","createdBy":"alice","comment":"page"}`; body != want {
		t.Errorf("the request is %s, want %s", body, want)
	}
}

func TestFind(t *testing.T) {
	url, _ := responding(t, 200, `[{"id":"1","comment":"page A, alert 1","status":{"state":"active"}},{"id":"2","comment":"page A, alert 2","status":{"state":"expired"}},{"id":"3","comment":"page B","status":{"state":"active"}}]`)
	s := alertmanager.New(alertmanager.Options{URLs: []string{url}, Client: http.DefaultClient})
	found, err := s.Find(t.Context(), "page A")
	if err != nil || len(found) != 1 || found[0].ID != "1" {
		t.Errorf("Find returns %+v, %v", found, err)
	}
}

func TestResponses(t *testing.T) {
	for _, tc := range []struct {
		code     int
		body     string
		refused  bool
		setErr   string
		expireOK bool
	}{
		{200, `{"silenceID":"abc"}`, false, "", true},
		{202, `{"silenceID":"abc"}`, false, "", true}, // Grafana
		{200, `{}`, false, "no silenceID", true},
		{200, `<html>`, false, "read Alertmanager's response: invalid character", true},
		{400, `"bad matcher"`, true, "refuses it: \"bad matcher\"", false},
		{403, `forbidden`, true, "refuses it", false},
		{404, `not found`, true, "refuses it", true},
		{500, `silence abc already expired`, false, "responds 500", true},
		{503, `away`, false, "responds 503: away", false},
	} {
		url, _ := responding(t, tc.code, tc.body)
		s := alertmanager.New(alertmanager.Options{URLs: []string{url}, Client: http.DefaultClient})
		_, err := s.Set(t.Context(), alertmanager.Silence{})
		var refused *alertmanager.RefusedError
		if (err == nil) != (tc.setErr == "") || err != nil && !strings.Contains(err.Error(), tc.setErr) || errors.As(err, &refused) != tc.refused {
			t.Errorf("%d %s: Set gives %v", tc.code, tc.body, err)
		}
		if err := s.Expire(t.Context(), "abc"); (err == nil) != tc.expireOK {
			t.Errorf("%d %s: Expire gives %v", tc.code, tc.body, err)
		}
	}
	if _, err := alertmanager.New(alertmanager.Options{URLs: []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}, Client: http.DefaultClient}).Set(t.Context(), alertmanager.Silence{}); err == nil {
		t.Error("Set gives no error if no Alertmanager responds")
	}
}

// TestGrafana: Grafana's Alertmanager is below a path, responds 202 to a silence, and does not report its
// uptime and configuration as Alertmanager does (Grafana 12, /api/alertmanager/grafana/api/v2).
func TestGrafana(t *testing.T) {
	const path = "/api/alertmanager/grafana/api/v2/"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST " + path + "silences":
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"silenceID":"b1c2"}`)
		case "DELETE " + path + "silence/b1c2":
			fmt.Fprint(w, `{"message":"silence deleted"}`)
		case "GET " + path + "silence/b1c2":
			fmt.Fprint(w, `{"id":"b1c2","createdBy":"alice","endsAt":"2026-11-25T04:30:00.000Z","status":{"state":"active"}}`)
		case "GET " + path + "alerts":
			fmt.Fprint(w, `[{"fingerprint":"f1","startsAt":"2026-11-25T03:00:00.000Z","status":{"state":"suppressed","silencedBy":["b1c2"],"inhibitedBy":[]}}]`)
		case "GET " + path + "alerts/groups":
			fmt.Fprint(w, `[{"alerts":[{"fingerprint":"f1","status":{"state":"suppressed","silencedBy":["b1c2"],"inhibitedBy":[]}}]}]`)
		case "GET " + path + "status":
			fmt.Fprint(w, `{"cluster":{"status":"disabled"},"config":{"route":{"receiver":"sms"}},"uptime":null,"versionInfo":{}}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	am := alertmanager.New(alertmanager.Options{URLs: []string{s.URL + "/api/alertmanager/grafana"}, Client: http.DefaultClient})
	if id, err := am.Set(t.Context(), alertmanager.Silence{}); id != "b1c2" || err != nil {
		t.Errorf("Set gives %q, %v", id, err)
	}
	listing, err := am.Alerts(t.Context(), alertmanager.Query{Wanted: []string{"f1", "f2"}})
	if err != nil || listing.Alerts["f1"].By != "silenced by alice until 04:30 UTC" || !listing.Starts[s.URL+"/api/alertmanager/grafana"].IsZero() {
		t.Errorf("Alerts gives %+v, %v", listing, err)
	}
	if repeat, err := am.LongestRepeat(t.Context()); repeat != 4*time.Hour || err != nil {
		t.Errorf("LongestRepeat gives %s, %v", repeat, err)
	}
	if err := am.Expire(t.Context(), "b1c2"); err != nil {
		t.Errorf("Expire gives %v", err)
	}
}
