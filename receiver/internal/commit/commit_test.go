package commit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/smspager/smspager/receiver/internal/commit"
	"github.com/smspager/smspager/receiver/outbox"
)

// fake is a store that returns its errors one after the other, and a sender.
type fake struct {
	errs   []error
	repeat bool
	sent   []outbox.Message
}

func (f *fake) Add(context.Context, outbox.Entry) (outbox.Added, error) {
	if len(f.errs) == 0 {
		return outbox.Added{Duplicate: f.repeat}, nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return outbox.Added{}, err
}

func (f *fake) Marks(context.Context, string) ([]outbox.Mark, error) { return nil, nil }
func (f *fake) Handover(ms ...outbox.Message)                        { f.sent = append(f.sent, ms...) }

func TestCommit(t *testing.T) {
	away, unreadable := errors.New("away"), errors.New("unreadable")
	conflicts := func(n int) (errs []error) {
		for range n {
			errs = append(errs, outbox.ErrConflict)
		}
		return errs
	}
	for name, test := range map[string]struct {
		store   fake
		decided error // by build
		nothing bool  // build decides to store nothing
		want    error
		builds  int
		sends   int
	}{
		"stored":               {builds: 1, sends: 1},
		"a repeat":             {store: fake{repeat: true}, builds: 1},
		"nothing to do":        {nothing: true, builds: 1},
		"not decided":          {decided: unreadable, want: unreadable, builds: 1},
		"the store is away":    {store: fake{errs: []error{away}}, want: away, builds: 1},
		"changed in between":   {store: fake{errs: conflicts(5)}, builds: 6, sends: 1},
		"conflict, then away":  {store: fake{errs: append(conflicts(1), away)}, want: away, builds: 2},
		"changed all the time": {store: fake{errs: conflicts(99)}, want: outbox.ErrConflict, builds: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				builds := 0
				_, err := (&commit.Outbox{Store: &test.store, Sender: &test.store}).Commit(t.Context(), func(context.Context) (*outbox.Entry, error) {
					builds++
					if test.nothing {
						return nil, nil
					}
					return &outbox.Entry{Messages: []outbox.Message{{ID: "1"}}}, test.decided
				})
				if !errors.Is(err, test.want) || builds != test.builds || len(test.store.sent) != test.sends {
					t.Errorf("%v after %d builds, %d sent; want %v, %d, %d", err, builds, len(test.store.sent), test.want, test.builds, test.sends)
				}
			})
		})
	}
}
