package console

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/status"
)

const (
	// dutyDays is how many days the page of duty shows; dutyYears is how many years they may be from today.
	dutyDays  = 14
	dutyYears = 5
	// ownShiftsShown is how many of the reader's shifts are listed. They begin within dutyAhead; their ends are
	// searched for within shiftsAhead.
	ownShiftsShown = 6
	shiftsAhead    = 2 * dutyAhead
	// rowWidth is the width of a row on a wide screen, in pixels.
	rowWidth = 720.0
)

// dutyPage is what the page of duty shows.
type dutyPage struct {
	*Frame
	From, To        when // of the days shown
	Last            when // the last day shown
	Current         bool // today is shown
	Mine            []myShift
	Gaps            []gap
	Days            []dutyDay
	Rotas           []rotaRow
	Earlier, Later  string
	Today           string // the address of the current weeks; "" if they are shown
	Heading, Reader string
}

// myShift is a shift of the reader.
type myShift struct {
	Rota     string
	Now      bool
	From, To when
	Elsewhere
}

// Elsewhere is a time in the rota's zone; empty if the reader's zone has the same time.
type Elsewhere struct{ Clock, Zone string }

// gap is a period in which nobody is on duty.
type gap struct {
	Rota, Length, Then string
	When               string
	From               when
	Now, Over          bool
	Nobody             bool // nobody is paged instead
	Unread             bool
	Unknown            string
}

// dutyDay is a day on the axis of the rows.
type dutyDay struct {
	X, Middle, Width string
	Weekday, Day     string
	Weekend          bool
}

// rotaRow is the row of a rota.
type rotaRow struct {
	Name, Zone, Source string
	Trouble            string // why the last attempt to read the calendar failed
	Read               when
	Shifts             []shift
	Words              string // the row in a sentence
	Now                string // the position of the current time; "" if it is not shown
	Wrong              []wrongPhone
}

// wrongPhone is a contact on duty whose phone may not work.
type wrongPhone struct{ Name, Why string }

// shift is a period in which the same people are on duty.
type shift struct {
	X, Width string
	TextX    string // where the label begins within the shift
	Who      string
	Label    string // Who; "" if there is no room for it
	From, To string
	ends     time.Time
	Gap      bool
	Unread   bool
	Mine     bool
	contacts []string
}

func (c *Console) serveDuty(w http.ResponseWriter, r *http.Request) {
	f := c.frame(r, "/duty", "Duty")
	today := f.midnight(f.now, 0)
	from := today
	if given := r.URL.Query().Get("from"); given != "" {
		day, err := time.ParseInLocation(time.DateOnly, given, f.zone)
		if err != nil || day.Sub(today).Abs() > dutyYears*365*24*time.Hour {
			c.fail(w, r, http.StatusBadRequest, "There is no such day.", "The page of duty begins at a day such as "+today.Format(time.DateOnly)+".")
			return
		}
		from = day
	}
	d := &dutyPage{Frame: f, From: f.when(from), To: f.when(f.midnight(from, dutyDays)), Last: f.when(f.midnight(from, dutyDays-1)), Reader: f.Caller.Contact}
	d.Current = !f.now.Before(d.From.at) && f.now.Before(d.To.at)
	d.Earlier, d.Later = d.address(-dutyDays), d.address(dutyDays)
	if !d.Current {
		d.Today = f.Base + "/duty"
	}
	d.Days = d.days()
	calendars := make(map[string]status.Calendar)
	for _, calendar := range c.o.State.Status().Calendars {
		calendars[calendar.Rota] = calendar
	}
	roster, wrong := c.o.People.Roster(), c.phones()
	for _, rota := range roster.Rotas() {
		d.mine(roster, rota)
		d.Rotas = append(d.Rotas, c.rotaRow(d, roster, rota, calendars[rota], wrong))
	}
	slices.SortStableFunc(d.Mine, func(a, b myShift) int { return a.From.at.Compare(b.From.at) })
	d.Mine = d.Mine[:min(len(d.Mine), ownShiftsShown)]
	slices.SortStableFunc(d.Gaps, func(a, b gap) int { return a.From.at.Compare(b.From.at) })
	d.Heading = d.heading()
	f.Title = d.Heading
	c.render(w, r, http.StatusOK, "duty.html", d)
}

// midnight returns the beginning of the day of a time, or of a later day, in the reader's zone.
func (c *clock) midnight(at time.Time, days int) time.Time {
	at = at.In(c.zone)
	return time.Date(at.Year(), at.Month(), at.Day()+days, 0, 0, 0, 0, c.zone)
}

// address returns the address of the page some days earlier or later.
func (d *dutyPage) address(days int) string {
	return d.Base + "/duty?from=" + d.midnight(d.From.at, days).Format(time.DateOnly)
}

// heading answers whether the reader is on duty, or whether anybody is.
func (d *dutyPage) heading() string {
	switch {
	case len(d.Rotas) == 0:
		return "No rotas"
	case len(d.Mine) > 0 && d.Mine[0].Now:
		return "You are on duty until " + d.Mine[0].To.Day()
	case len(d.Mine) > 0:
		return "You are on duty from " + d.Mine[0].From.Day()
	case len(d.Gaps) > 0:
		return counted(len(d.Gaps), "gap") + " in two weeks"
	}
	return "Somebody is always on duty"
}

// place returns the position of a time in a row.
func (d *dutyPage) place(at time.Time) string {
	return percent(float64(at.Sub(d.From.at)) / float64(d.To.at.Sub(d.From.at)))
}

// length returns the width of a period in a row.
func (d *dutyPage) length(from, to time.Time) float64 {
	return float64(to.Sub(from)) / float64(d.To.at.Sub(d.From.at))
}

func (d *dutyPage) days() []dutyDay {
	var all []dutyDay
	for i := range dutyDays {
		begins, ends := d.midnight(d.From.at, i), d.midnight(d.From.at, i+1)
		weekday := begins.Weekday()
		all = append(all, dutyDay{
			X: d.place(begins), Middle: d.place(begins.Add(ends.Sub(begins) / 2)), Width: percent(d.length(begins, ends)), Weekday: begins.Format("Mon"), Day: begins.Format("2"),
			Weekend: weekday == time.Saturday || weekday == time.Sunday,
		})
	}
	return all
}

// mine adds the reader's shifts in a rota.
func (d *dutyPage) mine(roster *people.Roster, rota string) {
	if d.Caller.Contact == "" {
		return
	}
	for _, on := range roster.Timeline(rota, d.now, d.now.Add(shiftsAhead)) {
		if on.Gap || on.Unread || !slices.Contains(on.Contacts, d.Caller.Contact) || on.Start.Sub(d.now) > dutyAhead {
			continue
		}
		s := myShift{Rota: rota, Now: !on.Start.After(d.now), From: d.when(on.Start), To: d.when(on.End)}
		next := on.Start
		if s.Now {
			next = on.End
		}
		s.Elsewhere = d.elsewhere(next, roster.Zone(rota))
		d.Mine = append(d.Mine, s)
	}
}

// elsewhere returns a time in a rota's zone; empty if the reader's zone has the same time.
func (d *dutyPage) elsewhere(at time.Time, zone *time.Location) Elsewhere {
	_, theirs := at.In(zone).Zone()
	_, ours := at.In(d.zone).Zone()
	if theirs == ours {
		return Elsewhere{}
	}
	return Elsewhere{at.In(zone).Format("15:04"), zone.String()}
}

func (c *Console) rotaRow(d *dutyPage, roster *people.Roster, rota string, calendar status.Calendar, wrong map[string]string) rotaRow {
	row := rotaRow{Name: rota, Zone: d.zoneOf(roster.Zone(rota)), Trouble: d.Shown(calendar.Error)}
	if row.Source = c.source(rota, calendar); calendar.Source != "turns" && calendar.ReadAt != nil {
		row.Read = d.when(time.Time(*calendar.ReadAt))
	}
	// The timeline includes earlier and later days, so that the table shows when shifts begin and end.
	for _, on := range roster.Timeline(rota, d.begins(), d.ends()) {
		if on.Start.Before(d.To.at) && on.End.After(d.From.at) {
			row.Shifts = append(row.Shifts, d.shift(on))
			if on.Gap || on.Unread {
				d.Gaps = append(d.Gaps, d.gap(rota, on))
			}
		}
	}
	if d.Current {
		row.Now = d.place(d.now)
	}
	for _, s := range row.Shifts {
		for _, contact := range s.contacts {
			phone := wrongPhone{contact, wrongPhones[wrong[contact]]}
			if phone.Why != "" && s.ends.After(d.now) && !s.Gap && !slices.Contains(row.Wrong, phone) {
				row.Wrong = append(row.Wrong, phone)
			}
		}
	}
	row.Words = row.sentence()
	return row
}

// wrongPhones describes the problems that phones returns, as sentences.
var wrongPhones = map[string]string{
	"not verified":   "is not verified: a text to that phone may not arrive.",
	"wants no texts": "has stopped all texts to that phone, and is not paged.",
}

// begins and ends return the times between which shifts are searched for.
func (d *dutyPage) begins() time.Time { return d.midnight(d.From.at, -dutyDays) }
func (d *dutyPage) ends() time.Time   { return d.midnight(d.To.at, dutyDays) }

// words returns the beginning and end of a period, in words.
func (d *dutyPage) words(from, to time.Time) (string, string) {
	begin, end := d.when(from).Day(), d.when(to).Day()
	if !from.After(d.begins()) {
		begin = "earlier"
	}
	if !to.Before(d.ends()) {
		end = "later"
	}
	return begin, end
}

// shift returns a period of a rota as it is drawn.
func (d *dutyPage) shift(on people.Duty) shift {
	from, to := on.Start, on.End
	if from.Before(d.From.at) {
		from = d.From.at
	}
	if to.After(d.To.at) {
		to = d.To.at
	}
	s := shift{
		X: d.place(from), Width: percent(d.length(from, to)), TextX: "0", Who: d.Shown(list(on.Contacts)), ends: on.End, Gap: on.Gap || on.Unread, Unread: on.Unread,
		Mine: d.Caller.Contact != "" && slices.Contains(on.Contacts, d.Caller.Contact), contacts: on.Contacts,
	}
	s.From, s.To = d.words(on.Start, on.End)
	if s.Gap {
		s.Who, s.Mine = "nobody", false
		return s
	}
	label, begins := float64(8*len([]rune(s.Who))+16), from
	if d.now.After(from) && d.now.Before(to) && rowWidth*d.length(from, d.now) < label {
		begins = d.now // after the line that marks the current time
		s.TextX = percent(float64(d.now.Sub(from)) / float64(to.Sub(from)))
	}
	if rowWidth*d.length(begins, to) > label {
		s.Label = s.Who
	}
	return s
}

func (d *dutyPage) gap(rota string, on people.Duty) gap {
	g := gap{
		Rota: rota, From: d.when(on.Start), Length: capital(span(on.End.Sub(on.Start), true)) + ". ", Now: !on.Start.After(d.now) && on.End.After(d.now), Over: !on.End.After(d.now),
		Nobody: len(on.Contacts) == 0, Unread: on.Unread, Then: d.Shown(list(on.Contacts)),
	}
	switch from, to := d.words(on.Start, on.End); {
	case on.Unread:
		g.When = "not known"
	case from == "earlier" && to == "later":
		g.When, g.Length = "all the time", ""
	case from == "earlier":
		g.When, g.Length = "until "+to, ""
	case to == "later":
		g.When, g.Length = "from "+from, ""
	default:
		g.When = from + " to " + to
	}
	if len(on.Unknown) > 0 {
		g.Unknown = d.Shown(list(on.Unknown))
	}
	return g
}

// source describes the source of a rota.
func (c *Console) source(rota string, calendar status.Calendar) string {
	switch calendar.Source {
	case "turns":
		return "Turns in the configuration"
	case "file":
		rotas := c.settings.Load().cfg.Rotas
		if i := slices.IndexFunc(rotas, func(r config.Rota) bool { return r.Name == rota }); i >= 0 {
			return "Calendar " + path.Base(rotas[i].Calendar)
		}
	case "url":
		return "Calendar from an address"
	}
	return "Calendar"
}

// zoneOf names a rota's zone, and how far it is ahead of or behind the reader's.
func (d *dutyPage) zoneOf(zone *time.Location) string {
	_, theirs := d.now.In(zone).Zone()
	_, ours := d.now.In(d.zone).Zone()
	switch ahead := time.Duration(theirs-ours) * time.Second; {
	case ahead > 0:
		return zone.String() + ", " + strings.ReplaceAll(span(ahead, true), " ", nbsp) + " ahead of you"
	case ahead < 0:
		return zone.String() + ", " + strings.ReplaceAll(span(-ahead, true), " ", nbsp) + " behind you"
	}
	return zone.String()
}

// sentence returns the row in words, for people who cannot see it.
func (r *rotaRow) sentence() string {
	var words []string
	for _, s := range r.Shifts {
		who := s.Who
		if s.Gap {
			who = "a gap"
		}
		words = append(words, fmt.Sprintf("%s until %s", who, s.To))
	}
	return r.Name + ": " + strings.Join(words, ", ")
}

// Day returns the day and the time, such as "Mon 7 Dec 09:00".
func (w when) Day() string { return w.Date() + w.at.In(w.zone).Format(" 15:04") }

// Date returns the day, such as "Mon 7 Dec".
func (w when) Date() string {
	return strings.ReplaceAll(w.at.In(w.zone).Format("Mon 2 Jan"), " ", nbsp)
}

// Year returns the year.
func (w when) Year() int { return w.at.In(w.zone).Year() }
