package outbox_test

import (
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// TestNewerIDsAreGreater also covers a clock that goes back, and many IDs in one millisecond.
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
		t.Errorf("the last ID's time is %s, want %s", made, at)
	}
	other := outbox.NewIDs()
	other.Above(last)
	if id := other.New(at.Add(-3 * time.Hour)); id <= last {
		t.Errorf("%s comes after %s of a clock that was ahead", id, last)
	}
	if first := outbox.FirstID(at); first > last {
		t.Errorf("FirstID returns %s, which comes after %s", first, last)
	}
}

// TestSameIDs: every process makes the same ID for the same thing, unless that ID would be smaller
// than IDs that are ahead of the clock.
func TestSameIDs(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	due := now.Add(-time.Minute)
	one, other := outbox.NewIDs(), outbox.NewIDs()
	other.New(now) // earlier IDs make no difference
	id := one.Same(due, now, "page", "alice")
	if again := other.Same(due, now.Add(time.Hour), "page", "alice"); again != id {
		t.Errorf("the IDs %s and %s differ", id, again)
	}
	if at := outbox.MadeAt(id); !at.Equal(due) {
		t.Errorf("ID time is %s, want %s", at, due)
	}
	for name, differs := range map[string]string{
		"another recipient": one.Same(due, now, "page", "bob"), "another time": one.Same(due.Add(time.Millisecond), now, "page", "alice"),
		"other parts": one.Same(due, now, "pagea", "lice"),
	} {
		if differs == id {
			t.Errorf("%s has the same id", name)
		}
	}
	greatest := outbox.NewIDs().New(now.Add(3 * time.Hour)) // made by a clock that was ahead
	other.Above(greatest)
	if ahead := other.Same(due, now, "page", "alice"); ahead <= greatest {
		t.Errorf("%s is not above %s", ahead, greatest)
	}
}
