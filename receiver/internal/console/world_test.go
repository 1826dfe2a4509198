package console_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/console"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

var (
	alice = outbox.Person{Name: "alice", Number: "+33639980001"}
	bob   = outbox.Person{Name: "bob", Number: "+33639980002"}
	carol = outbox.Person{Name: "carol", Number: "+33639980003"}

	responder = access.Caller{Login: "bob", Contact: "bob", Role: config.Responder}
	viewer    = access.Caller{Login: "eve", Role: config.Viewer}
	admin     = access.Caller{Login: "alice", Contact: "alice", Role: config.Admin}
	nobody    = access.Caller{Role: config.Viewer}
	open      = access.Caller{Role: config.Viewer, Open: true}
)

// policy is the Content-Security-Policy of the receiver.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// world is a console on a store in memory. Actions have the same effects as on-call's.
type world struct {
	t        testing.TB
	cfg      *config.Config
	console  *console.Console
	roster   *people.Roster
	contacts []people.Contact
	beats    []status.Heartbeat
	status   status.Status
	credits  []status.Credit
	verified map[string]int // verifications sent, by contact
	plans    map[string]*page.Plan

	acting   sync.Mutex // actions are one after another, as the store makes them
	mu       sync.Mutex
	caller   access.Caller
	pages    map[string]outbox.Page
	messages []outbox.Message
	acts     []command.Act
	rendered []string      // receivers and templates that were rendered
	store    outbox.Finder // nil: the world itself
	err      error         // of reads
	deaf     bool          // browsers are not notified of changes
	changed  chan struct{} // closed at each change
}

const configuration = `
textinghouse: {user: acme, password: secret, callback_token: 0123456789abcdef-token}
contacts:
  - {name: alice, number: "+33639980001"}
  - {name: bob, number: "+33639980002"}
  - {name: carol, number: "+33639980003"}
rotas:
  - {name: primary, timezone: Europe/Paris, turns: {start: "2026-11-02 09:00", days: 7, people: [alice, carol]}}
  - {name: second, timezone: Europe/Paris, turns: {start: "2026-11-02 09:00", days: 7, people: [bob, alice]}}
receivers:
  - name: oncall
    to: ["rota:primary"]
    escalate: [{after: 5m, to: [bob]}, {after: 15m, to: [carol]}]
  - {name: storage, to: [bob], acknowledge: true}
`

// newWorld returns a world without pages. extra is the end of its configuration.
func newWorld(t testing.TB, extra string) *world {
	return newWorldOf(t, configuration+extra)
}

func newWorldOf(t testing.TB, text string) *world {
	t.Helper()
	cfg, err := config.Parse("smspager.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, roster: people.NewRoster(cfg, nil), caller: responder, pages: make(map[string]outbox.Page), plans: make(map[string]*page.Plan), changed: make(chan struct{}),
	}
	for _, c := range cfg.Contacts {
		w.contacts = append(w.contacts, people.Contact{Name: c.Name, Verified: time.Now().Add(-time.Hour)})
	}
	for i := range cfg.Receivers {
		r := &cfg.Receivers[i]
		plan := &page.Plan{Pages: r.Pages(), Repeat: r.Repeat}
		for _, s := range r.Escalate {
			plan.Steps = append(plan.Steps, page.Step{After: s.After, To: s.To})
		}
		w.plans[r.Name] = plan
	}
	w.cfg = cfg
	w.base("")
	return w
}

// base serves the console below a path.
func (w *world) base(path string) {
	if w.store == nil {
		w.store = w
	}
	var err error
	w.console, err = console.New(console.Options{
		Store: w.store, People: w, OnCall: w, State: w, Previewer: w, Version: "0.9.0", Base: path, Logger: slog.New(slog.DiscardHandler),
		NotFound: func(rw http.ResponseWriter, _ *http.Request) {
			http.Error(rw, `{"error":"no such path"}`, http.StatusNotFound)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.console.Configure(w.cfg)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func (w *world) Plan(receiver string) *page.Plan                        { return w.plans[receiver] }
func (w *world) Contacts() []people.Contact                             { return w.contacts }
func (w *world) Now() time.Time                                         { return time.Now() }
func (w *world) Status() status.Status                                  { return w.status }
func (w *world) Heartbeats(context.Context) ([]status.Heartbeat, error) { return w.beats, nil }
func (w *world) Credits(context.Context) ([]status.Credit, error)       { return w.credits, nil }
func (w *world) Roster() *people.Roster                                 { return w.roster }

// Person returns the first contact with a number.
func (w *world) Person(n e164.Number) outbox.Person {
	p := outbox.Person{Number: n}
	if i := slices.IndexFunc(w.cfg.Contacts, func(c config.Contact) bool { return c.Number == n }); i >= 0 {
		p.Name = w.cfg.Contacts[i].Name
	}
	return p
}

func (w *world) Zone(e164.Number) *time.Location            { return paris }
func (w *world) get(path string) *httptest.ResponseRecorder { return w.do("GET", path, nil) }

var paris = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic(err)
	}
	return zone
}()

// do makes a request as the caller.
func (w *world) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// ServeHTTP serves the console to the caller as the receiver does.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	caller := w.caller
	w.mu.Unlock()
	w.serveTo(caller, rw, r)
}

func (w *world) serveTo(caller access.Caller, rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Security-Policy", policy)
	if r.URL.Path == "/api/v1/events" && !w.deaf {
		w.serveEvents(rw, r)
		return
	}
	w.console.ServeHTTP(rw, r.WithContext(access.With(r.Context(), caller)))
}

// serveEvents reports changes as GET /api/v1/events does.
func (w *world) serveEvents(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.(http.Flusher).Flush()
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
			_, _ = io.WriteString(rw, "event: page\ndata: {\"id\":\"x\"}\n\n")
			rw.(http.Flusher).Flush()
		}
	}
}

// put stores a page.
func (w *world) put(p *page.Page) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stored := *p.Stored()
	old := w.pages[p.ID]
	stored.Version, stored.Events = old.Version+1, append(slices.Clone(old.Events), stored.Events...)
	w.pages[p.ID] = stored
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) load(code string) *page.Page {
	w.t.Helper()
	stored, err := outbox.FindPage(context.Background(), w, code)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := page.Load(stored, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Act implements console.OnCall: it changes the page as on-call does.
func (w *world) Act(ctx context.Context, a command.Act) (command.Acted, error) {
	w.acting.Lock()
	defer w.acting.Unlock()
	stored, err := outbox.FindPage(ctx, w, a.Page)
	if err != nil {
		return command.Acted{}, err
	}
	w.mu.Lock()
	w.acts = append(w.acts, a)
	w.mu.Unlock()
	if stored.Version != a.Version {
		return command.Acted{}, &command.ChangedError{Page: stored, Seen: a.Version}
	}
	p, err := page.Load(stored, nil)
	if err != nil {
		return command.Acted{}, err
	}
	by := outbox.Person{Name: a.By, Number: alice.Number}
	acted := command.Acted{Done: true}
	switch now := time.Now(); a.Verb {
	case command.Acknowledge:
		p.Acknowledge(by, now, a.Via)
		acted.Text = "OK, " + p.Code + " is yours: " + p.Headline
	case command.Silence:
		p.Acknowledge(by, now, a.Via)
		p.Silence(now.Add(time.Hour))
		acted.Text = "OK, the silence of " + p.Code + " is being set in Alertmanager"
	case command.Undo:
		p.Undo(w.plans[p.Receiver], by, now)
		acted.Text = "Undone: " + p.Code + " is open again"
	case command.Next:
		acted = command.Acted{Text: "There is nobody else to page for " + p.Code}
	case command.Note:
		p.Note(now, outbox.PageEventNote, a.By, a.Text)
		acted.Text = "OK, the note is added to " + p.Code
	}
	w.put(p)
	acted.Page, err = w.Page(ctx, p.ID)
	return acted, err
}

func (w *world) Page(_ context.Context, id string) (outbox.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p, ok := w.pages[id]; ok {
		return p, w.err
	}
	return outbox.Page{}, cmp.Or(w.err, outbox.ErrNotFound)
}

func (w *world) Pages(_ context.Context, q outbox.PageQuery) ([]outbox.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []outbox.Page
	for _, p := range w.pages {
		if (q.Current && !p.State.Current()) || (q.State != "" && p.State != q.State) || (q.Code != "" && p.Code != q.Code) ||
			(q.Receiver != "" && p.Receiver != q.Receiver) || (q.Before != "" && p.ID >= q.Before) {
			continue
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b outbox.Page) int { return strings.Compare(b.ID, a.ID) })
	return all[:min(len(all), q.Limit)], w.err
}

func (w *world) Get(_ context.Context, id string) (outbox.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.ID == id {
			return m, nil
		}
	}
	return outbox.Message{}, outbox.ErrNotFound
}

func (w *world) List(_ context.Context, q outbox.Query) ([]outbox.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []outbox.Message
	for _, m := range w.messages {
		if (q.Page == "" || m.PageID == q.Page) && (q.State == "" || m.State == q.State) && (q.To == "" || m.To == q.To) &&
			(q.Receiver == "" || m.Receiver == q.Receiver) && (q.ExceptReceiver == "" || m.Receiver != q.ExceptReceiver) && (q.Before == "" || m.ID < q.Before) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b outbox.Message) int { return strings.Compare(b.ID, a.ID) })
	return all[:min(len(all), q.Limit)], w.err
}

// firing returns a notification of alerts that share these labels; each holds the other labels of each
// alert.
func firing(name, severity, summary string, each ...template.KV) *templating.Notification {
	n := &templating.Notification{}
	n.Status, n.NotificationReason = "firing", "first notification"
	n.GroupKey = "{}:{alertname=" + name + "}"
	n.GroupLabels = template.KV{"alertname": name}
	n.CommonLabels = template.KV{"alertname": name, "severity": severity, "cluster": "prod-eu-1"}
	n.CommonAnnotations = template.KV{"summary": summary, "runbook_url": "https://wiki.example/runbooks/" + name, "dashboard": "https://grafana.example/d/1"}
	for i, own := range each {
		a := template.Alert{
			Status: "firing", Fingerprint: fmt.Sprintf("%s%d", name, i), StartsAt: time.Now().Add(-15 * time.Minute), Labels: template.KV{}, Annotations: template.KV{},
			GeneratorURL: "https://prometheus.example/graph",
		}
		for k, v := range n.CommonLabels {
			a.Labels[k] = v
		}
		for k, v := range own {
			a.Labels[k] = v
		}
		for k, v := range n.CommonAnnotations {
			a.Annotations[k] = v
		}
		n.Alerts = append(n.Alerts, a)
	}
	return n
}

// open opens a page that was notified some time ago, and pages people.
func (w *world) open(code, receiver string, ago time.Duration, n *templating.Notification, to ...outbox.Person) *page.Page {
	at := time.Now().Add(-ago)
	p := page.Open(fmt.Sprintf("%013d-%s", at.UnixMilli(), code), code, receiver, n, nil, at)
	p.Headline = n.CommonLabels["alertname"]
	p.Begin(to, at)
	w.put(p)
	for i, person := range to {
		w.text(p, person, at, "CRITICAL "+p.Headline+" prod-eu-1: 2 firing. Pod is crash looping: payments/checkout-api\nRe "+code, 4*time.Second+time.Duration(i)*157*time.Second)
	}
	return p
}

// night fills the world with a typical night's pages and messages.
func (w *world) night() {
	now := time.Now()
	w.open("6279", "oncall", 8*time.Minute+10*time.Second, firing("KubePodCrashLooping", "critical", "Pod is crash looping: payments/checkout-api, 3 pods",
		template.KV{"pod": "checkout-api-6c9f7d5b8d-x2lqp", "uid": "5f21c0"}, template.KV{"pod": "checkout-api-6c9f7d5b8d-9kd4w", "uid": "09ea3c"}, template.KV{"pod": "checkout-api-6c9f7d5b8d-tq7mz", "uid": "b80d17"}), alice)
	step := now.Add(-3*time.Minute - 10*time.Second)
	p := w.load("6279")
	p.Do(page.Action{Kind: page.Escalate}, w.plans["oncall"], []outbox.Person{bob}, step)
	p.Suppress([]string{"KubePodCrashLooping1"}, "silenced by carol until 04:00 UTC", now.Add(43*time.Minute), now.Add(-time.Minute))
	w.put(p)
	w.text(p, bob, step, "STILL CRITICAL KubePodCrashLooping prod-eu-1: 2 firing. No answer from alice. Re 6279", 161*time.Second)
	w.open("6281", "storage", 3*time.Minute, firing("EtcdHighCommitDurations", "warning", "etcd-2: 99th percentile of commits is 0.31 s", template.KV{"instance": "etcd-2"}), bob)
	w.open("5512", "storage", 45*time.Minute, firing("NodeFilesystemAlmostOutOfSpace", "warning", "9 filesystems have less than 5% space left", template.KV{"instance": "node01"}), carol)
	p = w.load("5512")
	p.Acknowledge(carol, now.Add(-43*time.Minute), "by reply")
	w.put(p)
	w.open("4407", "storage", 5*time.Hour, firing("CertificateExpiresSoon", "info", "Certificate expires in 6 days", template.KV{"instance": "shop.example"}), alice)
	p = w.load("4407")
	p.Acknowledge(alice, now.Add(-4*time.Hour), "with a silence")
	p.Silence(now.Add(5*time.Hour + 44*time.Minute))
	w.put(p)
	for i, name := range []string{"TargetDown", "KafkaConsumerLag", "BlackboxProbeFailed", "PostgresReplicationLag", "NodeClockSkew", "TooOld"} {
		code := fmt.Sprint(4391 - i)
		ago := time.Duration(2*i+1) * time.Hour
		w.open(code, "oncall", ago+14*time.Minute, firing(name, "warning", "It is bad", template.KV{"instance": "x"}), alice)
		p = w.load(code)
		if i != 3 {
			p.Acknowledge(alice, now.Add(-ago-13*time.Minute), "by reply")
		}
		p.End(now.Add(-ago), "all alerts are resolved")
		w.put(p)
	}
	last := now.Add(-21 * time.Second)
	w.beats = []status.Heartbeat{{Name: "prometheus-eu", State: "alive", LastAt: status.OrNil(last), Timeout: "5m"}, {Name: "prometheus-us", State: "alive", LastAt: status.OrNil(last), Timeout: "5m"}}
	w.contacts[2].Verified = time.Time{}
	w.status = status.Status{Probe: status.Probe{Late: true, Interval: "5m"}, Endpoints: []status.Endpoint{{Host: "api", Up: true}}}
}
