package table

import (
	"context"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
)

// ErrNewer is wrapped by Migrate's error if the tables are newer than the newest migration.
var ErrNewer = errors.New("from a newer smspager")

// Migrate brings the tables up to date.
func Migrate(ctx context.Context, p *goose.Provider, err error) error {
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if is, newest, err := p.GetVersions(ctx); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	} else if is > newest {
		return fmt.Errorf("schema version %d is %w (this one supports up to %d): run the newer one", is, ErrNewer, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
