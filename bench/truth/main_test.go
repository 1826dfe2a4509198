package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/alertmanagertest"
)

// TestTruth is a short run: that it runs, and that nothing is wrong.
func TestTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 seconds")
	}
	if _, err := alertmanagertest.Built(); err != nil && os.Getenv("SMSPAGER_REQUIRE_ALL") == "" {
		t.Skip(err)
	}
	if err := run(context.Background(), options{duration: 20 * time.Second, seed: 1, out: t.Output()}); err != nil {
		t.Error(err)
	}
}
