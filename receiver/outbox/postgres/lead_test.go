package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestDoubtedLease: when the leader loses the connection that hints come by, its lease is not valid
// until it has proved that the database still responds.
func TestDoubtedLease(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func() error
		goes bool // the lease goes on
	}{
		"crash":          {server.Kill, false},
		"sessions ended": {server.EndSessions, true},
	} {
		s := open(t, database(t))
		lease, release, err := s.Lead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- s.Listen(t.Context(), func() { close(ready) }, func(outbox.Hint) {}) }()
		<-ready
		if !lease.Valid() {
			t.Errorf("%s: the lease is not valid beforehand", name)
		}
		if err := tc.end(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil || !tc.goes && lease.Valid() {
			t.Errorf("%s: Listen ends with %v, the lease is valid: %t", name, err, lease.Valid())
		}
		if tc.goes {
			testwait.Until(t, func() error {
				if !lease.Valid() {
					return errors.New("the lease is not valid")
				}
				return nil
			})
			if lease.Err() != nil {
				t.Errorf("%s: the lease ends: %v", name, context.Cause(lease))
			}
			continue
		}
		<-lease.Done()
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
}
