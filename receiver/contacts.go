package receiver

import (
	"context"
	"errors"

	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/oncall"
)

// contacts are the contacts of a Receiver's on-call room, for the API.
type contacts struct{ room *oncall.OnCall }

func (c contacts) Contacts() []api.Contact {
	var all []api.Contact
	for _, s := range c.room.Contacts() {
		all = append(all, api.Contact{Name: s.Name, State: s.State(), Verified: s.Verified, Stopped: s.Stopped})
	}
	return all
}

func (c contacts) Verify(ctx context.Context, name string) error {
	err := c.room.Verify(ctx, name)
	if errors.Is(err, oncall.ErrUnknownContact) {
		return api.ErrUnknownContact
	}
	return err
}
