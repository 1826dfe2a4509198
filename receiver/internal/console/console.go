// Package console serves the pages for people: what is open now, each page with its history, and
// what a person may do about it. Docs: docs/console.md.
//
// A page is plain HTML and needs no script. With JavaScript, htmx fetches the page again when
// something has changed, and patches the differences into the displayed one (assets/live.js).
package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/alertmanager"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// People knows the contacts and who is on duty.
type People interface {
	Contacts() []people.Contact
	Roster() *people.Roster
	Zone(e164.Number) *time.Location
	// Person returns the contact with a number, or a person with the number alone.
	Person(e164.Number) outbox.Person
	// Verify sends a contact a code to reply with; see people.Directory.
	Verify(ctx context.Context, name string, link bool) error
}

// OnCall performs actions on pages, and knows the escalation plans of receivers. The plan of a receiver
// that is not configured is nil.
type OnCall interface {
	Act(context.Context, command.Act) (command.Acted, error)
	Plan(receiver string) *page.Plan
}

// State knows the state of smspager.
type State interface {
	Now() time.Time
	Status() status.Status
	Heartbeats(context.Context) ([]status.Heartbeat, error)
	Credits(context.Context) ([]status.Credit, error)
}

// Options are the options of New.
type Options struct {
	Store     outbox.Finder
	People    People
	OnCall    OnCall
	State     State
	Previewer Previewer

	Base      string // prefix of the console's paths, such as "/smspager"; "": none
	Version   string // of smspager, for the footer
	Logger    *slog.Logger
	Transport http.RoundTripper // carries the requests to Alertmanager; nil: the default transport
	NotFound  http.HandlerFunc  // serves paths that do not exist to clients other than browsers
}

// Console serves the console. It is safe for concurrent use.
type Console struct {
	o         Options
	assets    *assets
	templates *template.Template
	settings  atomic.Pointer[settings]
	mux       *http.ServeMux
	gzips     sync.Pool
	figures   figures
}

type settings struct {
	cfg      *config.Config
	numbers  map[string]e164.Number // of contacts
	silencer *alertmanager.Silencer // nil: Alertmanager is not configured
}

//go:embed templates
var templateFiles embed.FS

// New returns a Console. Configure must be called before it serves anything.
func New(o Options) (*Console, error) {
	o.Base = strings.TrimSuffix(o.Base, "/")
	c := &Console{o: o, mux: http.NewServeMux()}
	c.gzips.New = func() any { return gzip.NewWriter(nil) }
	var err error
	if c.assets, err = newAssets(o.Base); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	files, err := fs.Sub(templateFiles, "templates")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if c.templates, err = template.New("").Funcs(c.functions()).ParseFS(files, "*.html"); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c.route()
	return c, nil
}

// route adds the paths. Only a POST to an action's path acts. A GET, such as after a reload of
// the page with the result, redirects to the page.
func (c *Console) route() {
	c.mux.HandleFunc("GET /{$}", c.serveNow)
	c.mux.HandleFunc("GET /pages", c.servePages)
	c.mux.HandleFunc("GET /pages/{code}", c.servePage)
	c.mux.HandleFunc("POST /pages/acknowledge", c.serveAcknowledgeMine)
	c.mux.HandleFunc("POST /pages/{code}/{verb}", c.serveAct)
	c.mux.HandleFunc("GET /pages/acknowledge", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, c.o.Base+"/", http.StatusSeeOther)
	})
	c.mux.HandleFunc("GET /pages/{code}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, c.o.Base+"/pages/"+url.PathEscape(r.PathValue("code")), http.StatusSeeOther)
	})
	c.mux.HandleFunc("GET /messages", c.serveMessages)
	c.mux.HandleFunc("GET /messages/{id}", c.serveMessage)
	c.mux.HandleFunc("GET /duty", c.serveDuty)
	c.mux.HandleFunc("GET /templates", c.servePlayground)
	c.mux.HandleFunc("POST /templates", c.servePlayground)
	c.mux.HandleFunc("GET /contacts", c.serveContacts)
	c.mux.HandleFunc("POST /contacts/{name}/verify", c.serveVerify)
	c.mux.HandleFunc("GET /contacts/{name}/verify", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, c.o.Base+"/contacts", http.StatusSeeOther)
	})
	c.mux.HandleFunc("GET /health", c.serveHealth)
	c.mux.Handle("GET /assets/{name}", c.assets)
	c.mux.HandleFunc("/", c.serveNotFound)
}

// Configure sets or replaces the configuration.
func (c *Console) Configure(cfg *config.Config) {
	s := &settings{cfg: cfg, numbers: make(map[string]e164.Number), silencer: alertmanager.Of(cfg.Alertmanager, c.o.Transport, askFor, nil)}
	for _, contact := range cfg.Contacts {
		s.numbers[contact.Name] = contact.Number
	}
	c.settings.Store(s)
}

// ServeHTTP implements [http.Handler]. The paths are relative to Options.Base.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// render sends a page made from the template with a name.
func (c *Console) render(w http.ResponseWriter, r *http.Request, code int, name string, data any) {
	var page bytes.Buffer
	if err := c.templates.ExecuteTemplate(&page, name, data); err != nil {
		c.o.Logger.Error("cannot show a page of the console", "page", name, "err", err)
		http.Error(w, "This page cannot be shown; the log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.WriteHeader(code)
		_, _ = w.Write(page.Bytes()) // it fails only if the client has gone
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
	z := c.gzips.Get().(*gzip.Writer)
	defer c.gzips.Put(z)
	z.Reset(w)
	_, _ = z.Write(page.Bytes())
	_ = z.Close()
}

// problem is the content of an error page.
type problem struct {
	*Frame
	What string // in a sentence
	Next string // what to do
}

// fail shows an error page.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, code int, what, next string) {
	f := c.frame(r, "", strings.TrimSuffix(what, "."))
	f.Still = true
	c.render(w, r, code, "error.html", problem{Frame: f, What: what, Next: next})
}

// unreadable shows that the outbox cannot be read.
func (c *Console) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		c.o.Logger.Error("cannot read the outbox", "err", err)
	}
	c.fail(w, r, http.StatusServiceUnavailable, "The outbox cannot be read.", "Pages are still sent. Load this page again in a moment; the log says what is wrong.")
}

// serveNotFound serves paths that do not exist. Browsers get an HTML page.
func (c *Console) serveNotFound(w http.ResponseWriter, r *http.Request) {
	if c.o.NotFound != nil && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		c.o.NotFound(w, r)
		return
	}
	c.fail(w, r, http.StatusNotFound, "There is nothing at this address.", "The menu leads to all that there is.")
}

// forbid shows why a caller may not act.
func (c *Console) forbid(w http.ResponseWriter, r *http.Request, err error) {
	next := "Ask an admin for the role “responder” (console.users)."
	switch {
	case errors.Is(err, access.ErrLogin):
		next = "Log in first. Phones can act without a login: a reply acknowledges and silences."
	case errors.Is(err, access.ErrNobody):
		next = "Your login has no contact. Ask an admin to name yours (console.users.contact)."
	}
	c.fail(w, r, access.Status(err), "You may not act here.", next)
}
