// Package people knows who can be paged: the configured contacts, whether their phones want texts,
// and who is on duty in each rota. It also writes smspager's own messages ([Notices]).
//
// A running receiver uses a [Directory]; a command that only reads uses a [Roster] and
// [ReadContacts]. Package rota computes the shifts.
package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// Options are the options of New.
type Options struct {
	Spool      *spool.Spool
	Notices    *Notices
	Shared     bool // other processes use the store too
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Transport  http.RoundTripper // carries the requests for calendars; nil: the default transport
}

// Directory knows the people of a configuration. It is safe for concurrent use.
type Directory struct {
	spool     *spool.Spool
	notices   *Notices
	logger    *slog.Logger
	metrics   *metrics
	transport http.RoundTripper // nil: the default transport
	gap       time.Duration     // between reads of contacts
	settings  atomic.Pointer[settings]
	contacts  contacts
	changed   loop.Bell          // rung when the rotas have changed
	refreshes prometheus.Counter // rounds of the loop that reads contacts
	reads     prometheus.Counter // rounds of the loop that reads calendars
	nextGaps  gaps
}

// settings holds a configuration and what was built from it.
type settings struct {
	cfg      *config.Config
	register *register
	roster   *Roster
}

// New returns a Directory. Configure must be called before anything else.
func New(o Options) *Directory {
	d := &Directory{
		spool: o.Spool, notices: o.Notices, logger: o.Logger, transport: o.Transport,
		gap: spool.Gap(o.Shared), changed: loop.NewBell(),
		refreshes: loop.Rounds(o.Registerer, "contacts"), reads: loop.Rounds(o.Registerer, "calendars"),
	}
	d.metrics = newMetrics(o.Registerer, d)
	return d
}

// Configure sets or replaces the configuration.
func (d *Directory) Configure(cfg *config.Config) {
	s := &settings{cfg: cfg, register: newRegister(cfg), roster: NewRoster(cfg, d.transport)}
	if before := d.settings.Load(); before != nil {
		s.roster.inherit(before.roster)
	}
	for _, rota := range s.roster.duties {
		rota.since = cmp.Or(rota.since, d.spool.Now())
	}
	d.settings.Store(s)
	d.changed.Ring()
}

// Run keeps contacts and calendars up to date until the context ends. It returns when all of its
// goroutines have ended.
func (d *Directory) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		loop.Repeat(ctx, d.refreshes, nil, func() time.Duration {
			if d.Refresh(ctx) != nil {
				return spool.Retry
			}
			return d.gap
		})
	})
	running.Go(func() { d.runRotas(ctx) })
}

// Person returns the person with a number. NotBefore is not set.
func (d *Directory) Person(number e164.Number) outbox.Person {
	return d.settings.Load().register.person(number)
}

// Zone returns the time zone in which the owner of a number gives times: that of their quiet hours, or else
// of the first rota, or else the machine's.
func (d *Directory) Zone(number e164.Number) *time.Location {
	s := d.settings.Load()
	if c := s.register.byNumber[number]; c != nil && c.Quiet.From != "" {
		return c.Quiet.Zone
	}
	for _, r := range s.cfg.Rotas {
		return d.Roster().Zone(r.Name)
	}
	return time.Local
}

// Recipient returns the person with a number, and when to page them about alerts with these
// severities: NotBefore is set if all of them may wait for the end of the contact's quiet hours.
func (d *Directory) Recipient(number e164.Number, severities []string, at time.Time) outbox.Person {
	return d.settings.Load().register.recipient(number, severities, at)
}

// Registered reports whether the configuration names a number.
func (d *Directory) Registered(number e164.Number) bool {
	return d.settings.Load().register.registered[number]
}

// Teammates returns the numbers that share a receiver, a heartbeat or the credit's warnings with a
// number. It leaves out those that want no more texts.
func (d *Directory) Teammates(number e164.Number) []e164.Number {
	return slices.DeleteFunc(slices.Clone(d.settings.Load().register.teammates[number]), d.Stopped)
}

// Roster returns the rotas of the configuration.
func (d *Directory) Roster() *Roster { return d.settings.Load().roster }

// People returns the people that recipients name at a time, each once. It leaves out those who want
// no more texts. severities are those of the alerts; see Recipient.
func (d *Directory) People(rs []config.Recipient, severities []string, at time.Time) []outbox.Person {
	s := d.settings.Load()
	var all []outbox.Person
	add := func(number e164.Number) {
		if d.Stopped(number) || slices.ContainsFunc(all, func(p outbox.Person) bool { return p.Number == number }) {
			return
		}
		all = append(all, s.register.recipient(number, severities, at))
	}
	for _, r := range rs {
		if r.Rota == "" {
			add(r.Number)
			continue
		}
		for _, number := range d.onDuty(s, r.Rota, at) {
			add(number)
		}
	}
	return all
}

// Named finds the recipient that a label names: a contact, a rota ("rota:second") or a number.
func (d *Directory) Named(name string) (config.Recipient, bool) {
	s := d.settings.Load()
	if rota, ok := strings.CutPrefix(name, config.RotaPrefix); ok {
		return config.Recipient{Rota: rota}, s.roster.find(rota) != nil
	}
	if c := s.register.byName[name]; c != nil {
		return config.Recipient{Name: c.Name, Number: c.Number}, true
	}
	number, err := e164.Parse(name)
	return config.Recipient{Number: number}, err == nil
}

// onDuty returns the numbers on duty in a rota at a time. In a gap, or if everybody on duty wants
// no more texts, it returns the rota's default, and reports that in the log and a metric.
func (d *Directory) onDuty(s *settings, rota string, at time.Time) []e164.Number {
	on := s.roster.Now(rota, at)
	var numbers []e164.Number
	for _, name := range on.Contacts {
		number, err := e164.Parse(name)
		if c := s.register.byName[name]; c != nil {
			number, err = c.Number, nil
		}
		if err == nil && !d.Stopped(number) {
			numbers = append(numbers, number)
		}
	}
	fallback := s.roster.find(rota).Recipients
	why := ""
	switch {
	case on.Unread:
		why = "the calendar of a rota was never read"
	case on.Gap:
		why = "nobody is on duty in a rota"
	case len(numbers) == 0:
		why = "everybody on duty in a rota has stopped texts"
		numbers = s.register.numbers(fallback, nil)
	default:
		return numbers
	}
	d.metrics.gaps.WithLabelValues(rota).Inc()
	instead := "its default is paged instead"
	if len(fallback) == 0 {
		instead = "it has no default, so nobody is paged by it"
	}
	d.logger.Error(why+"; "+instead, "rota", rota, "duty", e164.Redact(strings.Join(on.Contacts, ", ")), "unknown", e164.Redact(strings.Join(on.Unknown, ", ")))
	return numbers
}

// ErrUnknownContact is the error of Verify if no contact has the name.
var ErrUnknownContact = errors.New("no contact has this name")

// ErrNoLinks is the error of Verify if a link is wanted but links are not configured.
var ErrNoLinks = errors.New("texts have no links: set web.public_url")

// ErrVerifiedOften is the error of Verify if the contact has been sent as many verifications as allowed.
var ErrVerifiedOften = fmt.Errorf("this contact was sent %d verifications within an hour; reply to the last one, or try again later", verifiesAnHour)

// Verify sends a contact a code. A reply with that code proves that texts reach this phone, and that its
// replies reach smspager. If linked is true, the text ends with a link, to test whether a carrier filters
// it.
func (d *Directory) Verify(ctx context.Context, name string, linked bool) error {
	end := ""
	if linked {
		url := d.settings.Load().cfg.Web.PublicURL
		if url == "" {
			return ErrNoLinks
		}
		end = " " + link.Dead(url)
	}
	_, err := d.spool.Commit(ctx, spool.Later, func(ctx context.Context) (*outbox.Entry, error) {
		c := d.settings.Load().register.byName[name]
		if c == nil {
			return nil, fmt.Errorf("%w; contacts are %s", ErrUnknownContact, d.settings.Load().register.names())
		}
		if err := d.Refresh(ctx); err != nil {
			return nil, err
		}
		now := d.spool.Now()
		asked := slices.DeleteFunc(slices.Clone(d.contacts.get(c.Number).AskedAt), func(at time.Time) bool { return now.Sub(at) >= time.Hour })
		if len(asked) >= verifiesAnHour {
			return nil, ErrVerifiedOften
		}
		code, err := RandomDigits(verificationDigits)
		if err != nil {
			return nil, err
		}
		m := d.notices.Notice(outbox.Person{Name: c.Name, Number: c.Number}, verifyGroup+name, now,
			fmt.Sprintf("smspager: reply %s to confirm this is %s's phone.%s", code, c.Name, end))
		begun := d.contacts.changed(c.Number, now, func(s *contact) { s.Code, s.CodeAt, s.AskedAt = code, now, append(asked, now) })
		return &outbox.Entry{Messages: []outbox.Message{m}, Marks: []outbox.Mark{begun}}, nil
	})
	if err == nil {
		_ = d.Refresh(ctx) // if it fails, Run refreshes soon
	}
	return err
}
