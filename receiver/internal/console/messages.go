package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// messagesShown is how many messages a list shows.
const messagesShown = 25

// messageList is what the page of messages shows.
type messageList struct {
	*Frame
	messageFilter
	States    []outbox.State
	Contacts  []string
	Receivers []string
	Rows      []messageRow
	Older     string // the address of older messages; "" if there are none
	Newest    string // the address of the newest ones; "" if they are shown
	One       *oneMessage
	Chosen    bool // the reader has chosen One; false: it is the newest
}

// messageFilter holds the reader's filters.
type messageFilter struct {
	State, To, Receiver, Before string
}

// messageRow is a message in the list.
type messageRow struct {
	ID, Href, To, Text  string
	Word, Class, Detail string
	Sent                when
	Segments            int
	Shown               bool // it is shown beside the list
}

// oneMessage is a message as it is shown beside the list.
type oneMessage struct {
	ID, To, Number      string
	Word, Class, Detail string
	Sent                when
	Page, PageHref      string // the code of its page; "": none
	Receiver            string
	Bubble              bubble
	Done                []string // what was shortened or left out, and why
	History             []entry
}

func (c *Console) serveMessages(w http.ResponseWriter, r *http.Request) { c.showMessages(w, r, nil) }

func (c *Console) serveMessage(w http.ResponseWriter, r *http.Request) {
	m, err := c.o.Store.Get(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		c.fail(w, r, http.StatusNotFound, "There is no such message.", "A message is kept for as long as storage.retention says.")
	case err != nil:
		c.unreadable(w, r, err)
	default:
		c.showMessages(w, r, &m)
	}
}

func (c *Console) showMessages(w http.ResponseWriter, r *http.Request, chosen *outbox.Message) {
	f := c.frame(r, "/messages", "Messages")
	f.Typed = true
	given := r.URL.Query()
	l := &messageList{Frame: f, States: outbox.States(), Chosen: chosen != nil}
	l.messageFilter = messageFilter{given.Get("state"), given.Get("to"), given.Get("receiver"), given.Get("before")}
	q, fault := c.query(f, &l.messageFilter)
	if fault != "" {
		c.fail(w, r, http.StatusBadRequest, fault, "Choose one from the list.")
		return
	}
	q.Limit = messagesShown + 1
	ms, err := c.o.Store.List(r.Context(), q)
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	if len(ms) > messagesShown {
		ms = ms[:messagesShown]
		l.Older = l.address("", ms[messagesShown-1].ID)
	}
	if l.Before != "" {
		l.Newest = l.address("", "")
	}
	c.choices(l)
	if chosen == nil && len(ms) > 0 {
		chosen = &ms[0]
	}
	for _, m := range ms {
		l.Rows = append(l.Rows, c.messageRow(l, m, chosen))
	}
	if chosen != nil {
		l.One = c.oneMessage(r.Context(), f, *chosen)
		if l.Chosen {
			f.Title = "Message to " + l.One.To
		}
	}
	c.render(w, r, http.StatusOK, "messages.html", l)
}

// query returns the store's query for a filter, or a fault in a sentence. Probes are listed only if the
// filter asks for them.
func (c *Console) query(f *Frame, filter *messageFilter) (q outbox.Query, fault string) {
	q = outbox.Query{State: outbox.State(filter.State), Receiver: filter.Receiver, Before: filter.Before}
	if filter.State != "" && !slices.Contains(outbox.States(), q.State) {
		return q, "There is no such state."
	}
	if filter.To == "" {
		if filter.Receiver == "" {
			q.ExceptReceiver = outbox.ProbeReceiver
		}
		return q, ""
	}
	if n, ok := c.settings.Load().numbers[filter.To]; ok {
		q.To = n
		return q, ""
	}
	if !f.Caller.Role.Includes(config.Admin) { // the result would show whose number it is
		return q, "There is no such contact."
	}
	if rest, bare := strings.CutPrefix(filter.To, " "); bare {
		filter.To = "+" + rest // the plus sign was not encoded as %2B
	}
	n, err := e164.Parse(filter.To)
	if err != nil {
		return q, "There is no such contact, and no such number."
	}
	q.To = n
	return q, ""
}

// choices fills in the choices of the filters.
func (c *Console) choices(l *messageList) {
	s := c.settings.Load()
	for _, contact := range s.cfg.Contacts {
		l.Contacts = append(l.Contacts, contact.Name)
	}
	for _, rc := range s.cfg.Receivers {
		l.Receivers = append(l.Receivers, rc.Name)
	}
	l.Receivers = append(l.Receivers, outbox.ProbeReceiver)
	if l.To != "" && !slices.Contains(l.Contacts, l.To) {
		l.Contacts = append(l.Contacts, l.To)
	}
	if l.Receiver != "" && !slices.Contains(l.Receivers, l.Receiver) {
		l.Receivers = append(l.Receivers, l.Receiver)
	}
}

// address returns the address of the list, or of a message beside it, with the same filters.
func (l *messageList) address(id, before string) string {
	address := l.Base + "/messages"
	if id != "" {
		address += "/" + id
	}
	return withQuery(address, map[string]string{"state": l.State, "to": l.To, "receiver": l.Receiver, "before": before})
}

// withQuery adds the parameters that have a value to an address.
func withQuery(address string, parameters map[string]string) string {
	q := url.Values{}
	for name, value := range parameters {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return address
	}
	return address + "?" + q.Encode()
}

// Filtered reports whether a filter is set.
func (l *messageList) Filtered() bool { return l.State != "" || l.To != "" || l.Receiver != "" }

func (c *Console) messageRow(l *messageList, m outbox.Message, chosen *outbox.Message) messageRow {
	row := messageRow{
		ID: m.ID, Href: l.address(m.ID, l.Before), To: c.recipient(l.Frame, m.To), Text: firstLine(l.Shown(m.Text), rowShown), Sent: l.when(m.CreatedAt),
		Segments: m.Segments, Shown: chosen != nil && m.ID == chosen.ID,
	}
	row.Word, row.Class, row.Detail = c.state(l.Frame, m)
	row.Detail = l.Shown(sentence(capital(row.Detail)))
	return row
}

// recipient returns the recipient of a message: a contact, a number as the reader may see it, or the
// probe's.
func (c *Console) recipient(f *Frame, n e164.Number) string {
	if n == e164.Test {
		return "999"
	}
	return cmp.Or(c.o.People.Person(n).Name, number(f.Caller, n))
}

// oneMessage returns a message as it is shown beside the list.
func (c *Console) oneMessage(ctx context.Context, f *Frame, m outbox.Message) *oneMessage {
	one := &oneMessage{ID: m.ID, To: c.recipient(f, m.To), Sent: f.when(m.CreatedAt), Receiver: m.Receiver}
	if one.To != "999" {
		if one.Number = number(f.Caller, m.To); one.Number == one.To {
			one.Number = ""
		}
	}
	one.Word, one.Class, one.Detail = c.state(f, m)
	one.Detail = f.Shown(one.Detail)
	if m.PageID != "" {
		if p, err := c.o.Store.Page(ctx, m.PageID); err == nil { // if this fails, the message is still shown
			one.Page, one.PageHref = p.Code, f.Base+"/pages/"+p.ID
		}
	}
	var cut *regexp.Regexp
	one.Done, cut = c.shortened(f, m)
	one.Bubble = bubbleOf(f, m.Text, cut)
	one.History = history(f, m, one.To)
	return one
}

// alertsShown and valuesShortened match what intake writes into a message's history about its text.
var (
	alertsShown     = regexp.MustCompile(`^(\d+) of (\d+) alerts shown$`)
	valuesShortened = regexp.MustCompile(`^(\d+) values shortened$`)
)

// shortened returns what a text leaves out and why, and a pattern that matches the places.
func (c *Console) shortened(f *Frame, m outbox.Message) (done []string, cut *regexp.Regexp) {
	if len(m.Events) == 0 || m.Events[0].Type != outbox.EventQueued {
		return nil, nil
	}
	limit := max(m.Segments, 1)
	for _, rc := range c.settings.Load().cfg.Receivers {
		if rc.Name == m.Receiver {
			limit = max(limit, rc.MaxSegments)
		}
	}
	why := fmt.Sprintf("at most %s (max_segments: %d)", counted(limit, "segment"), limit)
	var places []string
	for part := range strings.SplitSeq(m.Events[0].Detail, "; ") {
		if n := alertsShown.FindStringSubmatch(part); n != nil {
			shown, _ := strconv.Atoi(n[1]) // only digits; a number that is too large is merely displayed wrongly
			all, _ := strconv.Atoi(n[2])
			done, places = append(done, fmt.Sprintf("%d of %s left out: the text has %s.", all-shown, counted(all, "alert"), why)), append(places, leftOut)
		} else if n := valuesShortened.FindStringSubmatch(part); n != nil {
			count, _ := strconv.Atoi(n[1])
			done, places = append(done, counted(count, "value")+" shortened, such as long names in their middle: "+why+"."), append(places, inMiddle)
		} else if part == "cut to fit" {
			done, places = append(done, "The text was cut at a word to fit: "+why+"."), append(places, `\.\.\.$`)
		} else if why, failed := strings.CutPrefix(part, "the template failed: "); failed {
			done = append(done, "The built-in text was sent, because the receiver’s template failed: "+f.Shown(why)+".")
		} else if part != "" {
			done = append(done, sentence(capital(f.Shown(part))))
		}
	}
	return done, anyOf(nil, places...)
}

// history returns the events of a message, oldest first.
func history(f *Frame, m outbox.Message, to string) []entry {
	var all []entry
	attempts := 0
	for _, e := range m.Events {
		line := entry{At: f.when(e.At), Detail: e.Detail}
		took, late := delay(m, e.At)
		switch e.Type {
		case outbox.EventQueued:
			line.Title, line.Detail = "Queued", "for receiver "+m.Receiver
		case outbox.EventAttempt:
			attempts++
			line.Title = fmt.Sprintf("Attempt %d", attempts)
		case outbox.EventRetry:
			line.Title, line.Trouble = "Did not go through", true
		case outbox.EventAccepted:
			line.Title, line.Detail = "Accepted", joined(took, "API ID "+cmp.Or(m.APIID, "unknown"), e.Detail)
		case outbox.EventDelivered:
			line.Title, line.Detail, line.Late = "Delivered", joined(took, e.Detail), late
		case outbox.EventReply:
			line.Title, line.Detail, line.Quote, line.By = "Reply from "+to, "", e.Detail, true
		case outbox.EventFailed, outbox.EventExpired, outbox.EventUnknown:
			line.Title, line.Trouble = capital(string(e.Type)), true
		default:
			line.Title = capital(string(e.Type))
		}
		line.Title, line.Detail, line.Quote = f.Shown(line.Title), f.Shown(line.Detail), f.Shown(line.Quote)
		all = append(all, line)
	}
	days(all)
	return all
}

// joined joins the details that are not empty.
func joined(details ...string) string {
	return strings.Join(slices.DeleteFunc(details, func(s string) bool { return s == "" }), ", ")
}
