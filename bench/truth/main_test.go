package main

import (
	"context"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/alertmanagertest"
	"github.com/smspager/smspager/internal/realpart"
)

// TestTruth: in a short run nothing is wrong.
func TestTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 seconds")
	}
	if _, err := alertmanagertest.Built(); err != nil {
		realpart.Missing(t, err)
	}
	if err := run(context.Background(), options{duration: 20 * time.Second, seed: 1, out: t.Output()}); err != nil {
		t.Error(err)
	}
}
