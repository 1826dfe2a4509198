package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/outbox"
)

// RunUnreadableHistory tests that a message whose history cannot be read is read and changed all the
// same, and keeps no other message from that. open returns an empty store, and a function that replaces
// the history of a message, and returns the store after it was opened again.
func RunUnreadableHistory(t *testing.T, open func(*testing.T) (s outbox.Store, replace func(id, history string) outbox.Store)) {
	ctx := context.Background()
	for _, history := range []string{"", `[{"at":1,"type":"que`, `{}`, `[{"at":"x"}]`, "\u007f[]"} {
		s, replace := open(t)
		ids := addMany(t, s, 3)
		s = replace(ids[1], history)
		if got, err := opened(s); err != nil || !slices.Equal(got, ids) {
			t.Errorf("%q: the open messages are %v, %v, want %v", history, got, err, ids)
		}
		ms, err := s.List(ctx, outbox.Query{Limit: 10})
		if err != nil || len(ms) != 3 || !ms[1].Unreadable() || ms[0].Unreadable() {
			t.Fatalf("%q: the messages are %+v, %v", history, ms, err)
		}
		if m := ms[1]; m.Text == "" || len(m.Events) != 1 || !m.Events[0].At.Equal(m.CreatedAt) || !strings.HasSuffix(m.Events[0].Detail, ": "+history) {
			t.Errorf("%q: the message is %+v", history, m)
		}
		write(t, s, outbox.Entry{Notes: []outbox.Change{
			outbox.ProviderAccepted(ids[0], "", epoch, ""), outbox.ProviderAccepted(ids[1], "5d72", epoch, ""), outbox.ProviderAccepted(ids[2], "", epoch, ""),
		}}, false)
		for i, id := range ids {
			if m := get(t, s, id); m.State != outbox.Accepted || len(m.Events) != 2 || m.Unreadable() != (i == 1) {
				t.Errorf("%q: message %d is %+v", history, i, m)
			}
		}
	}
}

// RunDamaged tests that a store yields the open messages whose rows can be read, on both sides of one
// that cannot. open returns an empty store, and a function that damages the row of a message, and
// perhaps some around it, and returns the store after it was opened again.
func RunDamaged(t *testing.T, open func(*testing.T) (s outbox.Store, damage func(id string) outbox.Store)) {
	for _, number := range []int{100, 2500} {
		s, damage := open(t)
		ids := addMany(t, s, number)
		s = damage(ids[number/2])
		got, err := opened(s)
		if !errors.Is(err, outbox.ErrDamaged) {
			t.Errorf("Open ends with %v, want ErrDamaged", err)
		}
		const most = 50 // lost, with the one that is damaged
		slices.Sort(got)
		if len(slices.Compact(got)) < number-most || slices.Contains(got, ids[number/2]) || !slices.Contains(got, ids[0]) || !slices.Contains(got, ids[number-1]) {
			t.Errorf("%d of %d messages are read", len(got), number)
		}
		if m, err := s.Get(context.Background(), ids[0]); err != nil {
			t.Errorf("another message gives %+v, %v", m, err)
		}
		if _, err := s.Get(context.Background(), ids[number/2]); !errors.Is(err, outbox.ErrDamaged) {
			t.Errorf("the damaged message gives %v", err)
		}
	}
}

// addMany adds messages with texts that fill several pages of a database's file.
func addMany(t *testing.T, s outbox.Store, number int) (ids []string) {
	t.Helper()
	var ms []outbox.Message
	for i := range number {
		m := NewMessage(i, "999")
		m.Text = fmt.Sprint("disk ", i, strings.Repeat(" full", 100))
		ms, ids = append(ms, m), append(ids, m.ID)
	}
	add(t, s, ms...)
	return ids
}

// opened returns the IDs of the open messages.
func opened(s outbox.Store) (ids []string, err error) {
	for m, err := range s.Open(context.Background()) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, m.ID)
	}
	return ids, nil
}
