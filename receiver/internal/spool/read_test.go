package spool_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestReceiptForDamagedMessage: a receipt for a message in a damaged part of the store does not keep the changes of
// other messages from being stored.
func TestReceiptForDamagedMessage(t *testing.T) {
	for _, damaged := range []int{0, 1, 2} {
		in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
			ids := outbox.NewIDs()
			ms := []outbox.Message{message(ids, "a"), message(ids, "b"), message(ids, "c")}
			if _, err := f.Store.Add(context.Background(), outbox.Entry{Messages: ms}); err != nil {
				t.Fatal(err)
			}
			f.damage(ms[damaged].ID)
			for _, m := range ms {
				if _, err := s.Record(context.Background(), outbox.ProviderAccepted(m.ID, "", time.Now(), ""), nil); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second)
			for i, m := range ms {
				if got, err := f.Store.Get(context.Background(), m.ID); err != nil || (got.State == outbox.Accepted) != (i != damaged) {
					t.Errorf("message %d of 3, of which %d is damaged, is stored as %s, %v", i, damaged, got.State, err)
				}
			}
			if n, _ := s.Backlog(); n != 1 {
				t.Errorf("%d changes are left", n)
			}
			f.damage("")
		})
	}
}

// TestListIsFull: a list is shorter than its limit only if there is no more, also while changes wait.
func TestListIsFull(t *testing.T) {
	in(t, spool.Options{}, func(f *fake, s *spool.Spool) {
		ids := outbox.NewIDs()
		var ms []outbox.Message
		for i := range 30 {
			m := message(ids, fmt.Sprint("g", i))
			m.State = outbox.Accepted
			ms = append(ms, m)
		}
		if _, err := commit(s, spool.Strict, outbox.Entry{Messages: ms}); err != nil {
			t.Fatal(err)
		}
		f.fail(errFault, nil)
		for _, m := range ms[10:] {
			if _, err := s.Record(context.Background(), outbox.Ended(m.ID, "", time.Now(), 4, true, ""), nil); err != nil {
				t.Fatal(err)
			}
		}
		for state, newest := range map[outbox.State]int{outbox.Accepted: 9, outbox.Delivered: 29, "": 29} {
			got, err := s.List(context.Background(), outbox.Query{State: state, Limit: 10})
			if err != nil || len(got) != 10 || got[0].ID != ms[newest].ID || got[9].ID != ms[newest-9].ID {
				t.Errorf("%d messages of state %q are listed, %v", len(got), state, err)
			}
		}
		f.fail(nil, nil)
	})
}
