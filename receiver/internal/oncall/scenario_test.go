package oncall_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/api"
)

// scenario is a file of testdata/scenarios: a configuration, and steps that act or check phones and
// pages. It runs between a fake Alertmanager, which lists the alerts notified as firing, and the
// simulator's phones, in a bubble whose clock skips the time in which nothing happens.
type scenario struct {
	About  string `yaml:"about"`
	Source string `yaml:"source"` // the report or file that it comes from
	// Config holds the receivers. Unless it has its own contacts, contacts alice, bob and carol and a
	// fake Alertmanager are added.
	Config string         `yaml:"config"`
	Steps  []scenarioStep `yaml:"steps"`
}

// scenarioStep is a step of a scenario.
type scenarioStep struct {
	Notify       *scenarioNotification `yaml:"notify"`
	Expect       map[string]string     `yaml:"expect"`   // by contact: the next text, in the form of phone.expect
	Within       time.Duration         `yaml:"within"`   // of Expect; zero: 2s
	Silent       map[string]string     `yaml:"silent"`   // by contact: for how long no text comes
	Reply        map[string]string     `yaml:"reply"`    // by contact; CODE is the code of the last page
	Callback     string                `yaml:"callback"` // the body of a reply's callback; ID is the first message's id
	Wait         time.Duration         `yaml:"wait"`
	Reload       string                `yaml:"reload"` // a Config
	Logged       string                `yaml:"logged"` // contained in the log
	Alertmanager *scenarioAlertmanager `yaml:"alertmanager"`
	Page         *scenarioPage         `yaml:"page"`
	Restart      bool                  `yaml:"restart"` // smspager restarts
}

// scenarioNotification is a webhook request.
type scenarioNotification struct {
	Path      string              `yaml:"path"`     // "": /alertmanager/oncall
	Response  string              `yaml:"response"` // its status; "": accepted
	Status    string              `yaml:"status"`   // "": firing if an alert fires
	Group     string              `yaml:"group"`    // the group key; "": g
	Reason    string              `yaml:"reason"`
	URL       string              `yaml:"url"` // the external URL
	Org       int                 `yaml:"org"`
	Truncated int                 `yaml:"truncated"`
	Start     time.Duration       `yaml:"start"` // when all alerts start, after the scenario began
	Firing    []map[string]string `yaml:"firing"`
	Resolved  []map[string]string `yaml:"resolved"`
	Unlisted  bool                `yaml:"unlisted"` // the fake Alertmanager does not know its alerts
}

// scenarioAlertmanager changes the fake Alertmanager.
type scenarioAlertmanager struct {
	Silence   map[string]string `yaml:"silence"` // somebody else sets a silence that matches these labels
	For       time.Duration     `yaml:"for"`
	Unsilence bool              `yaml:"unsilence"`
	Inhibit   string            `yaml:"inhibit"` // the name of alerts; "none" ends it
	Mute      string            `yaml:"mute"`
	Elsewhere string            `yaml:"elsewhere"` // a receiver that also gets the alerts, and mutes none
	End       string            `yaml:"end"`       // the name of alerts that end without a notification
	QuietEnd  map[string]string `yaml:"quiet_end"` // labels of alerts that end without a notification
	Fire      map[string]string `yaml:"fire"`      // an alert that fires without a notification
	Response  string            `yaml:"response"`  // its response to every request: 401, 502, html, null, slow, gone; "no start": only its status fails; "ok" ends that
	Ahead     time.Duration     `yaml:"ahead"`     // how far its clock is ahead
	Restart   bool              `yaml:"restart"`   // it restarts without its alerts
	Repeat    string            `yaml:"repeat"`    // its repeat_interval
	Asked     *int              `yaml:"asked"`     // the most requests that it may have had
}

// scenarioPage checks what the API shows of the latest page.
type scenarioPage struct {
	State   string   `yaml:"state"`
	Count   int      `yaml:"count"`   // the number of pages; zero: any
	Current int      `yaml:"current"` // the number of current pages; zero: any
	History []string `yaml:"history"` // parts of events in the form "type: detail"
}

// TestScenarios runs testdata/scenarios, where each reported fault has a file.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var s scenario
			d := yaml.NewDecoder(f)
			d.KnownFields(true)
			if err := d.Decode(&s); err != nil {
				t.Fatal(err)
			}
			inWorld(t, s.config(s.Config), func(w *world) { s.run(w) })
		})
	}
}

func (s *scenario) config(receivers string) string {
	if strings.Contains(receivers, "contacts:") {
		return receivers
	}
	return team + receivers
}

func (s *scenario) run(w *world) {
	began := time.Now()
	phones := map[string]*phone{"alice": w.phone(alice), "bob": w.phone(bob), "carol": w.phone(carol)}
	for i, step := range s.Steps {
		w.t.Logf("step %d, %s", i+1, time.Since(began))
		time.Sleep(step.Wait)
		synctest.Wait()
		if step.Notify != nil {
			w.post(step.Notify, began)
		}
		for name, text := range step.Reply {
			phones[name].say("%s", strings.ReplaceAll(strings.ReplaceAll(text, "CODE", phones[name].code), "DICTATED", dictated(phones[name].code)))
		}
		if step.Callback != "" {
			body := strings.ReplaceAll(step.Callback, `"ID"`, `"`+w.page().Messages[0].ID+`"`)
			if code, text := w.do("POST", "/textinghouse/"+token+"/mo", body); code != http.StatusOK {
				w.t.Errorf("the response to the reply is %d %s", code, text)
			}
		}
		if step.Reload != "" {
			if err := w.r.Apply(w.config(s.config(step.Reload))); err != nil {
				w.t.Fatal(err)
			}
		}
		if step.Restart {
			w.halt()
			w.start(s.config(s.Config))
		}
		if step.Alertmanager != nil {
			step.Alertmanager.apply(w)
		}
		for name, text := range step.Expect {
			phones[name].expect(max(step.Within, 2*time.Second), text)
		}
		for name, length := range step.Silent {
			d, err := time.ParseDuration(length)
			if err != nil {
				w.t.Fatal(err)
			}
			phones[name].silent(d)
		}
		if synctest.Wait(); !strings.Contains(w.logs.String(), step.Logged) {
			w.t.Errorf("the log lacks %q:\n%s", step.Logged, w.logs.String())
		}
		if step.Page != nil {
			step.Page.check(w)
		}
	}
}

// dictated returns a code in the form of speech recognition: "6,279".
func dictated(code string) string {
	if len(code) < 4 {
		return code
	}
	return code[:len(code)-3] + "," + code[len(code)-3:]
}

func (w *world) post(n *scenarioNotification, began time.Time) {
	w.t.Helper()
	var alerts []map[string]any
	status := n.Status
	add := func(state string, all []map[string]string) {
		for _, labels := range all {
			alerts = append(alerts, map[string]any{"status": state, "labels": labels, "startsAt": began.Add(n.Start).Format(time.RFC3339Nano)})
			if status == "" {
				status = state
			}
		}
	}
	add("firing", n.Firing)
	add("resolved", n.Resolved)
	first := alerts[0]["labels"].(map[string]string)
	group := n.Group
	if group == "" {
		group = "g"
	}
	payload := map[string]any{
		"version": "4", "receiver": "oncall", "status": status, "groupKey": group, "notification_reason": n.Reason, "externalURL": n.URL,
		"truncatedAlerts": n.Truncated, "alerts": alerts, "groupLabels": map[string]string{"alertname": first["alertname"]},
	}
	if n.Org != 0 {
		payload["orgId"] = n.Org
	}
	body, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	path := n.Path
	if path == "" {
		path = "/alertmanager/oncall"
	}
	serve := w.do
	if n.Unlisted {
		serve = w.serve
	}
	code, text := serve("POST", path, string(body))
	want := n.Response
	if want == "" {
		want = "accepted"
	}
	if code != http.StatusOK || !strings.Contains(text, `"`+want+`"`) {
		w.t.Fatalf("the response to the notification is %d %s, want %s", code, text, want)
	}
}

func (c *scenarioAlertmanager) apply(w *world) {
	w.t.Helper()
	if c.Fire != nil {
		w.am.notified(c.Fire, true)
	}
	w.am.set(func() {
		if c.Silence != nil {
			s := alertmanager.Silence{ID: "ui-" + time.Now().String(), StartsAt: time.Now(), EndsAt: time.Now().Add(c.For), CreatedBy: "dave", Status: &alertmanager.Status{State: "active"}}
			s.ID = strings.Map(func(r rune) rune {
				if r == ' ' || r == ':' || r == '+' || r == '.' {
					return '-'
				}
				return r
			}, s.ID)
			s.Matchers = alertmanager.Exact(c.Silence)
			w.am.silences = append(w.am.silences, s)
		}
		for i := range w.am.silences {
			if c.Unsilence {
				w.am.silences[i].Status.State = "expired"
			}
		}
		for fingerprint, a := range w.am.alerts {
			name := a.Labels[model.AlertNameLabel]
			if c.Inhibit != "" {
				a.inhibited = name == c.Inhibit
			}
			if c.Mute != "" {
				a.muted = name == c.Mute
			}
			ends := c.QuietEnd != nil
			for name, value := range c.QuietEnd {
				ends = ends && a.Labels[name] == value
			}
			if ends || c.End != "" && name == c.End {
				delete(w.am.alerts, fingerprint)
			}
		}
		if c.Restart {
			w.am.alerts, w.am.started = nil, time.Now()
		}
		if c.Ahead != 0 {
			w.am.ahead = c.Ahead
		}
		if c.Repeat != "" {
			w.am.repeat = c.Repeat
		}
		if c.Elsewhere != "" {
			w.am.other = c.Elsewhere
		}
	})
	if c.Response != "" {
		w.routes.set("alertmanager", amResponse{c.Response, w.am})
	}
	if c.Asked != nil {
		w.am.set(func() {
			if len(w.am.asked) > *c.Asked {
				w.t.Errorf("Alertmanager was asked %d times, want at most %d: %q", len(w.am.asked), *c.Asked, w.am.asked)
			}
		})
	}
}

// amResponse is a transport to an Alertmanager with wrong responses.
type amResponse struct {
	what string
	am   *fakeAlertmanager
}

func (a amResponse) RoundTrip(r *http.Request) (*http.Response, error) {
	respond := func(code int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	switch a.what {
	case "401":
		return respond(401, "unauthorized")
	case "502":
		return respond(502, "bad gateway")
	case "html":
		return respond(200, "<html>log in</html>")
	case "null":
		return respond(200, "null")
	case "no start":
		if strings.HasSuffix(r.URL.Path, "/status") {
			return respond(502, "bad gateway")
		}
	case "slow":
		timer := time.NewTimer(10 * time.Second)
		defer timer.Stop()
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-timer.C:
		}
	case "gone":
		return nil, errors.New("connection refused")
	}
	return transportOf(a.am).RoundTrip(r)
}

func (c *scenarioPage) check(w *world) {
	w.t.Helper()
	p := w.page()
	if c.State != "" && p.State != c.State {
		w.t.Errorf("the page is %s, want %s", p.State, c.State)
	}
	_, text := w.do("GET", "/api/v1/pages?limit=100", "")
	var list api.Pages
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		w.t.Fatal(err)
	}
	current := 0
	for _, p := range list.Pages {
		if p.State != "resolved" && p.State != "expired" {
			current++
		}
	}
	if c.Count > 0 && len(list.Pages) != c.Count || c.Current > 0 && current != c.Current {
		w.t.Errorf("there are %d pages, %d of them current; want %d and %d: %s", len(list.Pages), current, c.Count, c.Current, text)
	}
	var events []string
	for _, e := range p.Events {
		events = append(events, e.Type+": "+e.Detail)
	}
	for _, want := range c.History {
		if !strings.Contains(strings.Join(events, "\n"), want) {
			w.t.Errorf("the history lacks %q:\n%s", want, strings.Join(events, "\n"))
		}
	}
}

// logs collects smspager's log.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
