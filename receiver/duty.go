package receiver

import (
	"context"
	"errors"
	"io/fs"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/postgres"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
)

// Duty is who is on duty by a configuration, and what its outbox knows of people. It
// changes nothing, and may be asked for while a receiver runs.
type Duty struct {
	Roster   *people.Roster
	Contacts []people.Contact
	// Calendars are those that could not be read. Their last good copies, which the
	// outbox keeps, are in the roster.
	Calendars []*people.CalendarError
}

// NewDuty reads the calendars and the outbox of a configuration. An outbox that is
// not there yet knows nothing; one that cannot be read is an error.
func NewDuty(ctx context.Context, cfg *config.Config) (*Duty, error) {
	d := &Duty{Roster: people.NewRoster(cfg, nil)}
	d.Calendars = d.Roster.Load(ctx)
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
	return d, d.Roster.UseCopies(ctx, store)
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

// nowhere has no marks.
type nowhere struct{}

func (nowhere) Marks(context.Context, string) ([]outbox.Mark, error) { return nil, nil }
func (nowhere) Close() error                                         { return nil }
