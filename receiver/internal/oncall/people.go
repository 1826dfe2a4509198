package oncall

import (
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// directory is who is who in a configuration. It does not change.
type directory struct {
	byName   map[string]*config.Contact
	byNumber map[e164.Number]*config.Contact
	// registered are all numbers that the configuration names. A contact's fellows
	// are those that it shares a receiver with.
	registered map[e164.Number]bool
	fellows    map[e164.Number][]e164.Number
}

func newDirectory(cfg *config.Config) *directory {
	d := &directory{
		byName: make(map[string]*config.Contact), byNumber: make(map[e164.Number]*config.Contact),
		registered: make(map[e164.Number]bool), fellows: make(map[e164.Number][]e164.Number),
	}
	for i := range cfg.Contacts {
		c := &cfg.Contacts[i]
		d.byName[c.Name] = c
		if d.byNumber[c.Number] == nil {
			d.byNumber[c.Number] = c
		}
		d.registered[c.Number] = true
	}
	members := make(map[string][]e164.Number) // of rotas
	for _, r := range cfg.Rotas {
		numbers := d.numbers(r.Recipients, nil)
		for _, name := range r.Turns.People {
			numbers = append(numbers, d.byName[name].Number)
		}
		if r.Turns.Start == "" { // a calendar may name any contact
			for _, c := range cfg.Contacts {
				numbers = append(numbers, c.Number)
			}
		}
		members[r.Name] = numbers
	}
	for _, r := range cfg.Receivers {
		team := d.numbers(r.Recipients, members)
		for _, s := range r.Escalate {
			team = append(team, d.numbers(s.Recipients, members)...)
		}
		d.together(team)
	}
	for _, h := range cfg.Heartbeats {
		d.together(d.numbers(h.Recipients, members))
	}
	d.together(d.numbers(cfg.Credit.Recipients, members))
	return d
}

// together registers the numbers of people who are told of the same.
func (d *directory) together(team []e164.Number) {
	for _, number := range team {
		d.registered[number] = true
		for _, other := range team {
			if other != number && !slices.Contains(d.fellows[number], other) {
				d.fellows[number] = append(d.fellows[number], other)
			}
		}
	}
}

// numbers are those of recipients, and of the members of rotas.
func (d *directory) numbers(rs []config.Recipient, members map[string][]e164.Number) []e164.Number {
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

// person is who has a number.
func (d *directory) person(number e164.Number) outbox.Person {
	p := outbox.Person{Number: number}
	if c := d.byNumber[number]; c != nil {
		p.Name = c.Name
	}
	return p
}

// People are those whom recipients name at a moment, each once, without those who
// want no more texts. severities are those of the alerts that they are told of:
// where all of them may wait for a contact's quiet hours to end, NotBefore is set.
func (o *OnCall) People(rs []config.Recipient, severities []string, at time.Time) []outbox.Person {
	s := o.settings.Load()
	var all []outbox.Person
	add := func(number e164.Number) {
		if o.contacts.stopped(number) || slices.ContainsFunc(all, func(p outbox.Person) bool { return p.Number == number }) {
			return
		}
		all = append(all, s.told(number, severities, at))
	}
	for _, r := range rs {
		if r.Rota == "" {
			add(r.Number)
			continue
		}
		for _, number := range o.onDuty(s, r.Rota, at) {
			add(number)
		}
	}
	return all
}

// Named finds whom a label names: a contact, a rota ("rota:second") or a number.
func (o *OnCall) Named(name string) (config.Recipient, bool) {
	s := o.settings.Load()
	if rota, ok := strings.CutPrefix(name, "rota:"); ok {
		return config.Recipient{Rota: rota}, s.roster.find(rota) != nil
	}
	if c := s.directory.byName[name]; c != nil {
		return config.Recipient{Name: c.Name, Number: c.Number}, true
	}
	number, err := e164.Parse(name)
	return config.Recipient{Number: number}, err == nil
}

// told is a person, and when to be told of alerts of some severities.
func (s *settings) told(number e164.Number, severities []string, at time.Time) outbox.Person {
	p := s.directory.person(number)
	if c := s.directory.byNumber[number]; c != nil && mayWait(c.Quiet.Severities, severities) {
		p.NotBefore = quietUntil(&c.Quiet, at)
	}
	return p
}

func mayWait(waiting, severities []string) bool {
	return len(severities) > 0 && !slices.ContainsFunc(severities, func(s string) bool { return !slices.Contains(waiting, s) })
}

// quietUntil is when the quiet hours end that a moment is in; zero where it is in none.
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

// onDuty is who a rota names at a moment. A gap falls to the rota's default, and so
// does a duty of people who want no more texts; that is told loudly.
func (o *OnCall) onDuty(s *settings, rota string, at time.Time) []e164.Number {
	on := s.roster.At(rota, at)
	var numbers []e164.Number
	for _, name := range on.Contacts {
		number, err := e164.Parse(name)
		if c := s.directory.byName[name]; c != nil {
			number, err = c.Number, nil
		}
		if err == nil && !o.contacts.stopped(number) {
			numbers = append(numbers, number)
		}
	}
	d := s.roster.find(rota)
	why := ""
	switch {
	case on.Unread:
		why = "the calendar of a rota was never read"
	case on.Gap:
		why = "nobody is on duty by a rota"
	case len(numbers) == 0:
		why = "who is on duty by a rota wants no more texts"
		numbers = s.directory.numbers(d.Recipients, nil)
	default:
		return numbers
	}
	o.metrics.gaps.WithLabelValues(rota).Inc()
	instead := "its default is paged instead"
	if len(d.Recipients) == 0 {
		instead = "it has no default, so nobody is paged by it"
	}
	o.logger.Error(why+"; "+instead, "rota", rota, "duty", e164.Redact(strings.Join(on.Contacts, ", ")), "unknown", e164.Redact(strings.Join(on.Unknown, ", ")))
	return numbers
}
