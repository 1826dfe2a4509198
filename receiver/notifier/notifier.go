// Package notifier makes a [receiver.Receiver] an Alertmanager [notify.Notifier], so that programs
// that embed Alertmanager's notification pipeline need no webhook.
//
// Stability: the interface is that of the Alertmanager release in go.mod, and changes with it.
// Until v1, an exported name may change in a minor release; CHANGELOG.md lists each change.
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
	"github.com/smspager/smspager/templating"
)

// Options are the options of a [Notifier]. The zero value works.
type Options struct {
	// Receiver is the name of smspager's receiver. "": the name of Alertmanager's receiver, which
	// the pipeline puts into the context.
	Receiver    string
	ExternalURL *url.URL     // Alertmanager's, for templates
	Logger      *slog.Logger // nil: nothing is logged
}

// Notifier passes notifications to a receiver.
type Notifier struct {
	receiver *receiver.Receiver
	name     string
	data     *template.Template // makes the template data; executes no template
	logger   *slog.Logger
}

var (
	_ notify.Notifier       = (*Notifier)(nil)
	_ notify.ResolvedSender = (*Notifier)(nil)
)

// New returns a Notifier for a running receiver.
func New(r *receiver.Receiver, o Options) *Notifier {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{}
	}
	return &Notifier{receiver: r, name: o.Receiver, data: &template.Template{ExternalURL: o.ExternalURL}, logger: o.Logger}
}

// Notify implements [notify.Notifier]. It returns when the messages are accepted, as
// [receiver.Receiver.Notify] does. If that fails, the pipeline should retry, unless the context
// lacks the group key or the receiver's name, or the receiver is unknown.
func (n *Notifier) Notify(ctx context.Context, alerts ...*alert.Alert) notify.NotifyVerdict {
	key, err := notify.ExtractGroupKey(ctx)
	if err != nil {
		return notify.Unrecoverable(err, notify.MissingContextReason)
	}
	name := n.name
	if name == "" {
		var ok bool
		if name, ok = notify.ReceiverName(ctx); !ok {
			return notify.Unrecoverable(errors.New("the context names no receiver; set Options.Receiver"), notify.MissingContextReason)
		}
	}
	_, err = n.receiver.Notify(ctx, name, templating.Notification{
		Data:     *notify.GetTemplateData(ctx, n.data, alerts, n.logger),
		GroupKey: key.String(),
	})
	var unknown *receiver.UnknownReceiverError
	switch {
	case err == nil:
		return notify.Success()
	case errors.As(err, &unknown):
		return notify.Unrecoverable(err, notify.ConfigErrorReason)
	}
	return notify.Retry(0, err, notify.ServerErrorReason)
}

// SendResolved implements [notify.ResolvedSender]. It returns true: smspager's own send_resolved
// decides.
func (n *Notifier) SendResolved() bool { return true }
