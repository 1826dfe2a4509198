package people

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/alias"
	"github.com/smspager/smspager/receiver/internal/httpclient"
	"github.com/smspager/smspager/receiver/internal/people/rota"
)

// Roster holds the rotas of a configuration and who is on duty in them. It is safe for concurrent use.
type Roster struct {
	contacts []config.Contact
	duties   []*duty
	zones    zoneinfo.Data // the time zone data in use when the calendars were read
}

// duty holds a rota and the contents of its calendar.
type duty struct {
	config.Rota
	names  map[string]string // contacts by name and alias
	client *http.Client      // for the calendar's URL
	since  time.Time         // when it was configured

	mu   sync.Mutex
	rota rota.Rota // nil until it is read
	etag string
	// readAt is when the calendar was last read; failed is the error if a later attempt failed.
	readAt time.Time
	failed error

	matched sync.Map // contacts by the shift that names them (see match)
}

// NewRoster returns a Roster that has not read its calendars yet; see Load. transport carries the
// requests for calendars; nil: the default transport.
func NewRoster(cfg *config.Config, transport http.RoundTripper) *Roster {
	r := &Roster{contacts: cfg.Contacts, zones: zoneinfo.InUse()}
	names := make(map[string]string)
	for _, c := range cfg.Contacts {
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			if name = alias.Plain(name); name != "" {
				names[name] = c.Name
			}
		}
	}
	for _, rc := range cfg.Rotas {
		d := &duty{Rota: rc, names: names, client: httpclient.New(rc.HTTPConfig, transport, rc.Timeout)}
		if rc.Turns.Start != "" {
			d.rota = rota.Turns{Start: rc.Turns.StartTime, Days: rc.Turns.Days, Names: rc.Turns.People}
		}
		r.duties = append(r.duties, d)
	}
	return r
}

// current returns the rota as it was last read, nil if it never was.
func (d *duty) current() rota.Rota {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rota
}

// calendar returns the rota's calendar, nil if it was never read or the rota has turns.
func (d *duty) calendar() *rota.Calendar {
	c, _ := d.current().(*rota.Calendar)
	return c
}

// Duty is a period in which the same people are on duty.
type Duty struct {
	Start, End time.Time
	Contacts   []string // on duty; in a gap, the rota's default
	Gap        bool     // nobody is on duty
	Unread     bool     // the calendar has never been read, so the default is paged
	Unknown    []string // names of the shifts in a gap that match no contact
}

// Rotas returns the names of the rotas.
func (r *Roster) Rotas() []string {
	var names []string
	for _, d := range r.duties {
		names = append(names, d.Name)
	}
	return names
}

func (r *Roster) find(name string) *duty {
	i := slices.IndexFunc(r.duties, func(d *duty) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return r.duties[i]
}

// Zone returns the time zone of a rota, which must exist.
func (r *Roster) Zone(name string) *time.Location { return r.find(name).Rota.Zone }

// Timeline returns who is on duty in a rota between two times, gaps included. It joins consecutive shifts of
// the same people. It is nil if there is no such rota.
func (r *Roster) Timeline(name string, from, to time.Time) []Duty {
	d := r.find(name)
	if d == nil {
		return nil
	}
	of := d.current()
	if of == nil {
		unread := d.on(rota.Span{Start: from, End: to})
		unread.Unread = true
		return []Duty{unread}
	}
	var duties []Duty
	for _, span := range rota.Timeline(ofContacts{of, d}, from, to) {
		on := d.on(span)
		if on.Gap {
			for _, shift := range of.Shifts(span.Start, span.End) {
				on.Unknown = append(on.Unknown, shift.Label())
			}
		}
		if n := len(duties); n > 0 && duties[n-1].Gap == on.Gap && slices.Equal(duties[n-1].Contacts, on.Contacts) && slices.Equal(duties[n-1].Unknown, on.Unknown) {
			duties[n-1].End = on.End
			continue
		}
		duties = append(duties, on)
	}
	return duties
}

// ofContacts is a rota without the shifts that name no contact. Other events of a calendar, such as
// holidays, must not end anybody's shift.
type ofContacts struct {
	rota.Rota
	duty *duty
}

func (c ofContacts) Shifts(from, to time.Time) []rota.Shift {
	return slices.DeleteFunc(c.Rota.Shifts(from, to), func(s rota.Shift) bool { return len(c.duty.match(s)) == 0 })
}

// At returns who is on duty in a rota at a time. End is the time of the next change, at most a month later.
func (r *Roster) At(name string, at time.Time) Duty {
	for _, ahead := range []time.Duration{day, 8 * day, 31 * day} {
		timeline := r.Timeline(name, at, at.Add(ahead))
		if len(timeline) == 0 {
			return Duty{Start: at, End: at, Gap: true}
		}
		now := timeline[0]
		changes := false // unlike in a timeline, an unknown name alone is no change
		for _, next := range timeline[1:] {
			if next.Gap != now.Gap || !slices.Equal(next.Contacts, now.Contacts) {
				changes = true
				break
			}
			now.End = next.End
		}
		if changes || ahead == 31*day {
			return now
		}
	}
	panic("unreachable")
}

const day = 24 * time.Hour

// Now returns who is on duty in a rota at a time. Unlike At, it does not search for the next
// change: ignore End.
func (r *Roster) Now(name string, at time.Time) Duty {
	timeline := r.Timeline(name, at, at.Add(time.Nanosecond))
	if len(timeline) == 0 {
		return Duty{Start: at, End: at, Gap: true}
	}
	return timeline[0]
}

// on returns the contacts on duty in a span.
func (d *duty) on(span rota.Span) Duty {
	on := Duty{Start: span.Start, End: span.End, Gap: span.Gap()}
	for _, shift := range span.Shifts {
		for _, contact := range d.match(shift) {
			if !slices.Contains(on.Contacts, contact) {
				on.Contacts = append(on.Contacts, contact)
			}
		}
	}
	if on.Gap {
		for _, r := range d.Recipients {
			on.Contacts = append(on.Contacts, r.String())
		}
	}
	return on
}

// match returns the contacts that a shift names, by the names and addresses of its attendees, or
// else by its summary. If the summary says that somebody is away, nobody is named.
func (d *duty) match(shift rota.Shift) []string {
	key := strings.Join(shift.Names, "\x00") + "\x01" + shift.Summary
	if found, ok := d.matched.Load(key); ok {
		return found.([]string)
	}
	found := d.find(shift)
	d.matched.Store(key, found)
	return found
}

// away matches words for vacations and other time off duty.
var away = regexp.MustCompile(`(?i)(^|[^\pL])(vacations?|holidays?|annual leave|sick leave|parental leave|on leave|leave|pto|ooo|out of (the )?office|day off|days off|time off|off duty|birthday|` +
	`vacances|cong.s?|absente?|absence|anniversaire|arr.t maladie|rtt|urlaub|abwesend|krank|geburtstag|feiertag|elternzeit|vacaciones|ausente|cumplea.os|baja m.dica|` +
	`ferie|assente|malattia|compleanno|vakantie|verlof|afwezig|verjaardag|ziek|f.rias|anivers.rio|folga)($|[^\pL])`)

func (d *duty) find(shift rota.Shift) []string {
	if away.MatchString(norm.NFC.String(shift.Summary)) {
		return nil
	}
	var found []string
	add := func(contacts ...string) {
		for _, contact := range contacts {
			if !slices.Contains(found, contact) {
				found = append(found, contact)
			}
		}
	}
	for _, name := range shift.Names {
		if contact, ok := d.called(name); ok {
			add(contact)
		} else {
			add(d.within(name)...)
		}
	}
	if found != nil {
		return found
	}
	if contact, ok := d.called(shift.Summary); ok {
		return []string{contact}
	}
	return d.within(shift.Summary)
}

// called returns the contact with this name or alias, or with an address whose local part is one.
func (d *duty) called(name string) (contact string, ok bool) {
	if contact, ok = d.names[alias.Plain(name)]; !ok {
		local, _, _ := strings.Cut(name, "@")
		contact, ok = d.names[alias.Plain(local)]
	}
	return contact, ok
}

// joins matches what separates the names of people who share a shift.
var joins = regexp.MustCompile(`(?i)\s*[,/&;]\s*|\s+(?:\+|and|et|und|y)\s+`)

// within returns the contacts that the words of a text name: both in "Alice / Bob", the first in
// "Alice covers for Bob" and "Alice (until six: Bob)".
func (d *duty) within(text string) []string {
	if begin := strings.IndexAny(text, "(["); begin > 0 {
		text = text[:begin]
	}
	var found []string
	for _, part := range joins.Split(text, -1) {
		words := " " + alias.Plain(part) + " "
		first, name := len(words), ""
		for called := range d.names {
			at := strings.Index(words, " "+called+" ")
			if at >= 0 && (at < first || at == first && len(called) > len(name)) {
				first, name = at, called
			}
		}
		if name != "" && !slices.Contains(found, d.names[name]) {
			found = append(found, d.names[name])
		}
	}
	return found
}
