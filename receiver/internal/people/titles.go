package people

import (
	"slices"
	"time"

	"github.com/smspager/smspager/receiver/internal/people/rota"
)

// Title is the title of shifts that holds other words than the names of contacts, so that it may mean
// something else than smspager reads: "Alice at the dentist".
type Title struct {
	Text     string
	Contacts []string  // the contacts on duty by it; empty: nobody
	First    time.Time // when the first such shift begins
	Shifts   int
}

// Titles returns the titles of a rota's shifts between two moments that hold other words than names, by
// the first shift. It is empty if the rota has no calendar.
func (r *Roster) Titles(name string, from, to time.Time) []Title {
	d := r.find(name)
	if d == nil {
		return nil
	}
	d.mu.Lock()
	of := d.rota
	d.mu.Unlock()
	calendar, ok := of.(*rota.Calendar)
	if !ok {
		return nil
	}
	var titles []Title
	for _, s := range calendar.Shifts(from, to) {
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

// named reports whether a title is empty or holds nothing but names of contacts.
func (d *duty) named(title string) bool {
	for _, part := range joins.Split(title, -1) {
		if part = plain(part); part != "" && d.names[part] == "" {
			return false
		}
	}
	return true
}
