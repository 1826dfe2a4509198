package people

import (
	"context"
	"errors"
	"testing"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestNoCalendarNoCopies: rotas of turns do not read the outbox, whose failure they would report.
func TestNoCalendarNoCopies(t *testing.T) {
	cfg := &config.Config{Rotas: []config.Rota{{Name: "primary", Turns: config.Turns{Start: "2026-11-02 09:00", Days: 7, People: []string{"alice"}}}}}
	if err := NewRoster(cfg, nil).UseCopies(t.Context(), failing{}); err != nil {
		t.Errorf("without a calendar, the copies of calendars fail: %v", err)
	}
}

type failing struct{}

func (failing) Marks(context.Context, string) ([]outbox.Mark, error) {
	return nil, errors.New("the disk is full")
}
