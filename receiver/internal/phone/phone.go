// Package phone serves the page behind the link at the end of a text, on the public listener. Until a
// person presses a button, it shows no more than the text did, because previews and scanners open
// links.
package phone

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

//go:embed style.css
var style []byte

//go:embed page.html
var source string

var pageTemplate = template.Must(template.New("page").Parse(source))

// OnCall performs actions on pages, and knows the escalation plans of receivers.
type OnCall interface {
	Act(context.Context, command.Act) (command.Acted, error)
	Plan(receiver string) *page.Plan
}

// People knows the time zone of a number's owner.
type People interface {
	Zone(e164.Number) *time.Location
}

// Options are the options of New.
type Options struct {
	Store      outbox.Finder
	OnCall     OnCall
	People     People
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is measured
}

// Handler serves the paths that begin with link.Path. It is safe for concurrent use.
type Handler struct {
	Options
	mux      *http.ServeMux
	settings atomic.Pointer[settings]
	misses   *misses
	missed   prometheus.Counter
}

type settings struct {
	cfg   *config.Config
	links link.Links
}

// New returns a Handler. It accepts no link until Configure is called.
func New(o Options) *Handler {
	h := &Handler{
		Options: o, mux: http.NewServeMux(), misses: newMisses(),
		missed: promauto.With(o.Registerer).NewCounter(prometheus.CounterOpts{
			Name: "smspager_link_misses_total", Help: "Requests for phone pages with a token that opens none.",
		}),
	}
	h.settings.Store(&settings{cfg: &config.Config{}})
	h.mux.HandleFunc("GET "+link.Path+"style.css", serveStyle)
	h.mux.HandleFunc("GET "+link.Path+"{token}", h.serve)
	h.mux.HandleFunc("POST "+link.Path+"{token}", h.serve)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { h.notFound(w) })
	return h
}

// Configure sets or replaces the configuration.
func (h *Handler) Configure(cfg *config.Config, links link.Links) {
	h.settings.Store(&settings{cfg, links})
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
	h.mux.ServeHTTP(w, r)
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(style) // it fails only if the client has gone
}

// view holds what the template shows.
type view struct {
	Code, Title, Text, Result string
	State                     []string // lines
	Acts                      bool
	Acknowledge, Next, Undo   choice
	Silences                  []choice
}

// choice is a button, and the reply that does the same.
type choice struct {
	Value, Label string
	Words        string
	URL          template.URL
}

// reply returns the choice for a reply with these words. Without a reply number, the phone asks for one.
func (s *settings) reply(words string) choice {
	return choice{Words: words, URL: template.URL("sms:" + string(s.cfg.Web.ReplyNumber) + "?&body=" + url.PathEscape(words))}
}

// notFound responds to a link that opens no page, whatever the reason.
func (h *Handler) notFound(w http.ResponseWriter) {
	h.write(w, http.StatusNotFound, view{Title: "This link opens nothing", Text: "The page may be over, or the link is incomplete. Reply ? to the text to see what is open."})
}

func (h *Handler) write(w http.ResponseWriter, code int, v view) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		h.Logger.Error("cannot show a phone page", "err", err)
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // it fails only if the client has gone
}

var errUnread = errors.New("the outbox cannot be read")

// serve shows a page, or performs the action of a form on it.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	token, from := r.PathValue("token"), h.prefix(r)
	if !h.misses.allows(from, time.Now()) {
		h.missed.Inc()
		h.notFound(w)
		return
	}
	p, number, err := h.find(r.Context(), token)
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		h.missed.Inc()
		h.misses.count(from, time.Now())
		h.notFound(w)
		return
	case err != nil:
		h.Logger.Error("cannot read the page of a link", "err", err)
		h.write(w, http.StatusServiceUnavailable, view{Title: "Try again", Text: "The page cannot be read now. A reply to the text works."})
		return
	}
	v := h.shown(r.Context(), p, number)
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, 4096)
		h.do(r, p, number, &v)
	}
	h.write(w, http.StatusOK, v)
}

// find returns the page and the number that a token is for, or outbox.ErrNotFound if there is no such current page.
func (h *Handler) find(ctx context.Context, token string) (*page.Page, e164.Number, error) {
	s := h.settings.Load()
	code, ok := link.Code(token)
	if !ok {
		return nil, "", outbox.ErrNotFound
	}
	ps, err := h.Store.Pages(ctx, outbox.PageQuery{Code: code, Current: true, Limit: 5})
	if err != nil {
		return nil, "", errors.Join(errUnread, err)
	}
	for _, stored := range ps {
		p, err := page.Load(stored, s.cfg.Severities.SeverityOrder())
		if err != nil {
			return nil, "", err
		}
		for _, number := range p.People.Numbers() {
			if s.links.Opens(token, code, p.ID, number) {
				return p, number, nil
			}
		}
	}
	return nil, "", outbox.ErrNotFound
}

// shown returns the page with only what its text says.
func (h *Handler) shown(ctx context.Context, p *page.Page, number e164.Number) view {
	s := h.settings.Load()
	v := view{Code: p.Code, Text: p.Headline, Acts: true, Acknowledge: s.reply(p.Code), Next: s.reply("next " + p.Code), Undo: s.reply("undo " + p.Code)}
	ms, err := h.Store.List(ctx, outbox.Query{Page: p.ID, To: number, Limit: 10})
	for _, m := range ms { // newest first
		if err == nil && m.GroupKey == p.GroupKey && m.State != outbox.Queued && m.State != outbox.Superseded && strings.Contains(m.Text, "Re "+p.Code) {
			v.Text, _, _ = strings.Cut(m.Text, " "+s.links.Of(p.Code))
			break
		}
	}
	for _, one := range []struct{ value, label, words string }{{"1h", "1 h", "1h"}, {"4h", "4 h", "4h"}, {"0900", "until 09:00", "until 9"}} {
		c := s.reply(p.Code + " " + one.words)
		c.Value, c.Label = one.value, one.label
		v.Silences = append(v.Silences, c)
	}
	return v
}

// silences maps the values of the silence buttons to their lengths.
var silences = map[string]command.Act{
	"1h": {Length: time.Hour}, "4h": {Length: 4 * time.Hour}, "0900": {Until: "0900"},
}

// verbs maps the values of the other buttons to actions.
var verbs = map[string]command.Verb{"acknowledge": command.Acknowledge, "next": command.Next, "undo": command.Undo}

// do performs the action of a form, and shows the resulting state of the page.
func (h *Handler) do(r *http.Request, p *page.Page, number e164.Number, v *view) {
	act, known := silences[r.PostFormValue("silence")]
	act.Verb = command.Silence
	if !known {
		act.Verb, known = verbs[r.PostFormValue("do")]
	}
	if !known && r.PostFormValue("do") != "show" {
		v.Result = "Nothing was done: press one of the buttons."
		return
	}
	now := p
	if known {
		act.Page, act.Version, act.Number, act.Via = p.ID, command.AnyVersion, number, "by link"
		acted, err := h.OnCall.Act(r.Context(), act)
		switch loaded, loadErr := page.Load(acted.Page, h.settings.Load().cfg.Severities.SeverityOrder()); {
		case err != nil:
			h.Logger.Error("cannot act by link", "page", p.ID, "err", err)
			v.Result = "Nothing was done: the outbox cannot be used. Reply to the text instead."
			return
		case loadErr == nil:
			now = loaded
		}
		v.Result = acted.Text
	}
	v.State = h.state(now, number)
	v.Acts = now.State.Current()
}

// state says who holds a page, and what happens next.
func (h *Handler) state(p *page.Page, number e164.Number) []string {
	clock := func(t time.Time) string { return t.In(h.People.Zone(number)).Format("15:04 MST") }
	var lines []string
	switch p.State {
	case outbox.PageOpen:
		lines = append(lines, "Nobody has acknowledged it.")
	case outbox.PageSilenced:
		lines = append(lines, fmt.Sprintf("%s has had it since %s. Silenced until %s.", p.AcknowledgedBy, clock(p.AcknowledgedAt), clock(p.SilencedUntil)))
	case outbox.PageAcknowledged:
		lines = append(lines, fmt.Sprintf("%s has had it since %s.", p.AcknowledgedBy, clock(p.AcknowledgedAt)))
	default:
		return []string{fmt.Sprintf("It has been %s since %s.", p.State, clock(p.UpdatedAt))}
	}
	var paged []string
	for _, person := range p.People {
		paged = append(paged, person.String())
	}
	lines = append(lines, "Paged: "+strings.Join(paged, ", ")+".")
	switch next, more := p.Coming(h.OnCall.Plan(p.Receiver)); {
	case more && next.Number > 0:
		lines = append(lines, fmt.Sprintf("Next: %s at %s.", e164.Redact(strings.Join(next.Step.To, ", ")), clock(next.At)))
	case more:
		lines = append(lines, fmt.Sprintf("Everybody is paged again at %s.", clock(next.At)))
	case p.State == outbox.PageOpen:
		lines = append(lines, "Nobody else is paged.")
	}
	return lines
}
