package console

import (
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/internal/status"
)

// banner returns what is wrong: first what is broken, then what needs attention.
func (c *Console) banner(f *Frame, s *status.Status, beats []status.Heartbeat) []notice {
	all := broken(f, s)
	for _, h := range beats {
		if h.State == "dead" && h.DeadAt != nil {
			all = append(all, notice{Bad: true, What: "Heartbeat missing:", Text: fmt.Sprintf("%s has been dead since %s; its alerts may not arrive", h.Name, f.when(time.Time(*h.DeadAt)).Clock())})
		}
	}
	all = append(all, late(s)...)
	for i := range all {
		all[i].Href, all[i].Text = f.Base+"/health", f.Shown(all[i].Text)
	}
	return append(all, c.uncovered(f)...)
}

// broken returns the problems that stop messages.
func broken(f *Frame, s *status.Status) []notice {
	var all []notice
	if s.Account.Refused != "" {
		all = append(all, notice{Bad: true, What: "Account refused:", Text: s.Account.Refused + ". Messages are kept, and nothing is sent"})
	}
	if s.Spool.Trouble != "" {
		text := s.Spool.Trouble + ". Pages are sent, and stored once it can be written again"
		if s.Spool.Backlog > 0 && s.Spool.Since != nil {
			text += fmt.Sprintf("; %d wait since %s", s.Spool.Backlog, f.when(time.Time(*s.Spool.Since)).Clock())
		}
		all = append(all, notice{Bad: true, What: "The outbox cannot be written:", Text: text})
	}
	if !s.Reachable() {
		all = append(all, notice{Bad: true, What: "The provider does not respond:", Text: "no endpoint works; messages will be retried"})
	}
	return all
}

// late returns what may be a problem.
func late(s *status.Status) []notice {
	var all []notice
	if s.Probe.Late {
		all = append(all, notice{What: "Probe late:", Text: "none was delivered for three intervals of " + s.Probe.Interval})
	}
	for _, calendar := range s.Calendars {
		if calendar.Error != "" {
			all = append(all, notice{What: "Calendar of " + calendar.Rota + ":", Text: "it cannot be read, and its last copy is used: " + calendar.Error})
		}
	}
	if s.Configuration.Error != "" {
		all = append(all, notice{What: "Configuration refused:", Text: "the old one stays in force: " + s.Configuration.Error})
	}
	return all
}

// uncovered returns the gaps of the next days, and the contacts on duty now or later whose phone
// may not work.
func (c *Console) uncovered(f *Frame) []notice {
	roster, wrong := c.o.People.Roster(), c.phones()
	var all, phones []notice
	places := make(map[string]int) // index of the notice in phones, by problem
	seen := make(map[string]bool)
	for _, rota := range roster.Rotas() {
		gap := false
		for _, on := range roster.Timeline(rota, f.now, f.now.Add(gapsAhead)) {
			from := "now"
			if on.Start.After(f.now) {
				from = "from " + f.when(on.Start).Clock()
			}
			if (on.Gap || on.Unread) && !gap {
				gap = true // only the first gap
				all = append(all, gapNotice(f, rota, on.Start, on.End, from, on.Contacts, on.Unread))
			}
			for _, contact := range on.Contacts {
				if wrong[contact] == "" || seen[contact] {
					continue
				}
				seen[contact] = true
				if i, known := places[wrong[contact]]; known {
					phones[i].Others = append(phones[i].Others, contact)
					continue
				}
				places[wrong[contact]] = len(phones)
				phones = append(phones, notice{Href: f.Base + "/contacts", What: capital(wrong[contact]) + ":", Text: fmt.Sprintf("%s’s phone, on duty on %s %s", contact, rota, from)})
			}
		}
	}
	return append(all, phones...)
}

// gapNotice returns the notice about a gap in a rota.
func gapNotice(f *Frame, rota string, start, end time.Time, from string, instead []string, unread bool) notice {
	n := notice{Href: f.Base + "/duty", What: "Gap now:", Text: "nobody is on duty on " + rota + " " + from}
	if start.After(f.now) {
		n.What = "Gap in " + span(start.Sub(f.now), false) + ":"
	}
	if unread {
		n.What, n.Text = "Calendar of "+rota+":", "it was never read, so nobody is known to be on duty"
	} else if end.Before(f.now.Add(gapsAhead)) {
		n.Text += " to " + f.when(end).Clock()
	}
	if len(instead) > 0 {
		n.Text += "; " + f.Shown(list(instead)) + " gets its pages"
	}
	return n
}
