package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/internal/realpart"
)

// TestChaos is a short run for each database. One seed gives them different faults.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			err := run(context.Background(), options{duration: 15 * time.Second, database: database, seed: 11, out: t.Output()})
			if errors.Is(err, postgrestest.ErrMissing) {
				realpart.Missing(t, err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
