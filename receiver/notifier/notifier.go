// Package notifier is a receiver as an Alertmanager notify.Notifier, for programs
// that embed Alertmanager's notification pipeline: no webhook stands between.
package notifier

import (
	"context"
	"errors"
	"log/slog"
	"net/url"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/templating"
)

// Options are what a Notifier may be given. The zero value works.
type Options struct {
	// Receiver is the name of smspager's receiver; "" for that of Alertmanager's,
	// which the pipeline puts into the context.
	Receiver    string
	ExternalURL *url.URL     // Alertmanager's, for templates
	Logger      *slog.Logger // nil: nothing is logged
}

// Notifier notifies through a receiver.
type Notifier struct {
	receiver *receiver.Receiver
	name     string
	data     *template.Template // only makes the data; it executes nothing
	logger   *slog.Logger
}

var (
	_ notify.Notifier       = (*Notifier)(nil)
	_ notify.ResolvedSender = (*Notifier)(nil)
)

// New makes a Notifier for a receiver that runs.
func New(r *receiver.Receiver, o Options) *Notifier {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{}
	}
	return &Notifier{receiver: r, name: o.Receiver, data: &template.Template{ExternalURL: o.ExternalURL}, logger: o.Logger}
}

// Notify implements notify.Notifier. It returns once the messages are on disk. An
// error is worth a retry unless the receiver is not configured.
func (n *Notifier) Notify(ctx context.Context, alerts ...*alert.Alert) (retry bool, err error) {
	key, err := notify.ExtractGroupKey(ctx)
	if err != nil {
		return false, err
	}
	name := n.name
	if name == "" {
		var ok bool
		if name, ok = notify.ReceiverName(ctx); !ok {
			return false, errors.New("the context names no receiver; set Options.Receiver")
		}
	}
	_, err = n.receiver.Notify(ctx, name, templating.Notification{
		Data:     *notify.GetTemplateData(ctx, n.data, alerts, n.logger),
		GroupKey: key.String(),
	})
	var unknown *intake.UnknownReceiverError
	return err != nil && !errors.As(err, &unknown), err
}

// SendResolved implements notify.ResolvedSender: what is resolved is passed on,
// and smspager's send_resolved decides.
func (n *Notifier) SendResolved() bool { return true }
