package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// textsRead is how many of a contact's latest messages are read; contactsRead is for how many contacts.
	textsRead    = 20
	contactsRead = 40
)

// contactList is what the page of contacts shows.
type contactList struct {
	*Frame
	Contacts   []contact
	Unverified int
	Stopped    int
	MayVerify  bool
}

// verified is the outcome of a verification that the reader has requested.
type verified struct {
	Name, Text string
	Done       bool
}

// contact is a person with a phone.
type contact struct {
	Base              string
	Name, Number      string
	Word, Class       string
	Since             when // when that state began
	Facts             []string
	Delivered         when // when a text was last delivered; zero: unknown
	Late              string
	Replied           when
	OnDuty            []string
	Stopped, Verified bool
	Result            *verified
}

func (c *Console) serveContacts(w http.ResponseWriter, r *http.Request) {
	c.showContacts(w, r, http.StatusOK, nil)
}

func (c *Console) showContacts(w http.ResponseWriter, r *http.Request, code int, done *verified) {
	f := c.frame(r, "/contacts", "")
	f.Path = f.Base + "/contacts"
	l := &contactList{Frame: f, MayVerify: f.Caller.May(config.Admin) == nil}
	configured := c.settings.Load().cfg.Contacts
	rotas := c.membership(f)
	for i, known := range c.o.People.Contacts() {
		at := slices.IndexFunc(configured, func(c config.Contact) bool { return c.Name == known.Name })
		if at < 0 {
			continue // the configuration has just changed
		}
		k, err := c.contact(r.Context(), f, configured[at], known, rotas, i < contactsRead)
		if err != nil {
			c.unreadable(w, r, err)
			return
		}
		switch {
		case k.Stopped:
			l.Stopped++
		case !k.Verified:
			l.Unverified++
		}
		if done != nil && done.Name == k.Name {
			k.Result = done
		}
		l.Contacts = append(l.Contacts, k)
	}
	f.Title = l.Heading()
	c.render(w, r, code, "contacts.html", l)
}

// Heading answers whether texts reach everybody.
func (l *contactList) Heading() string {
	switch {
	case len(l.Contacts) == 0:
		return "No contacts"
	case l.Unverified == 1:
		return "1 phone is not verified"
	case l.Unverified > 1:
		return fmt.Sprintf("%d phones are not verified", l.Unverified)
	case l.Stopped == 1:
		return "1 phone wants no texts"
	case l.Stopped > 1:
		return fmt.Sprintf("%d phones want no texts", l.Stopped)
	}
	return "All phones are verified"
}

// member describes a contact's membership in a rota.
type member struct {
	rota string
	now  bool
	from time.Time // when the next shift begins; zero: not within a month
}

// membership returns the rotas of each contact, by name.
func (c *Console) membership(f *Frame) map[string][]member {
	all := make(map[string][]member)
	roster := c.o.People.Roster()
	for _, rota := range roster.Rotas() {
		seen := make(map[string]bool)
		for _, on := range roster.Timeline(rota, f.now, f.now.Add(dutyAhead)) {
			for _, name := range on.Contacts {
				if on.Gap || on.Unread || seen[name] {
					continue
				}
				seen[name] = true
				all[name] = append(all[name], member{rota, !on.Start.After(f.now), on.Start})
			}
		}
	}
	for _, rota := range c.settings.Load().cfg.Rotas {
		for _, name := range rota.Turns.People {
			if !slices.ContainsFunc(all[name], func(m member) bool { return m.rota == rota.Name }) {
				all[name] = append(all[name], member{rota: rota.Name})
			}
		}
	}
	return all
}

func (c *Console) contact(ctx context.Context, f *Frame, configured config.Contact, known people.Contact, rotas map[string][]member, texts bool) (contact, error) {
	k := contact{Base: f.Base, Name: known.Name, Number: number(f.Caller, configured.Number), Verified: !known.Verified.IsZero(), Stopped: !known.Stopped.IsZero()}
	switch known.State() {
	case "stopped":
		k.Word, k.Class, k.Since = "stopped", "is-warn", f.when(known.Stopped)
	case "verified":
		k.Word, k.Class, k.Since = "verified", "is-ok", f.when(known.Verified)
	default:
		k.Word, k.Class = "not verified", "is-warn"
	}
	var later, members []string
	for _, m := range rotas[k.Name] {
		switch {
		case m.now:
			k.OnDuty = append(k.OnDuty, m.rota)
		case !m.from.IsZero():
			later = append(later, m.rota+" from "+f.when(m.from).Clock())
		default:
			members = append(members, m.rota)
		}
	}
	if len(later) > 0 {
		k.Facts = append(k.Facts, "On duty on "+list(later)+".")
	}
	if len(members) > 0 {
		k.Facts = append(k.Facts, "In the turns of "+list(members)+".")
	}
	if receivers := c.receiversOf(k.Name); len(receivers) > 0 {
		k.Facts = append(k.Facts, "Paged by "+list(receivers)+".")
	}
	if quiet := quietWords(configured.Quiet, f); quiet != "" {
		k.Facts = append(k.Facts, quiet)
	}
	if len(configured.Aliases) > 0 {
		k.Facts = append(k.Facts, sentence("Also called "+list(configured.Aliases)))
	}
	for i := range k.Facts {
		k.Facts[i] = f.Shown(k.Facts[i])
	}
	if !texts {
		return k, nil
	}
	return k, c.texts(ctx, f, &k, configured.Number)
}

// texts fills in when the latest texts to a phone were delivered and replied to.
func (c *Console) texts(ctx context.Context, f *Frame, k *contact, to e164.Number) error {
	ms, err := c.o.Store.List(ctx, outbox.Query{To: to, Limit: textsRead})
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.State == outbox.Delivered && m.UpdatedAt.After(k.Delivered.at) {
			k.Delivered, k.Late = f.when(m.UpdatedAt), ""
			if took, late := delay(m, m.UpdatedAt); late {
				k.Late = took
			}
		}
		for _, e := range m.Events {
			if e.Type == outbox.EventReply && e.At.After(k.Replied.at) {
				k.Replied = f.when(e.At)
			}
		}
	}
	return nil
}

// receiversOf returns the receivers that page a contact, at first or in an escalation.
func (c *Console) receiversOf(name string) []string {
	var all []string
	for _, rc := range c.settings.Load().cfg.Receivers {
		pages := slices.Contains(rc.To, name)
		for _, step := range rc.Escalate {
			pages = pages || slices.Contains(step.To, name)
		}
		if pages {
			all = append(all, rc.Name)
		}
	}
	return all
}

// quietWords returns a sentence about a contact's quiet hours, or "" if there are none.
func quietWords(q config.Quiet, f *Frame) string {
	if q.From == "" {
		return ""
	}
	words := "Quiet " + q.From + " to " + q.To
	if q.Zone != nil && q.Zone.String() != f.zone.String() {
		words += " in " + q.Zone.String()
	}
	if len(q.Severities) > 0 {
		words += " for " + list(q.Severities)
	}
	return words + "."
}

func (c *Console) serveVerify(w http.ResponseWriter, r *http.Request) {
	f := c.frame(r, "/contacts", "")
	if err := f.Caller.May(config.Admin); err != nil {
		c.fail(w, r, access.Status(err), "You may not send verifications.", "Ask an admin to send it, or to give you the role “admin” (console.users).")
		return
	}
	name := r.PathValue("name")
	done, code := &verified{Name: name, Done: true, Text: "A code was sent to " + name + ". The reply with it verifies the phone."}, http.StatusOK
	switch err := c.o.People.Verify(r.Context(), name, false); {
	case errors.Is(err, people.ErrUnknownContact):
		c.fail(w, r, http.StatusNotFound, "There is no such contact.", "See the list of contacts.")
		return
	case errors.Is(err, people.ErrVerifiedOften):
		done.Done, done.Text, code = false, sentence(capital(strings.TrimSpace(err.Error()))), http.StatusTooManyRequests
	case err != nil:
		c.o.Logger.Error("cannot send a verification", "err", err)
		done.Done, done.Text, code = false, "The text cannot be stored. Try again in a moment; the log says what is wrong.", http.StatusServiceUnavailable
	}
	c.showContacts(w, r, code, done)
}
