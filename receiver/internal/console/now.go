package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

const (
	// most is how many open pages are read, and cards is how many of them are shown in full; each of
	// the others gets a line.
	most  = 2000
	cards = 50
	// endedShown is how many ended pages are shown, and endedRead how many are read to find the
	// latest: the store orders them by their beginning.
	endedShown = 5
	endedRead  = 30
	// gapsAhead is how far ahead gaps are announced.
	gapsAhead = 7 * 24 * time.Hour
	// dutyAhead is how far ahead a roster is searched for the next change.
	dutyAhead = 31 * 24 * time.Hour
)

// now is what the page Now shows.
type now struct {
	*Frame
	Open   []card
	More   []line
	Held   int // the number of open pages with a holder
	Count  int
	Mine   []card // not acknowledged; the reader was paged
	Result *result
	Duty   []onDuty
	Beats  []beat
	Ended  []ended
	Seen   bool   // there has been a page
	Always string // who is paged if there are no rotas
	Ways   []fact // to the provider; shown while no page is open
}

// onDuty is the row of a rota.
type onDuty struct {
	Rota  string
	Who   string
	Gap   bool
	Until when // zero: for more than a month
	Then  string
	Alarm string // "nobody", or what is wrong with the phone of whoever follows
	Wrong string // what is wrong with the phone of whoever is on duty
}

type beat struct {
	Name, State, Class string
	Last               when
	Timeout            string
}

// ended is a page that has ended.
type ended struct {
	Code, Name, Where, Word, Story string
	At, Opened                     when
}

func (c *Console) serveNow(w http.ResponseWriter, r *http.Request) {
	c.showNow(w, r, http.StatusOK, nil)
}

// showNow shows the page Now, with the result of the reader's action.
func (c *Console) showNow(w http.ResponseWriter, r *http.Request, code int, done *result) {
	f := c.frame(r, "/", "")
	f.Path = c.o.Base + "/"
	n, err := c.now(r.Context(), f, done)
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	c.render(w, r, code, "now.html", n)
}

func (c *Console) now(ctx context.Context, f *Frame, done *result) (*now, error) {
	ps, err := c.o.Store.Pages(ctx, outbox.PageQuery{Current: true, Limit: most})
	if err != nil {
		return nil, err
	}
	n := &now{Frame: f, Count: len(ps)}
	for i, p := range c.sort(ps) {
		if p.State != outbox.PageOpen {
			n.Held++
		}
		if i >= cards {
			n.More = append(n.More, c.line(f, p))
			continue
		}
		k := c.card(f, *p)
		if done != nil && done.Page.ID == p.ID {
			k.Result, done = done, nil
		}
		if k.Mine && k.State == outbox.PageOpen {
			n.Mine = append(n.Mine, k)
		}
		n.Open = append(n.Open, k)
	}
	n.Result = done // if its page has no card
	if n.Ended, err = c.ended(ctx, f); err != nil {
		return nil, err
	}
	n.Seen = len(ps) > 0 || len(n.Ended) > 0
	n.Duty = c.duty(f)
	known := c.heartbeats(ctx)
	n.Beats = beats(f, known)
	if len(n.Duty) == 0 {
		n.Always = c.always(f)
	}
	s := c.o.State.Status()
	if n.Count == 0 {
		n.Ways = account(f, &s)
	}
	f.Banner = c.banner(f, &s, known)
	f.Title = n.Heading()
	return n, nil
}

// Heading summarizes the open pages.
func (n *now) Heading() string {
	switch open := n.Count - n.Held; {
	case open == 1:
		return "1 page is not acknowledged"
	case open > 1:
		return fmt.Sprintf("%d pages are not acknowledged", open)
	case n.Held == 1:
		return "1 open page, acknowledged"
	case n.Held > 1:
		return fmt.Sprintf("%d open pages, all acknowledged", n.Held)
	}
	return "No open pages"
}

// MineCodes returns the codes of the pages in Mine.
func (n *now) MineCodes() string {
	var codes []string
	for _, k := range n.Mine {
		codes = append(codes, k.Code)
	}
	return list(codes)
}

// always says who is paged if there are no rotas.
func (c *Console) always(f *Frame) string {
	for _, rc := range c.settings.Load().cfg.Receivers {
		var names []string
		for _, to := range rc.Recipients {
			names = append(names, cmp.Or(to.Name, number(f.Caller, to.Number)))
		}
		if len(names) > 0 {
			return f.Shown("Receiver " + rc.Name + " always pages " + list(names) + ".")
		}
	}
	return ""
}

func (c *Console) order() *templating.SeverityOrder {
	return c.settings.Load().cfg.Severities.SeverityOrder()
}

// sort orders pages by severity, the most severe first; then those that nobody has acknowledged; then the
// oldest.
func (c *Console) sort(ps []outbox.Page) []*outbox.Page {
	order, ranks := c.order(), make(map[string]int)
	rank := func(s string) int {
		known, ok := ranks[s]
		if !ok {
			known = order.Rank(s)
			ranks[s] = known
		}
		return known
	}
	held := func(p *outbox.Page) int {
		if p.State == outbox.PageOpen {
			return 0
		}
		return 1
	}
	sorted := make([]*outbox.Page, len(ps))
	for i := range ps {
		sorted[i] = &ps[i]
	}
	slices.SortStableFunc(sorted, func(a, b *outbox.Page) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), held(a)-held(b), a.OpenedAt.Compare(b.OpenedAt))
	})
	return sorted
}

// line is a page in a long list.
type line struct {
	Code, Name string
	Severity   severity
	Opened     when
	Holder     string
}

// line returns the line of a page, without reading the page's document.
func (c *Console) line(f *Frame, p *outbox.Page) line {
	return line{Code: p.Code, Name: f.Shown(p.Headline), Severity: f.severityOf(c.order(), p.Severity), Opened: f.when(p.OpenedAt), Holder: p.AcknowledgedBy}
}

// ended returns the pages that ended last.
func (c *Console) ended(ctx context.Context, f *Frame) ([]ended, error) {
	var all []outbox.Page
	for _, state := range []outbox.PageState{outbox.PageResolved, outbox.PageExpired} {
		ps, err := c.o.Store.Pages(ctx, outbox.PageQuery{State: state, Limit: endedRead})
		if err != nil {
			return nil, err
		}
		all = append(all, ps...)
	}
	slices.SortFunc(all, func(a, b outbox.Page) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	var shown []ended
	for _, p := range all[:min(len(all), endedShown)] {
		shown = append(shown, c.endedPage(f, p))
	}
	return shown, nil
}

func (c *Console) endedPage(f *Frame, p outbox.Page) ended {
	e := ended{Code: p.Code, Word: f.severityOf(c.order(), p.Severity).Word, At: f.when(p.UpdatedAt), Opened: f.when(p.OpenedAt)}
	e.Name, e.Where = f.title(read(p))
	verb := "resolved"
	if p.State == outbox.PageExpired {
		verb = "expired without a notification of its end"
	}
	length := after(p.UpdatedAt.Sub(p.OpenedAt))
	if p.AcknowledgedBy == "" {
		e.Story = sentence(capital(verb) + " " + length + ", before anybody acknowledged it")
	} else {
		e.Story = p.AcknowledgedBy + " acknowledged it " + after(p.AcknowledgedAt.Sub(p.OpenedAt)) + "; " + verb + " " + length + "."
	}
	return e
}

// duty returns who is on duty in each rota, until when, and who follows.
func (c *Console) duty(f *Frame) []onDuty {
	roster := c.o.People.Roster()
	wrong := c.phones()
	var all []onDuty
	for _, rota := range roster.Rotas() {
		on := roster.At(rota, f.now)
		row := onDuty{Rota: rota, Who: f.Shown(list(on.Contacts)), Gap: on.Gap, Until: f.when(on.End), Wrong: firstWrong(wrong, on.Contacts)}
		if row.Who == "" {
			row.Who = "nobody"
		}
		switch next := roster.At(rota, on.End); {
		case on.End.Sub(f.now) >= dutyAhead:
			row.Until = when{}
		case next.Gap:
			row.Alarm = "nobody"
		default:
			row.Then, row.Alarm = f.Shown(list(next.Contacts)), firstWrong(wrong, next.Contacts)
		}
		all = append(all, row)
	}
	return all
}

// phones returns what is wrong with the contacts' phones, by name.
func (c *Console) phones() map[string]string {
	wrong := make(map[string]string)
	for _, contact := range c.o.People.Contacts() {
		switch contact.State() {
		case "stopped":
			wrong[contact.Name] = "wants no texts"
		case "unverified":
			wrong[contact.Name] = "not verified"
		}
	}
	return wrong
}

func firstWrong(wrong map[string]string, names []string) string {
	for _, name := range names {
		if wrong[name] != "" {
			return wrong[name]
		}
	}
	return ""
}

// beats returns the rows of heartbeats.
func beats(f *Frame, known []status.Heartbeat) []beat {
	var all []beat
	for _, h := range known {
		b := beat{Name: h.Name, State: h.State, Class: "is-wait", Timeout: h.Timeout}
		switch h.State {
		case "alive":
			b.Class = "is-ok"
		case "dead":
			b.Class = "is-bad"
		}
		if h.LastAt != nil {
			b.Last = f.when(time.Time(*h.LastAt))
		}
		all = append(all, b)
	}
	return all
}

// heartbeats returns the known heartbeats; none if the store fails.
func (c *Console) heartbeats(ctx context.Context) []status.Heartbeat {
	all, err := c.o.State.Heartbeats(ctx)
	if err != nil && ctx.Err() == nil {
		c.o.Logger.Error("cannot read the heartbeats", "err", err)
	}
	return all
}
