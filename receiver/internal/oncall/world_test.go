package oncall_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const (
	alice = "+33612345678"
	bob   = "+33612345679"
	carol = "+33612345670"
	token = "0123456789abcdef"
)

// team is the part of a configuration with contacts and Alertmanager.
const team = `
contacts:
  - {name: alice, number: "` + alice + `"}
  - {name: bob, number: "` + bob + `"}
  - {name: carol, number: "` + carol + `"}
alertmanager: {urls: [http://alertmanager]}
`

// escalating is team with a receiver whose pages are escalated.
const escalating = team + `
receivers:
  - name: oncall
    to: [alice]
    limits: []
    escalate: [{after: 5m, to: [bob]}, {after: 15m, to: [carol]}]
`

// world is a whole receiver between a fake Alertmanager and the simulator's phones, in a bubble whose
// clock skips the time in which nothing happens.
type world struct {
	t      *testing.T
	dir    string
	wraps  func(outbox.Store) outbox.Store // wraps the store; nil: it is not wrapped
	sim    *textinghousetest.Simulator
	am     *fakeAlertmanager
	routes *routes
	// callbacks holds the routes of the simulator, which all processes share.
	callbacks *routes
	r         *receiver.Receiver
	reg       *prometheus.Registry
	logs      logs
	stop      func()
}

func inWorld(t *testing.T, cfg string, test func(w *world)) {
	t.Helper()
	inWrappedWorld(t, cfg, nil, test)
}

// inWrappedWorld is inWorld with a wrapped store.
func inWrappedWorld(t *testing.T, cfg string, wraps func(outbox.Store) outbox.Store, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir(), wraps: wraps, am: &fakeAlertmanager{}}
		w.routes = &routes{}
		w.callbacks = w.routes
		w.routes.set("alertmanager", textinghousetest.Transport(w.am))
		w.sim = textinghousetest.New(textinghousetest.Options{
			StatusDelay: time.Second, Transport: w.routes,
			Accounts: []textinghousetest.Account{{
				User: "acme", Password: "x", Credit: 1e6,
				ReceiptURL: "http://smspager/textinghouse/" + token + "/dlr", ReplyURL: "http://smspager/textinghouse/" + token + "/mo",
			}},
		})
		defer w.sim.Close()
		w.routes.set("provider", w.sim.Transport())
		w.start(cfg)
		defer w.halt()
		test(w)
	})
}

// start runs smspager with a configuration, on the outbox in w.dir.
func (w *world) start(cfg string) {
	w.t.Helper()
	w.reg = prometheus.NewRegistry()
	o := receiver.Options{Transport: w.routes, Registerer: w.reg, Logger: slog.New(slog.NewTextHandler(&w.logs, nil))}
	c := w.config(cfg)
	if w.wraps != nil {
		store, err := sqlite.Open(context.Background(), c.Storage.SQLite)
		if err != nil {
			w.t.Fatal(err)
		}
		o.Store = w.wraps(store)
	}
	r, err := receiver.New(c, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.r = r
	w.callbacks.set("smspager", textinghousetest.Transport(r.Handler()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	synctest.Wait()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) config(cfg string) *config.Config {
	w.t.Helper()
	file := filepath.Join(w.dir, "smspager.yml")
	text := "textinghouse: {user: acme, password: x, endpoints: [https://provider/do], callback_token: " + token + "}\n" + cfg
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	c, err := receiver.LoadConfig(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) halt() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// routes holds transports by host.
type routes struct{ to sync.Map }

func (r *routes) set(host string, to http.RoundTripper) { r.to.Store(host, to) }

func (r *routes) get(host string) http.RoundTripper {
	to, _ := r.to.Load(host)
	rt, _ := to.(http.RoundTripper)
	return rt
}

func (r *routes) RoundTrip(req *http.Request) (*http.Response, error) {
	to := r.get(req.URL.Host)
	if to == nil {
		return nil, fmt.Errorf("no host %s", req.URL.Host)
	}
	return to.RoundTrip(req)
}

// do makes a request to smspager. If it is a notification, the fake Alertmanager lists its firing alerts.
func (w *world) do(method, path, body string) (int, string) {
	if strings.HasPrefix(path, "/alertmanager") {
		if n, err := receiver.Decode([]byte(body)); err == nil {
			for _, a := range n.Alerts {
				w.am.notified(a.Labels, a.Status == "firing")
			}
		}
	}
	return w.serve(method, path, body)
}

// serve is do without the fake Alertmanager's knowledge.
func (w *world) serve(method, path, body string) (int, string) {
	rec := httptest.NewRecorder()
	w.r.Handler().ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
	return rec.Code, rec.Body.String()
}

// alert is an alert of a group.
type alert struct {
	name, severity, instance string
	resolved                 bool
}

// notify posts a notification about alerts of one group, and fails the test if it is refused.
func (w *world) notify(receiver, group, reason string, alerts ...alert) {
	w.t.Helper()
	status := "resolved"
	var all []map[string]any
	for _, a := range alerts {
		s := "resolved"
		if !a.resolved {
			s, status = "firing", "firing"
		}
		labels := map[string]string{"alertname": a.name, "severity": a.severity, "instance": a.instance}
		all = append(all, map[string]any{
			"status": s, "labels": labels,
			"annotations": map[string]string{"summary": a.name + " on " + a.instance}, "startsAt": "1999-12-31T23:50:00Z",
		})
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "receiver": receiver, "status": status, "groupKey": "{}:{group=\"" + group + "\"}", "notification_reason": reason,
		"alerts": all, "groupLabels": map[string]string{"alertname": alerts[0].name}, "commonLabels": map[string]string{"alertname": alerts[0].name, "severity": alerts[0].severity},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if code, text := w.do("POST", "/alertmanager/"+receiver, string(body)); code != http.StatusOK {
		w.t.Fatalf("the response to the notification is %d %s", code, text)
	}
}

var disk = alert{name: "DiskFull", severity: "critical", instance: "db-1"}

// fire posts that the disk is full, and resolve that it no longer is.
func (w *world) fire() { w.t.Helper(); w.notify("oncall", "disk", "first notification", disk) }

func (w *world) resolve() {
	w.t.Helper()
	a := disk
	a.resolved = true
	w.notify("oncall", "disk", "all alerts resolved", a)
}

// phone is somebody with a phone, in a conversation.
type phone struct {
	w *world
	*textinghousetest.Phone
	name string
	code string // of the last page that the phone has received
}

func (w *world) phone(number string) *phone {
	return &phone{w: w, Phone: w.sim.Phone(number), name: map[string]string{alice: "alice", bob: "bob", carol: "carol"}[number]}
}

// expect reads the next text, which must come within a time and equal want. In want, "..." matches any
// text.
func (p *phone) expect(within time.Duration, want string) string {
	p.w.t.Helper()
	return p.expectAny(within, want)
}

// expectBoth reads two texts in either order: texts of different lanes have no order.
func (p *phone) expectBoth(within time.Duration, one, other string) {
	p.w.t.Helper()
	if text := p.expectAny(within, one, other); p.matches(text, one) {
		p.expect(within, other)
	} else {
		p.expect(within, one)
	}
}

func (p *phone) expectAny(within time.Duration, wants ...string) string {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	sms, err := p.Next(ctx)
	if err != nil {
		p.w.t.Fatalf("%s gets no text, want %q: %v", p.name, wants, err)
	}
	if !slices.ContainsFunc(wants, func(want string) bool { return p.matches(sms.Text, want) }) {
		p.w.t.Fatalf("%s gets %q, want %q", p.name, sms.Text, wants)
	}
	if code := p.codeOf(sms.Text); code != "?" {
		p.code = code
	}
	return sms.Text
}

// matches reports whether a text matches want, see expect.
func (p *phone) matches(text, want string) bool {
	text = strings.ReplaceAll(text, "Re "+p.codeOf(text), "Re CODE")
	parts := strings.Split(want, "...")
	if len(parts) == 1 {
		return text == want
	}
	rest, found := strings.CutPrefix(text, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		if found {
			_, rest, found = strings.Cut(rest, part)
		}
	}
	return found && strings.HasSuffix(rest, parts[len(parts)-1])
}

// codeOf returns the code at the end of a page's text, "?" if there is none.
func (p *phone) codeOf(text string) string {
	if _, code, ok := strings.Cut(text, "Re "); ok {
		return code
	}
	return "?"
}

// silent fails the test if a text comes within a time.
func (p *phone) silent(d time.Duration) {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if sms, err := p.Next(ctx); err == nil {
		p.w.t.Fatalf("%s gets %q, want nothing", p.name, sms.Text)
	}
}

func (p *phone) say(format string, args ...any) {
	p.w.t.Helper()
	if err := p.Reply(fmt.Sprintf(format, args...)); err != nil {
		p.w.t.Fatal(err)
	}
	synctest.Wait()
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// page reads the latest page over the API.
func (w *world) page() api.Page {
	w.t.Helper()
	synctest.Wait() // until everything at this instant is done
	_, text := w.do("GET", "/api/v1/pages?limit=1", "")
	var list api.Pages
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Pages) != 1 {
		w.t.Fatalf("%s (%v)", text, err)
	}
	_, text = w.do("GET", "/api/v1/pages/"+list.Pages[0].ID, "")
	var p api.Page
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// history returns the types of a page's events, with their persons.
func history(p api.Page) string {
	var types []string
	for _, e := range p.Events {
		s := e.Type
		if e.Who != "" {
			s += " " + e.Who
		}
		types = append(types, s)
	}
	return strings.Join(types, ", ")
}

// metric returns the value of a sample, 0 if there is none.
func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	synctest.Wait() // until everything at this instant is done
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for i := 0; i+1 < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue next
				}
			}
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// accountOf is an account at the provider.
type accountOf = textinghousetest.Account
