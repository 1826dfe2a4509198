package table

import (
	"context"
	"fmt"

	"github.com/pressly/goose/v3"
)

// Migrate brings the tables up to date. It fails if they are newer than the newest migration.
func Migrate(ctx context.Context, p *goose.Provider, err error) error {
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if is, newest, err := p.GetVersions(ctx); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	} else if is > newest {
		return fmt.Errorf("schema version %d is from a newer smspager (this one supports up to %d): run the newer one", is, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
