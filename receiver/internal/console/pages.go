package console

import (
	"net/http"
	"slices"

	"github.com/smspager/smspager/receiver/outbox"
)

// pagesShown is how many pages a list shows.
const pagesShown = 50

// pageList is the content of the list of pages.
type pageList struct {
	*Frame
	States    []string
	Receivers []string
	State     string
	Receiver  string
	Rows      []pageRow
	Older     string // the address of older pages; "" if there are none
	Newest    string // the address of the newest ones; "" if they are shown
	Filtered  bool
}

type pageRow struct {
	line
	Where       string
	ID          string
	Word, Class string
	Story       string
}

func (c *Console) servePages(w http.ResponseWriter, r *http.Request) {
	given := r.URL.Query()
	q := outbox.PageQuery{Receiver: given.Get("receiver"), Before: given.Get("before"), Limit: pagesShown + 1}
	l := pageList{State: given.Get("state"), Receiver: q.Receiver}
	l.States = []string{"current"}
	for _, state := range outbox.PageStates() {
		l.States = append(l.States, string(state))
	}
	switch {
	case l.State == "current":
		q.Current = true
	case l.State != "" && !slices.Contains(l.States, l.State):
		c.fail(w, r, http.StatusBadRequest, "There is no such state.", "Choose one from the list.")
		return
	default:
		q.State = outbox.PageState(l.State)
	}
	ps, err := c.o.Store.Pages(r.Context(), q)
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	l.Frame = c.frame(r, "/", "Pages")
	l.Typed, l.Filtered = true, q.Receiver != "" || l.State != ""
	if q.Before != "" {
		l.Newest = l.address("")
	}
	if len(ps) > pagesShown {
		ps = ps[:pagesShown]
		l.Older = l.address(ps[pagesShown-1].ID)
	}
	for _, rc := range c.settings.Load().cfg.Receivers {
		l.Receivers = append(l.Receivers, rc.Name)
	}
	if q.Receiver != "" && !slices.Contains(l.Receivers, q.Receiver) {
		l.Receivers = append(l.Receivers, q.Receiver) // it still has pages
	}
	for _, p := range ps {
		l.Rows = append(l.Rows, c.row(l.Frame, p))
	}
	c.render(w, r, http.StatusOK, "pages.html", &l)
}

// address returns the address of the list with the same filters.
func (l *pageList) address(before string) string {
	return withQuery(l.Base+"/pages", map[string]string{"state": l.State, "receiver": l.Receiver, "before": before})
}

// row returns a page for the list.
func (c *Console) row(f *Frame, p outbox.Page) pageRow {
	row := pageRow{line: c.line(f, &p), ID: p.ID, Word: string(p.State), Class: "is-ok"}
	row.Name, row.Where = f.title(read(p))
	switch p.State {
	case outbox.PageOpen:
		row.Class = f.severityOf(c.order(), p.Severity).Class
	case outbox.PageSilenced, outbox.PageExpired:
		row.Class = "is-wait"
	}
	if !p.State.Current() {
		row.Story = c.endedPage(f, p).Story
	} else if p.AcknowledgedBy != "" {
		row.Story = p.AcknowledgedBy + " acknowledged it " + after(p.AcknowledgedAt.Sub(p.OpenedAt)) + "."
	} else {
		row.Story = "Nobody has acknowledged it."
	}
	return row
}
