package receiver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/postgres"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// Duty holds who is on duty in the rotas of a configuration, and its contacts with the states of
// their phones. [NewDuty] needs no running receiver.
type Duty struct {
	Contacts []Contact
	// Calendars holds the errors of the calendars that could not be read. Their last good copies in
	// the outbox are used instead, if there are any.
	Calendars []*CalendarError
	// Warnings names the events that are left out of calendars: they cannot be read, and either name
	// no contact or are over. It also names the time zones whose definition in a calendar differs
	// from the time zone data at some moment of the next weeks.
	Warnings []string
	// Zones is the time zone data in use.
	Zones ZoneData

	roster *people.Roster
}

type (
	// OnDuty holds who is on duty in a rota, from when to when.
	OnDuty = people.Duty
	// Contact is a contact and the state of its phone.
	Contact = people.Contact
	// ZoneData is a release of the time zone data, and the folder it is in.
	ZoneData = zoneinfo.Data
	// Title is a title of shifts that contains other words than names.
	Title = people.Title
	// CalendarError is the error of a rota whose calendar cannot be used.
	CalendarError = people.CalendarError
)

// NewDuty reads the calendars and the outbox of a configuration, and changes nothing. An outbox
// that does not exist yet counts as empty. If the outbox cannot be read, NewDuty returns a Duty
// made from the calendars, and an error. If the configuration is faulty, the Duty is nil.
func NewDuty(ctx context.Context, cfg *config.Config) (*Duty, error) {
	cfg, err := cfg.Resolve()
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	d := &Duty{roster: people.NewRoster(cfg, nil), Zones: zoneinfo.InUse()}
	d.Calendars = d.roster.Load(ctx)
	d.Warnings = d.roster.Warnings(time.Now())
	store, err := openReader(ctx, cfg.Storage)
	if errors.Is(err, fs.ErrNotExist) {
		store, err = nowhere{}, nil
	}
	if err != nil {
		return d, err
	}
	defer store.Close()
	if d.Contacts, err = people.ReadContacts(ctx, cfg, store); err != nil {
		return d, err
	}
	return d, d.roster.UseCopies(ctx, store)
}

// At returns who is on duty in a rota at a time. End is the time of the next change, at most a
// month later.
func (d *Duty) At(rota string, at time.Time) OnDuty { return d.roster.At(rota, at) }

// Now returns who is on duty in a rota at a time. Unlike At, it does not search for the next change: ignore End.
func (d *Duty) Now(rota string, at time.Time) OnDuty { return d.roster.Now(rota, at) }

// Timeline returns who is on duty in a rota between two times, gaps included. It returns nil for
// a rota that is not configured.
func (d *Duty) Timeline(rota string, from, to time.Time) []OnDuty {
	return d.roster.Timeline(rota, from, to)
}

// Titles returns the titles of a rota's shifts between two times that contain other words than the
// names of contacts.
func (d *Duty) Titles(rota string, from, to time.Time) []Title {
	return d.roster.Titles(rota, from, to)
}

// reader reads marks.
type reader interface {
	mark.Reader
	Close() error
}

func openReader(ctx context.Context, s config.Storage) (reader, error) {
	if s.PostgresURL != "" {
		return postgres.OpenReader(ctx, s.PostgresURL.Reveal())
	}
	return sqlite.OpenReader(s.SQLite)
}

// nowhere replaces an outbox that does not exist: it holds no marks.
type nowhere struct{}

func (nowhere) Marks(context.Context, string) ([]outbox.Mark, error) { return nil, nil }
func (nowhere) Close() error                                         { return nil }
