package outbox_test

import (
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// TestNewerIDsAreGreater also where the clock goes back, and in one millisecond.
func TestNewerIDsAreGreater(t *testing.T) {
	ids := outbox.NewIDs()
	at := time.Now()
	last := ""
	for i := range 10_000 {
		id := ids.New(at.Add(-time.Duration(i%7) * time.Second))
		if id <= last {
			t.Fatalf("%s comes after %s", id, last)
		}
		last = id
	}
	if made := outbox.MadeAt(last); made.UnixMilli() != at.UnixMilli() {
		t.Errorf("the last is of %s, want %s", made, at)
	}
	other := outbox.NewIDs()
	other.Above(last)
	if id := other.New(at.Add(-3 * time.Hour)); id <= last {
		t.Errorf("%s comes after %s of a clock that was ahead", id, last)
	}
	behind, ahead := outbox.NewIDs(), outbox.NewIDs()
	behind.Order(time.Hour)
	ahead.Order(-time.Hour)
	if older, newer := ahead.New(at.Add(time.Hour)), behind.New(at.Add(-time.Hour+time.Millisecond)); newer <= older {
		t.Errorf("by one clock %s comes after %s", newer, older)
	}
	if first := outbox.FirstID(at); first > last {
		t.Errorf("the first id of the time is %s, after %s", first, last)
	}
}
