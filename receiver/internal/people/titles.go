package people

import (
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/alias"
)

// Title is a title of shifts that contains other words than the names of contacts, so smspager may
// misread it: "Alice at the dentist".
type Title struct {
	Text     string
	Contacts []string  // the contacts that smspager puts on duty for it; empty: nobody
	First    time.Time // the start of the first such shift
	Shifts   int
}

// Titles returns the titles of a rota's shifts between two times that contain other words than names,
// in the order of their first shifts. It is empty if the rota has no calendar.
func (r *Roster) Titles(name string, from, to time.Time) []Title {
	d := r.find(name)
	if d == nil || d.calendar() == nil {
		return nil
	}
	var titles []Title
	for _, s := range d.calendar().Shifts(from, to) {
		if d.named(s.Summary) {
			continue
		}
		contacts := d.match(s)
		i := slices.IndexFunc(titles, func(t Title) bool { return t.Text == s.Summary && slices.Equal(t.Contacts, contacts) })
		if i < 0 {
			titles = append(titles, Title{Text: s.Summary, Contacts: contacts, First: s.Start})
			i = len(titles) - 1
		}
		titles[i].Shifts++
	}
	return titles
}

// named reports whether a title is empty or consists of names of contacts.
func (d *duty) named(title string) bool {
	for _, part := range joins.Split(title, -1) {
		if part = alias.Plain(part); part != "" && d.names[part] == "" {
			return false
		}
	}
	return true
}
