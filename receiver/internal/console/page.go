package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
)

// askFor is how long to wait for Alertmanager's silences. After that, the page is shown without them.
const askFor = 500 * time.Millisecond

// ours begins the comments of silences that on-call sets.
const ours = "smspager page "

// onePage is the content of one page's view.
type onePage struct {
	*Frame
	Card      card
	Receiver  string
	Summary   string
	Current   bool
	Held      bool
	Seen      int64 // when it last changed, in ms; forms send it back
	Ended     ended
	Result    *result
	Alerts    alertList
	Line      []entry
	People    []person
	Silences  []silence
	Unasked   bool   // Alertmanager did not respond
	Asks      bool   // Alertmanager can be asked about the page's alerts
	Unable    string // why the page cannot be silenced; "" if it can
	Others    []string
	Passed    string
	Undoes    bool
	ByReader  bool // the reader holds the page
	MaxNote   int
	Lengths   []string // of silences, such as "4h" or "until 09:00"
	Escalates bool     // somebody else can be paged
}

// person is somebody who was paged, and the state of the latest message to them.
type person struct {
	Name, Number string
	Word, Class  string
	Detail       string
	NextAt       when
}

// silence is a silence in Alertmanager for alerts of the page.
type silence struct {
	By, Comment string
	Alerts      int
	Until       when
}

func (c *Console) servePage(w http.ResponseWriter, r *http.Request) {
	c.showPage(w, r, http.StatusOK, nil)
}

// showPage shows a page, with the result of the reader's action.
func (c *Console) showPage(w http.ResponseWriter, r *http.Request, code int, done *result) {
	p, err := outbox.FindPage(r.Context(), c.o.Store, r.PathValue("code"))
	var ms []outbox.Message
	if err == nil {
		ms, err = outbox.MessagesOf(r.Context(), c.o.Store, p.ID)
	}
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		c.fail(w, r, http.StatusNotFound, "No page has the code "+r.PathValue("code")+".", "A page is kept for as long as storage.retention says.")
		return
	case err != nil:
		c.unreadable(w, r, err)
		return
	}
	f := c.frame(r, "/", "")
	f.Path, f.Typed = c.o.Base+"/pages/"+r.PathValue("code"), true
	v := c.onePage(r.Context(), f, p, ms)
	v.Result = done
	f.Title = v.Card.Code + " " + v.Card.Name
	c.render(w, r, code, "page.html", v)
}

func (c *Console) onePage(ctx context.Context, f *Frame, stored outbox.Page, ms []outbox.Message) *onePage {
	p := read(stored)
	v := &onePage{
		Frame: f, Card: c.card(f, stored), Receiver: p.Receiver, Summary: f.Shown(summary(p)), Current: p.State.Current(), Held: p.Held(), Seen: p.UpdatedAt.UnixMilli(),
		Alerts: alertsOf(f, p), Asks: c.settings.Load().silencer != nil && !p.ByHand(), MaxNote: maxNote,
	}
	if !v.Current {
		v.Ended = c.endedPage(f, stored)
	}
	name := func(m outbox.Message) string { return c.name(m.To, p) }
	v.Line = timeline(f, stored, ms, name)
	v.People = c.reached(f, p, ms)
	if v.Card.Next != "" {
		v.Line = append(v.Line, entry{At: v.Card.NextAt, Title: v.Card.Next + " paged, unless somebody acknowledges", Next: true})
	}
	v.Lengths = c.lengths(f)
	v.Unable = v.unable(p)
	days(v.Line)
	v.ByReader = p.Held() && p.AcknowledgedBy == f.Caller.Contact
	for _, who := range v.Card.Paged {
		if who != f.Caller.Contact {
			v.Others = append(v.Others, who)
		}
	}
	if plan := c.o.OnCall.Plan(p.Receiver); plan != nil && v.Current && p.Steps < len(plan.Steps) && (!p.Held() || v.ByReader) {
		v.Escalates = true
		v.Passed = f.Shown(list(c.names(plan.Steps[p.Steps].To, f.now)))
	}
	v.Silences, v.Unasked = c.silences(ctx, f, p)
	v.Undoes = p.Held()
	f.Banner = nil
	return v
}

// unable returns why the page cannot be silenced from here, or "" if it can.
func (v *onePage) unable(p *page.Page) string {
	switch {
	case p.ByHand():
		return "A person or a script made this page: Alertmanager does not know it."
	case !v.Asks:
		return "Silences are not set up: alertmanager.urls is missing."
	case p.Notification.TruncatedAlerts > 0:
		return "There are more alerts than can be silenced here: use Alertmanager."
	case len(v.Lengths) == 0:
		return "alertmanager.max_silence allows no silence that is offered here."
	case len(v.Alerts.Firing) == 0:
		return "Nothing to silence: no alert fires that is not silenced."
	}
	return ""
}

// lengths returns the silences that are offered; the configuration may limit their length.
func (c *Console) lengths(f *Frame) []string {
	local := f.now.In(f.zone)
	morning := time.Date(local.Year(), local.Month(), local.Day(), 9, 0, 0, 0, f.zone)
	if !morning.After(f.now) {
		morning = morning.AddDate(0, 0, 1)
	}
	var all []string
	for _, offer := range []struct {
		words  string
		length time.Duration
	}{{"1h", time.Hour}, {"4h", 4 * time.Hour}, {"until 09:00", morning.Sub(f.now)}} {
		if offer.length <= c.settings.Load().cfg.Alertmanager.MaxSilence {
			all = append(all, offer.words)
		}
	}
	return all
}

// NotAsked returns why Alertmanager is not asked for silences.
func (v *onePage) NotAsked() string {
	if v.Unable != "" {
		return v.Unable
	}
	return "Not known: alertmanager.urls is not set."
}

// name returns the contact who was paged at a number, or the shortened number.
func (c *Console) name(n e164.Number, p *page.Page) string {
	if who := p.People.Person(n); who.Name != "" {
		return who.Name
	}
	return c.o.People.Person(n).String()
}

// reached returns everybody who was paged, and the state of the latest message to each.
func (c *Console) reached(f *Frame, p *page.Page, ms []outbox.Message) []person {
	var all []person
	for _, n := range p.People.Numbers() {
		who := person{Name: p.People.Person(n).String(), Number: number(f.Caller, n), Word: "no message", Class: "is-wait"}
		replied := ""
		for _, m := range ms {
			if m.To != n || m.PageID != p.ID && m.GroupKey != outbox.DigestGroup {
				continue
			}
			who.Word, who.Class, who.Detail = c.state(f, m)
			for _, e := range m.Events {
				if e.Type == outbox.EventReply {
					replied = "Replied " + f.when(e.At).ago() + ": “" + e.Detail + "”."
				}
			}
		}
		if replied == "" {
			replied = "No reply."
		}
		who.Detail = f.Shown(strings.TrimSpace(sentence(who.Detail) + " " + replied))
		all = append(all, who)
	}
	if coming, more := p.Coming(c.o.OnCall.Plan(p.Receiver)); more && coming.Number > 0 {
		wrong := c.phones()
		for _, name := range c.names(coming.Step.To, coming.At) {
			next := person{Name: f.Shown(name), Word: "next", Class: "is-wait", NextAt: f.when(page.Latest(coming.At, f.now))}
			if n, ok := c.settings.Load().numbers[name]; ok {
				next.Number = number(f.Caller, n)
			}
			if wrong[name] != "" {
				next.Detail = "Phone " + wrong[name] + "."
			}
			all = append(all, next)
		}
	}
	return all
}

// state returns how far a message got: a word, its CSS class, and details.
func (c *Console) state(f *Frame, m outbox.Message) (word, class, detail string) {
	last := m.LastDetail()
	switch m.State {
	case outbox.Queued:
		if m.NotBefore.After(f.now) {
			return "waits", "is-wait", "until " + f.when(m.NotBefore).Clock() + ", the end of quiet hours"
		}
		return "queued", "is-wait", "since " + f.when(m.CreatedAt).Exact()
	case outbox.Sending:
		return "sending", "is-wait", "since " + f.when(m.AttemptedAt).Exact()
	case outbox.Accepted:
		return "on its way", "is-wait", "accepted by the provider at " + f.when(m.AcceptedAt).Exact() + ", no receipt yet"
	case outbox.Delivered:
		took, late := delay(m, m.UpdatedAt)
		detail = took + ", at " + f.when(m.UpdatedAt).Exact()
		if late {
			return "delivered late", "is-warn", detail
		}
		return "delivered", "is-ok", detail
	case outbox.Superseded:
		return "replaced", "is-wait", "by a newer message"
	case outbox.Unknown:
		return "no receipt", "is-warn", last
	}
	return string(m.State), "is-bad", last
}

// silences returns the silences in Alertmanager for the page's alerts. unasked is true if it did not
// respond.
func (c *Console) silences(ctx context.Context, f *Frame, p *page.Page) (all []silence, unasked bool) {
	silencer := c.settings.Load().silencer
	if silencer == nil || p.ByHand() || !p.State.Current() || len(p.Alerts) == 0 {
		return nil, false
	}
	var of []string
	for _, a := range p.Alerts {
		of = append(of, a.Fingerprint())
	}
	asking, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	found, err := silencer.Silencing(asking, p.Notification.GroupLabels)
	for _, s := range found {
		n := 0
		for _, fingerprint := range s.Fingerprints {
			if slices.Contains(of, fingerprint) {
				n++
			}
		}
		if n > 0 {
			comment := f.Shown(s.Comment)
			if strings.HasPrefix(comment, ours) {
				comment = "by reply or here"
			}
			all = append(all, silence{By: f.Shown(s.CreatedBy), Comment: comment, Alerts: n, Until: f.when(s.EndsAt)})
		}
	}
	return all, err != nil
}
