package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/e164"
)

// Recipient is one entry of a list of recipients: a contact, a number or a rota.
type Recipient struct {
	Name   string      // the contact's name; "": a number or a rota
	Number e164.Number // "": a rota
	Rota   string      // the rota's name; "": a contact or a number
}

// String returns the contact's name, the number, or "rota:" and the rota's name.
func (r Recipient) String() string {
	switch {
	case r.Rota != "":
		return RotaPrefix + r.Rota
	case r.Name != "":
		return r.Name
	}
	return string(r.Number)
}

// RotaPrefix begins a recipient that is a rota.
const RotaPrefix = "rota:"

// Step is a step of an escalation.
type Step struct {
	After      time.Duration `yaml:"after"` // since the page opened
	To         []string      `yaml:"to"`
	Recipients []Recipient   `yaml:"-"`
}

// Quiet holds the quiet hours of a contact, during which messages of some severities are held.
type Quiet struct {
	From       string         `yaml:"from"` // "22:00"; "": never
	To         string         `yaml:"to"`
	Timezone   string         `yaml:"timezone"`
	Severities []string       `yaml:"severities"` // severities that may wait
	Zone       *time.Location `yaml:"-"`
	FromMinute int            `yaml:"-"` // of the day
	ToMinute   int            `yaml:"-"`
}

// Rota sets who is on duty, by a calendar or by turns.
type Rota struct {
	Name            string         `yaml:"name"`
	Calendar        string         `yaml:"calendar"` // a file
	CalendarURL     Secret         `yaml:"calendar_url"`
	CalendarURLFile string         `yaml:"calendar_url_file"`
	HTTPConfig      *HTTPConfig    `yaml:"http_config"` // of CalendarURL
	Refresh         time.Duration  `yaml:"refresh"`     // of the calendar
	Timeout         time.Duration  `yaml:"timeout"`     // of reading CalendarURL
	Turns           Turns          `yaml:"turns"`
	Timezone        string         `yaml:"timezone"` // of Turns.Start, and of times without a zone in the calendar; "": UTC
	Zone            *time.Location `yaml:"-"`
	Default         []string       `yaml:"default"` // who is on duty in a gap
	Recipients      []Recipient    `yaml:"-"`       // the recipients in Default
}

// Turns are shifts of equal length that people take in order.
type Turns struct {
	Start     string    `yaml:"start"`  // "2026-11-02 09:00"; "": no turns
	Days      int       `yaml:"days"`   // of a shift
	People    []string  `yaml:"people"` // contacts
	StartTime time.Time `yaml:"-"`
}

// Alertmanager is the cluster in which replies set silences.
type Alertmanager struct {
	URLs       []string      `yaml:"urls"` // URLs of one cluster; the first that responds is used; empty: no silences
	HTTPConfig *HTTPConfig   `yaml:"http_config"`
	MaxSilence time.Duration `yaml:"max_silence"`
}

// Heartbeat is an alert that always fires, and sets who gets a text when its beats are missing.
type Heartbeat struct {
	Name       string            `yaml:"name"`
	Receiver   string            `yaml:"receiver"`
	Matchers   map[string]string `yaml:"matchers"` // labels of the alert; empty: any alert is a beat
	Timeout    time.Duration     `yaml:"timeout"`
	To         []string          `yaml:"to"`
	Recipients []Recipient       `yaml:"-"`
}

// Alive is a dead-man's switch: a URL elsewhere that smspager calls while all is well.
type Alive struct {
	URL        Secret        `yaml:"url"` // "": none
	URLFile    string        `yaml:"url_file"`
	HTTPConfig *HTTPConfig   `yaml:"http_config"`
	Interval   time.Duration `yaml:"interval"`
}

// Credit sets the warnings about the account's credit, and the budget.
type Credit struct {
	WarnBelow   int64       `yaml:"warn_below"`   // in the provider's unit; 0: no warning
	WarnDays    int         `yaml:"warn_days"`    // days that the credit lasts; 0: no warning
	DailyBudget int         `yaml:"daily_budget"` // segments; 0: no limit
	To          []string    `yaml:"to"`
	Recipients  []Recipient `yaml:"-"`
}

// Pages reports whether somebody must respond to the receiver's notifications; if so, they open
// pages.
func (r *Receiver) Pages() bool { return r.Acknowledge || len(r.Escalate) > 0 }

// people holds the names that lists of recipients may use.
type people struct {
	contacts map[string]e164.Number
	owners   map[e164.Number]string // the first contact with each number
	rotas    map[string]bool
}

// recipients returns the recipients in a list of names, each once.
func (v *validator) recipients(path string, names []string, known people) []Recipient {
	var all []Recipient
	for i, name := range names {
		r, err := known.find(name)
		if err != nil {
			v.fault(fmt.Sprintf("%s[%d]", path, i), "%v", err)
			continue
		}
		if !slices.ContainsFunc(all, func(other Recipient) bool { return other.Number == r.Number && other.Rota == r.Rota }) {
			all = append(all, r)
		}
	}
	return all
}

// find returns a rota, a contact or a number.
func (p people) find(name string) (Recipient, error) {
	if rota, ok := strings.CutPrefix(name, RotaPrefix); ok {
		if !p.rotas[rota] {
			return Recipient{}, fmt.Errorf("no rota is named %q%s", rota, knownNames(p.rotas, "; add it to rotas"))
		}
		return Recipient{Rota: rota}, nil
	}
	if number, ok := p.contacts[name]; ok {
		return Recipient{Name: name, Number: number}, nil
	}
	number, err := e164.Parse(name)
	switch {
	case err == nil:
		return Recipient{Name: p.owners[number], Number: number}, nil
	case strings.Trim(name, "+0123456789 .-()") == "":
		return Recipient{}, fmt.Errorf("%w, is %q", err, name)
	}
	return Recipient{}, fmt.Errorf("no contact is named %q%s", name, knownNames(p.contacts, "; add it to contacts, or write a number"))
}

// knownNames returns the end of an error: the known names, or none if there are no names.
func knownNames[V any](names map[string]V, none string) string {
	if len(names) == 0 {
		return none
	}
	return "; known: " + strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

func (v *validator) rotas(rotas []Rota, known people) map[string]bool {
	names := make(map[string]bool)
	for i := range rotas {
		r, path := &rotas[i], fmt.Sprintf("rotas[%d]", i)
		switch {
		case strings.TrimSpace(r.Name) == "":
			v.fault(path+".name", "missing; set NAME of rota:NAME")
		case names[r.Name]:
			v.fault(path+".name", "duplicate rota %q; each needs its own name", r.Name)
		case strings.ContainsAny(r.Name, ",;\n"):
			v.fault(path+".name", "must not contain a comma, is %q", r.Name)
		}
		names[r.Name] = true
		r.Zone = cmp.Or(v.zone(path+".timezone", r.Timezone), time.UTC)
		v.secret(path+".calendar_url", &r.CalendarURL, &r.CalendarURLFile)
		for _, scheme := range []string{"webcal://", "webcals://"} { // schemes of calendars offered for subscription
			if rest, ok := strings.CutPrefix(r.CalendarURL.Reveal(), scheme); ok {
				r.CalendarURL = Secret("https://" + rest)
			}
		}
		if r.CalendarURL != "" {
			v.url(v.given(path+".calendar_url"), r.CalendarURL)
		}
		v.http(path, r.HTTPConfig)
		_, turns := v.places[path+".turns"]
		given := 0
		for _, is := range []bool{turns, r.Calendar != "", r.CalendarURL != "" || r.CalendarURLFile != ""} {
			if is {
				given++
			}
		}
		switch {
		case given == 0:
			v.fault(path, "nobody is on duty; set turns, calendar or calendar_url_file")
		case given > 1:
			v.fault(path, "turns, calendar and calendar_url_file are mutually exclusive")
		}
		if r.Calendar != "" {
			r.Calendar = v.absolute(r.Calendar)
		}
		v.between(path+".refresh", r.Refresh, 10*time.Second, day)
		v.between(path+".timeout", r.Timeout, time.Second, 10*time.Minute)
		if turns {
			v.turns(path+".turns", &r.Turns, r.Zone, known.contacts)
		} else {
			r.Turns = Turns{}
		}
		for j, name := range r.Default {
			if strings.HasPrefix(name, RotaPrefix) {
				v.fault(fmt.Sprintf("%s.default[%d]", path, j), "must be a contact or a number, not a rota")
			}
		}
		r.Recipients = v.recipients(path+".default", r.Default, known)
	}
	return names
}

func (v *validator) turns(path string, t *Turns, zone *time.Location, contacts map[string]e164.Number) {
	var err error
	if t.StartTime, err = time.ParseInLocation("2006-01-02 15:04", t.Start, zone); err != nil {
		v.fault(path+".start", "must be the time when the first shift begins, such as 2026-11-02 09:00, is %q", t.Start)
	}
	if t.Days < 1 || t.Days > 366 {
		v.fault(path+".days", "must be 1 to 366, is %d", t.Days)
	}
	if len(t.People) == 0 {
		v.fault(path+".people", "no people: list contacts")
	}
	for i, name := range t.People {
		if _, known := contacts[name]; !known {
			v.fault(fmt.Sprintf("%s.people[%d]", path, i), "no contact is named %q%s", name, knownNames(contacts, "; add it to contacts"))
		}
	}
}

// quiet checks a contact's quiet hours.
func (v *validator) quiet(path string, q *Quiet) {
	if _, given := v.places[path]; !given {
		return
	}
	minute := func(key, s string) int {
		t, err := time.Parse("15:04", s)
		if err != nil {
			v.fault(path+"."+key, "must be a time of day such as 22:00, is %q", s)
		}
		return t.Hour()*60 + t.Minute()
	}
	q.FromMinute, q.ToMinute = minute("from", q.From), minute("to", q.To)
	if q.From != "" && q.FromMinute == q.ToMinute {
		v.fault(path+".to", "must differ from quiet.from")
	}
	if len(q.Severities) == 0 {
		v.fault(path+".severities", "missing; list the severities to hold until the quiet hours end, such as [warning, info]")
	}
	v.noBlank(path+".severities", q.Severities)
	q.Zone = cmp.Or(v.zone(path+".timezone", q.Timezone), time.UTC)
}

// zone returns a time zone, or nil for "" and after reporting a fault.
func (v *validator) zone(path, name string) *time.Location {
	if name == "" {
		return nil
	}
	zone, err := zoneinfo.Load(name)
	if err != nil {
		v.fault(path, "unknown time zone %q; set one of the IANA database, such as Europe/Paris", name)
	}
	return zone
}

// url checks a URL. It does not print it, because it may hold a secret.
func (v *validator) url(path string, s Secret) {
	u, err := url.Parse(s.Reveal())
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		v.fault(path, "must be a URL that begins with https:// or http://")
	}
}

// paging checks the keys of a receiver that concern pages.
func (v *validator) paging(path string, r *Receiver, cfg *Config, known people) {
	key := path + ".acknowledge"
	if !r.Acknowledge {
		key = path + ".escalate"
	}
	switch {
	case !r.Pages():
	case cfg.TextingHouse.SenderID != "":
		v.fault(key, "phones cannot reply to a sender name; remove textinghouse.sender_id")
	case cfg.TextingHouse.CallbackToken == "" && cfg.TextingHouse.CallbackTokenFile == "":
		v.fault(key, "replies arrive by callback; set textinghouse.callback_token_file")
	}
	var before time.Duration
	for i := range r.Escalate {
		s, at := &r.Escalate[i], fmt.Sprintf("%s.escalate[%d]", path, i)
		v.required(at+".after", "set the time since the page opened, such as 5m", s.After, time.Second, day)
		if s.After < before {
			v.fault(at+".after", "must not be less than in the previous step")
		}
		before = s.After
		if len(s.To) == 0 {
			v.fault(at+".to", "no recipients: list contacts, numbers or rota:NAME")
		}
		s.Recipients = v.recipients(at+".to", s.To, known)
	}
	for key, d := range map[string]time.Duration{"repeat": r.Repeat, "no_receipt": r.NoReceipt} {
		if d == 0 {
			continue
		}
		v.between(path+"."+key, d, time.Second, day)
		if !r.Pages() {
			v.fault(path+"."+key, "requires acknowledge or escalate")
		}
	}
}

func (v *validator) heartbeats(cfg *Config, known people) {
	names := make(map[string]bool)
	for i := range cfg.Heartbeats {
		h, path := &cfg.Heartbeats[i], fmt.Sprintf("heartbeats[%d]", i)
		switch {
		case strings.TrimSpace(h.Name) == "":
			v.fault(path+".name", "missing; set the name that texts show")
		case names[h.Name]:
			v.fault(path+".name", "duplicate heartbeat %q; each needs its own name", h.Name)
		}
		names[h.Name] = true
		if h.Receiver == "" {
			v.fault(path+".receiver", "missing; set the name of Alertmanager's receiver that the alert is routed to")
		}
		for name := range h.Matchers {
			if !model.UTF8Validation.IsValidLabelName(name) {
				v.fault(path+".matchers."+name, "must be the name of a label, is %q", name)
			}
		}
		v.required(path+".timeout", "set the longest time between two beats, a few times Alertmanager's repeat_interval", h.Timeout, time.Second, 7*day)
		if len(h.To) == 0 {
			v.fault(path+".to", "no recipients: list contacts, numbers or rota:NAME")
		}
		h.Recipients = v.recipients(path+".to", h.To, known)
	}
}

func (v *validator) rest(cfg *Config, known people) {
	a := &cfg.Alertmanager
	for i, raw := range a.URLs {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			v.fault(fmt.Sprintf("alertmanager.urls[%d]", i), "must be the URL of an Alertmanager, such as http://localhost:9093")
		}
	}
	v.http("alertmanager", a.HTTPConfig)
	v.between("alertmanager.max_silence", a.MaxSilence, time.Minute, 30*day)

	v.secret("alive.url", &cfg.Alive.URL, &cfg.Alive.URLFile)
	if cfg.Alive.URL != "" {
		v.url(v.given("alive.url"), cfg.Alive.URL)
	}
	v.http("alive", cfg.Alive.HTTPConfig)
	v.between("alive.interval", cfg.Alive.Interval, 10*time.Second, day)

	c := &cfg.Credit
	for key, n := range map[string]int64{"warn_below": c.WarnBelow, "warn_days": int64(c.WarnDays), "daily_budget": int64(c.DailyBudget)} {
		if n < 0 {
			v.fault("credit."+key, "must be 0 or more, is %d", n)
		}
	}
	if len(c.To) == 0 && (c.WarnBelow > 0 || c.WarnDays > 0) {
		v.fault("credit.to", "no recipients: list contacts, numbers or rota:NAME")
	}
	c.Recipients = v.recipients("credit.to", c.To, known)
}
