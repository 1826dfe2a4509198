package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/postgrestest"
)

// TestChaos is a short run. Its seeds give another choice of faults to each.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			err := run(context.Background(), options{duration: 15 * time.Second, database: database, seed: 11, out: t.Output()})
			if errors.Is(err, postgrestest.ErrMissing) && os.Getenv("SMSPAGER_REQUIRE_ALL") == "" {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
