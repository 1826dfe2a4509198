package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// Outcome says what became of a callback.
type Outcome string

const (
	OutcomeApplied       Outcome = "applied"        // the message's state or history changed
	OutcomeUnchanged     Outcome = "unchanged"      // late, repeated or out of order
	OutcomeUnknownID     Outcome = "unknown_id"     // no message of ours
	OutcomeUnknownStatus Outcome = "unknown_status" // a code that the provider's documentation lacks
)

// Receive takes in a receipt (DLR). An error means that it could not be stored.
func (d *Delivery) Receive(ctx context.Context, r textinghouse.Receipt) (Outcome, error) {
	if !r.Status.Known() {
		d.logger.Warn("a receipt has an unknown status", "id", r.ClientID, "api_id", r.APIID, "status", int(r.Status))
		return OutcomeUnknownStatus, nil
	}
	return d.reported(ctx, r.ClientID, r.APIID, func(id string, at time.Time) outbox.Change {
		return statusChange(id, r.APIID, r.Status, at, "callback")
	})
}

// reported makes the change that a callback brings to the message it is about.
// A callback may come before the answer to the request that sent the message:
// it proves that the provider has it.
func (d *Delivery) reported(ctx context.Context, id, apiID string, change func(id string, at time.Time) outbox.Change) (Outcome, error) {
	if id == "" {
		var err error
		id, err = d.store.FindAPIID(ctx, apiID)
		if errors.Is(err, outbox.ErrNotFound) {
			return OutcomeUnknownID, nil
		}
		if err != nil {
			return "", err
		}
	}
	now := time.Now()
	if _, applied, err := d.apply(ctx, change(id, now)); err != nil || applied {
		return OutcomeApplied, err
	}
	// Whether this or the answer to the request tells first that it was taken
	// does not matter: it is accepted after this, or final.
	if _, _, err := d.apply(ctx, outbox.Taken(id, apiID, now, "the provider has it: its callback came first")); err != nil {
		return "", err
	}
	if _, applied, err := d.apply(ctx, change(id, now)); err != nil || applied {
		return OutcomeApplied, err
	}
	switch _, err := d.store.Get(ctx, id); {
	case errors.Is(err, outbox.ErrNotFound):
		return OutcomeUnknownID, nil
	case err != nil:
		return "", err
	}
	return OutcomeUnchanged, nil
}
