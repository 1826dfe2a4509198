package delivery

import (
	"context"
	"errors"
	"strings"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// Outcome says what a callback changed.
type Outcome string

const (
	OutcomeApplied       Outcome = "applied"        // the message's state or history changed
	OutcomeUnchanged     Outcome = "unchanged"      // late, repeated or out of order
	OutcomeUnknownID     Outcome = "unknown_id"     // there is no such message
	OutcomeUnknownStatus Outcome = "unknown_status" // a code that the provider's documentation lacks
)

// Receive applies a receipt (DLR). It fails if the store must be read to find the message by
// the provider's ID, and cannot be read.
func (d *Delivery) Receive(ctx context.Context, r textinghouse.Receipt) (Outcome, error) {
	if !r.Status.Known() {
		d.logger.Warn("a receipt has an unknown status", "id", r.ClientID, "api_id", r.APIID, "status", int(r.Status))
		return OutcomeUnknownStatus, nil
	}
	// Our climsgids are in capitals.
	outcome, err := d.receive(ctx, strings.ToUpper(r.ClientID), r)
	if outcome != OutcomeUnknownID || r.APIID == "" {
		return outcome, err
	}
	switch id, err := d.spool.FindAPIID(ctx, r.APIID); {
	case errors.Is(err, outbox.ErrNotFound):
		return OutcomeUnknownID, nil
	case err != nil:
		return "", err
	default:
		return d.receive(ctx, id, r)
	}
}

// receive applies a receipt to the message with this ID.
func (d *Delivery) receive(ctx context.Context, id string, r textinghouse.Receipt) (Outcome, error) {
	if id == "" {
		return OutcomeUnknownID, nil
	}
	// The receipt may come before the response to the request that sent the message. It
	// proves that the provider has the message.
	now := d.spool.Now()
	outcome := OutcomeUnchanged
	for _, c := range []outbox.Change{
		outbox.ProviderAccepted(id, r.APIID, now, "the provider has it: its callback came first"),
		statusChange(id, r.APIID, r.Status, now, "callback"),
	} {
		switch made, err := d.spool.Record(ctx, c, nil); {
		case errors.Is(err, outbox.ErrNotFound):
			return OutcomeUnknownID, nil
		case err != nil:
			return "", err
		case made:
			outcome = OutcomeApplied
		}
	}
	return outcome, nil
}
