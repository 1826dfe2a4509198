package receiver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestProgress: an idle receiver makes progress while it runs.
func TestProgress(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	progress := func(r *receiver.Receiver) error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return r.Progress(ctx)
	}
	for range 3 {
		if err := progress(c.r); err != nil {
			t.Error(err)
		}
	}
	c.stop()
	if err := progress(c.r); err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("after its end: %v", err)
	}
}
