package oncall

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/oncall/rota"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// calendarTimeout and maxCalendarBytes bound the reading of a calendar.
	calendarTimeout  = 10 * time.Second
	maxCalendarBytes = 8 << 20
)

// Roster is who is on duty by the rotas of a configuration. It is safe for
// concurrent use.
type Roster struct {
	contacts []config.Contact
	client   *http.Client
	duties   []*duty
}

// duty is one rota.
type duty struct {
	config.Rota
	names map[string]string // of contacts, by what they are called

	mu   sync.Mutex
	rota rota.Rota // nil until it is read
	etag string
}

// NewRoster makes a Roster. Calendars are read by Load. A nil client is one of
// its own.
func NewRoster(cfg *config.Config, client *http.Client) *Roster {
	if client == nil {
		client = &http.Client{Timeout: calendarTimeout}
	}
	r := &Roster{contacts: cfg.Contacts, client: client}
	names := make(map[string]string)
	for _, c := range cfg.Contacts {
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			if name = plain(name); name != "" {
				names[name] = c.Name
			}
		}
	}
	for _, rc := range cfg.Rotas {
		d := &duty{Rota: rc, names: names}
		if rc.Turns.Start != "" {
			d.rota = rota.Turns{Start: rc.Turns.StartTime, Days: rc.Turns.Days, Names: rc.Turns.People}
		}
		r.duties = append(r.duties, d)
	}
	return r
}

// CalendarError tells why the calendar of a rota cannot be used.
type CalendarError struct {
	Rota string
	File bool // it is a file, not a URL, which may be there again later
	Err  error
}

func (e *CalendarError) Error() string { return fmt.Sprintf("rota %q: %v", e.Rota, e.Err) }
func (e *CalendarError) Unwrap() error { return e.Err }

// Load reads the calendars of all rotas, and returns what failed. Each rota that
// failed keeps what it had.
func (r *Roster) Load(ctx context.Context) []*CalendarError {
	var errs []*CalendarError
	for _, d := range r.duties {
		if _, err := d.load(ctx, r.client); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// load reads the calendar of a rota, if it has one, and returns it where it is new.
func (d *duty) load(ctx context.Context, client *http.Client) (fresh []byte, failure *CalendarError) {
	if d.Turns.Start != "" {
		return nil, nil
	}
	data, etag, err := d.read(ctx, client)
	if err == nil && data != nil {
		err = d.use(data)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		return nil, &CalendarError{Rota: d.Name, File: d.Calendar != "", Err: err}
	}
	d.etag = etag
	return data, nil
}

// use takes a calendar as the rota.
func (d *duty) use(data []byte) error {
	c, err := rota.ParseCalendar(data, d.Zone)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rota = c
	return nil
}

// read reads the file, or asks for the URL. The data is nil where it has not changed.
func (d *duty) read(ctx context.Context, client *http.Client) (data []byte, etag string, err error) {
	if d.Calendar != "" {
		f, err := os.Open(d.Calendar)
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		data, err = readCalendar(f)
		return data, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, calendarTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.CalendarURL.Reveal(), nil)
	if err != nil {
		return nil, "", errors.New("the calendar's URL is unusable")
	}
	d.mu.Lock()
	if d.etag != "" {
		req.Header.Set("If-None-Match", d.etag)
	}
	etag = d.etag
	d.mu.Unlock()
	resp, err := client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the URL, which is a secret
		}
		return nil, "", fmt.Errorf("the calendar cannot be read: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return nil, etag, nil
	case http.StatusOK:
		data, err = readCalendar(resp.Body)
		return data, resp.Header.Get("ETag"), err
	}
	return nil, "", fmt.Errorf("the calendar cannot be read: its server answers %s", resp.Status)
}

func readCalendar(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCalendarBytes+1))
	if err == nil && len(data) > maxCalendarBytes {
		err = fmt.Errorf("the calendar has more than %d bytes", maxCalendarBytes)
	}
	if err == nil && len(data) == 0 {
		err = errors.New("the calendar is empty")
	}
	return data, err
}

// Duty is a time in which the same people are on duty.
type Duty struct {
	Start, End time.Time
	Contacts   []string // who it is; those of Default where Gap is set
	Gap        bool     // nobody is
	Unread     bool     // the calendar was never read, so that it is not known who is; the Default is paged
	// Unknown is what the shifts of a gap are called, which name no contact.
	Unknown []string
}

// Rotas are the names of the rotas.
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

// Timeline is who is on duty by a rota between two moments, without a break. It is
// nil for a rota that is not there.
func (r *Roster) Timeline(name string, from, to time.Time) []Duty {
	d := r.find(name)
	if d == nil {
		return nil
	}
	d.mu.Lock()
	of := d.rota
	d.mu.Unlock()
	if of == nil {
		unread := d.person(rota.Span{Start: from, End: to})
		unread.Unread = true
		return []Duty{unread}
	}
	var duties []Duty
	for _, span := range rota.Timeline(ofContacts{of, d}, from, to) {
		on := d.person(span)
		if on.Gap {
			for _, shift := range of.Shifts(span.Start, span.End) {
				on.Unknown = append(on.Unknown, shift.Label())
			}
		}
		duties = append(duties, on)
	}
	return duties
}

// ofContacts are the shifts of a rota that name contacts: what else is in a
// calendar, such as holidays, relieves nobody of a duty.
type ofContacts struct {
	rota.Rota
	duty *duty
}

func (c ofContacts) Shifts(from, to time.Time) []rota.Shift {
	return slices.DeleteFunc(c.Rota.Shifts(from, to), func(s rota.Shift) bool { return len(c.duty.match(s)) == 0 })
}

// At is who is on duty by a rota at a moment. End is when that changes, at most a
// month away.
func (r *Roster) At(name string, at time.Time) Duty {
	const ahead = 31 * 24 * time.Hour
	timeline := r.Timeline(name, at, at.Add(ahead))
	if len(timeline) == 0 {
		return Duty{Start: at, End: at, Gap: true}
	}
	now := timeline[0]
	for _, next := range timeline[1:] {
		if next.Gap != now.Gap || !slices.Equal(next.Contacts, now.Contacts) {
			break
		}
		now.End = next.End
	}
	return now
}

// person names the contacts of a span.
func (d *duty) person(span rota.Span) Duty {
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
			on.Contacts = append(on.Contacts, recipientName(r))
		}
	}
	return on
}

func recipientName(r config.Recipient) string {
	if r.Name != "" {
		return r.Name
	}
	return string(r.Number)
}

// match finds the contacts whom a shift names: its attendees, by their names or
// addresses, or else its summary.
func (d *duty) match(shift rota.Shift) []string {
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

// called is the contact of a name, an alias, or an address whose local part is one.
func (d *duty) called(name string) (contact string, ok bool) {
	if contact, ok = d.names[plain(name)]; !ok {
		local, _, _ := strings.Cut(name, "@")
		contact, ok = d.names[plain(local)]
	}
	return contact, ok
}

// joins stand between the names of people who share a shift.
var joins = regexp.MustCompile(`(?i)\s*[,/&;]\s*|\s+(?:\+|and|et|und|y)\s+`)

// within are the contacts among the words of a text: of "Alice / Bob" both, of "Alice
// covers for Bob" and "Alice (until six: Bob)" the first one.
func (d *duty) within(text string) []string {
	if begin := strings.IndexAny(text, "(["); begin > 0 {
		text = text[:begin]
	}
	var found []string
	for _, part := range joins.Split(text, -1) {
		words := " " + plain(part) + " "
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

// plain is a name in lower case, without accents and with single spaces.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '@', r == '.', r == '+':
			return unicode.ToLower(r)
		}
		return ' '
	}, norm.NFD.String(name))
	return strings.Join(strings.Fields(name), " ")
}

// Marks reads marks. An outbox.Store does.
type Marks interface {
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// calendarCopy is a calendar as the outbox keeps it.
type calendarCopy struct {
	Source string `json:"source"` // a hash of the file's name, or of the URL
	Text   string `json:"text"`
}

// source tells where the calendar is from, without telling the URL, which is a secret.
func (d *duty) source() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(d.Calendar+d.CalendarURL.Reveal())))
}

// UseCopies uses the last good copies that an outbox holds, for calendars that were
// not read yet.
func (r *Roster) UseCopies(ctx context.Context, store Marks) error {
	marks, err := store.Marks(ctx, calendarMark)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range marks {
		d := r.find(m.Name)
		if d == nil || d.known() {
			continue
		}
		var kept calendarCopy
		err := json.Unmarshal(m.Doc, &kept)
		if err == nil && kept.Source == d.source() {
			err = d.use([]byte(kept.Text))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the copy of rota %q: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// known reports whether the rota was read.
func (d *duty) known() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rota != nil
}

// inherit takes over what another roster has read of the same calendars.
func (r *Roster) inherit(from *Roster) {
	for _, d := range r.duties {
		old := from.find(d.Name)
		if old == nil || old.Calendar != d.Calendar || old.CalendarURL != d.CalendarURL || old.Zone.String() != d.Zone.String() || d.known() {
			continue
		}
		old.mu.Lock()
		known, etag := old.rota, old.etag
		old.mu.Unlock()
		d.mu.Lock()
		d.rota, d.etag = known, etag
		d.mu.Unlock()
	}
}
