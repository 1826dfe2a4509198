package receiver

import (
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/templating"
)

// Result is the outcome of a notification, as the webhook's response shows it.
type Result = intake.Result

// UnknownReceiverError is the error for a receiver that is not configured.
type UnknownReceiverError = intake.UnknownReceiverError

// ErrStopping is the error for a notification that arrives after the context of [Receiver.Run] has
// ended. Nothing is stored.
var ErrStopping = intake.ErrStopping

// Decode reads the body of a webhook of Alertmanager (version "4") or Grafana (version "1"). The
// error for any other body says what is wrong with it.
func Decode(body []byte) (templating.Notification, error) { return intake.Decode(body) }
