package people

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// register holds the contacts and numbers of a configuration. It is immutable.
type register struct {
	byName     map[string]*config.Contact
	byNumber   map[e164.Number]*config.Contact
	registered map[e164.Number]bool          // the numbers that the configuration names
	teammates  map[e164.Number][]e164.Number // the numbers in the same team
}

func newRegister(cfg *config.Config) *register {
	g := &register{
		byName: make(map[string]*config.Contact), byNumber: make(map[e164.Number]*config.Contact),
		registered: make(map[e164.Number]bool), teammates: make(map[e164.Number][]e164.Number),
	}
	for i := range cfg.Contacts {
		c := &cfg.Contacts[i]
		g.byName[c.Name] = c
		if g.byNumber[c.Number] == nil {
			g.byNumber[c.Number] = c
		}
		g.registered[c.Number] = true
	}
	members := make(map[string][]e164.Number) // of rotas
	for _, r := range cfg.Rotas {
		numbers := g.numbers(r.Recipients, nil)
		for _, name := range r.Turns.People {
			numbers = append(numbers, g.byName[name].Number)
		}
		if r.Turns.Start == "" { // a calendar may name any contact
			for _, c := range cfg.Contacts {
				numbers = append(numbers, c.Number)
			}
		}
		members[r.Name] = numbers
	}
	for _, r := range cfg.Receivers {
		team := g.numbers(r.Recipients, members)
		for _, s := range r.Escalate {
			team = append(team, g.numbers(s.Recipients, members)...)
		}
		g.together(team)
	}
	for _, h := range cfg.Heartbeats {
		g.together(g.numbers(h.Recipients, members))
	}
	g.together(g.numbers(cfg.Credit.Recipients, members))
	return g
}

// together registers the numbers of a team: people who are sent the same messages.
func (g *register) together(team []e164.Number) {
	for _, number := range team {
		g.registered[number] = true
		for _, other := range team {
			if other != number && !slices.Contains(g.teammates[number], other) {
				g.teammates[number] = append(g.teammates[number], other)
			}
		}
	}
}

// numbers returns the numbers of recipients and of the members of their rotas.
func (g *register) numbers(rs []config.Recipient, members map[string][]e164.Number) []e164.Number {
	var all []e164.Number
	for _, r := range rs {
		if r.Rota != "" {
			all = append(all, members[r.Rota]...)
		} else {
			all = append(all, r.Number)
		}
	}
	return all
}

// names lists the names of the contacts, for an error.
func (g *register) names() string {
	if len(g.byName) == 0 {
		return "not configured"
	}
	return strings.Join(slices.Sorted(maps.Keys(g.byName)), ", ")
}

// person returns the contact with a number, or a person with the number alone.
func (g *register) person(number e164.Number) outbox.Person {
	p := outbox.Person{Number: number}
	if c := g.byNumber[number]; c != nil {
		p.Name = c.Name
	}
	return p
}

// recipient returns the person with a number. NotBefore is set if alerts of all these severities
// may wait for the end of the quiet hours.
func (g *register) recipient(number e164.Number, severities []string, at time.Time) outbox.Person {
	p := g.person(number)
	if c := g.byNumber[number]; c != nil && mayWait(c.Quiet.Severities, severities) {
		p.NotBefore = quietUntil(&c.Quiet, at)
	}
	return p
}

func mayWait(waiting, severities []string) bool {
	return len(severities) > 0 && !slices.ContainsFunc(severities, func(s string) bool {
		return !slices.ContainsFunc(waiting, func(w string) bool { return templating.SameSeverity(w, s) })
	})
}

// quietUntil returns the end of the quiet hours that include a time, or zero.
func quietUntil(q *config.Quiet, at time.Time) time.Time {
	if q.From == "" {
		return time.Time{}
	}
	local := at.In(q.Zone)
	minute := local.Hour()*60 + local.Minute()
	end := time.Date(local.Year(), local.Month(), local.Day(), q.ToMinute/60, q.ToMinute%60, 0, 0, q.Zone)
	switch {
	case q.FromMinute < q.ToMinute && (minute < q.FromMinute || minute >= q.ToMinute):
		return time.Time{}
	case q.FromMinute > q.ToMinute && minute >= q.FromMinute:
		return end.AddDate(0, 0, 1)
	case q.FromMinute > q.ToMinute && minute >= q.ToMinute:
		return time.Time{}
	}
	return end
}
