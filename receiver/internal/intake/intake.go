// Package intake turns Alertmanager's notifications into messages. It reads the webhook, finds the
// receiver, drops duplicates, determines the recipients and the text, and commits the messages. A
// notification is accepted when its messages are on disk, or when the provider has them.
package intake

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/internal/logs"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// Receiver is one of Alertmanager's receivers, with its compiled template.
type Receiver struct {
	*config.Receiver
	Text *templating.Text
}

// Settings may change while notifications arrive.
type Settings struct {
	Receivers    []Receiver
	Severities   *templating.SeverityOrder
	Token        config.Secret // the token that the webhook requires; "": none
	MaxBodyBytes int64
}

// OnCall knows people, pages and heartbeats, as an oncall.OnCall does.
type OnCall interface {
	// People returns the people that recipients name. It leaves out those who want no texts.
	People(to []config.Recipient, severities []string, at time.Time) []outbox.Person
	// Named returns the recipient that a label names.
	Named(name string) (config.Recipient, bool)
	// Decide returns what a notification does to its page, and who is sent a message about it.
	Decide(ctx context.Context, receiver string, n *templating.Notification, to []outbox.Person, at time.Time) (outbox.PageUpdate, error)
	// Fires reports whether Alertmanager lists a firing alert of a notification as active. known reports
	// whether its alerts must have ended if none fires.
	Fires(ctx context.Context, n *templating.Notification) (fires, known bool)
	// Has reports whether current pages have all firing alerts of a notification. It is also true if only a
	// notification can have ended them.
	Has(ctx context.Context, receiver string, n *templating.Notification) bool
	// Beat handles a notification that may be a beat, and reports whether the receiver has a heartbeat.
	Beat(ctx context.Context, receiver string, n *templating.Notification, at time.Time) bool
}

// Options are the options of New.
type Options struct {
	Spool      *spool.Spool
	OnCall     OnCall
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is measured
	Shared     bool                  // other processes use the store too
	IDs        *outbox.IDs           // shared by the process, so that a newer message has a greater ID
}

// Intake handles notifications. It is safe for concurrent use.
type Intake struct {
	spool    *spool.Spool
	onCall   OnCall
	logger   *slog.Logger
	refusals *slog.Logger // for refused requests; rate limited, because strangers can make them
	line     *line        // for large bodies
	metrics  *metrics
	memory   *memory
	shared   bool
	settings atomic.Pointer[Settings]
	stopMu   sync.Mutex
	stopping bool
	handling sync.WaitGroup // the notifications being handled
	ids      *outbox.IDs
}

// Status is the outcome of a notification.
type Status string

const (
	Accepted  Status = "accepted"  // its messages are on disk, or the provider has them
	Duplicate Status = "duplicate" // it equals an earlier notification, whose message IDs are returned
	Ignored   Status = "ignored"   // nobody is paged
)

// Result is the response to a notification.
type Result struct {
	Status   Status   `json:"status"`
	Messages []string `json:"messages"`
}

// UnknownReceiverError is the error for a receiver that is not configured.
type UnknownReceiverError struct {
	Name  string
	Known []string
}

func (e *UnknownReceiverError) Error() string {
	return fmt.Sprintf("no receiver %s is configured; known: %s", quote(e.Name), strings.Join(e.Known, ", "))
}

// New returns an Intake. Call Configure before the first notification.
func New(o Options) *Intake {
	return &Intake{
		spool: o.Spool, onCall: o.OnCall, logger: o.Logger, refusals: logs.Limit(o.Logger), line: newLine(), metrics: newMetrics(o.Registerer),
		memory: newMemory(), shared: o.Shared, ids: o.IDs,
	}
}

// Responds reports whether a notification can be started before the context ends.
func (in *Intake) Responds(ctx context.Context) bool {
	begun := make(chan struct{})
	go func() {
		if end, ok := in.begin(); ok {
			end()
		}
		close(begun)
	}()
	select {
	case <-begun:
		return true
	case <-ctx.Done():
		return false
	}
}

// Configure sets or replaces the settings.
func (in *Intake) Configure(s Settings) {
	for _, name := range known(s.Receivers) {
		in.metrics.begin(name)
	}
	in.settings.Store(&s)
}

// Notify handles a notification for a receiver, by a name that [Find] accepts. If it returns an
// error, nothing was accepted, and the caller should retry unless it is an *UnknownReceiverError.
func (in *Intake) Notify(ctx context.Context, name string, n templating.Notification) (Result, error) {
	arrived := in.spool.Now()
	settings := in.settings.Load()
	n.Order = settings.Severities
	beats := in.onCall.Beat(ctx, name, &n, arrived)
	r, err := Find(settings.Receivers, name)
	if err != nil {
		if beats { // nobody is paged
			return Result{Status: Accepted, Messages: []string{}}, nil
		}
		return Result{}, err
	}
	n.Receiver = r.Name
	result, err := in.notify(ctx, r, &n, arrived)
	switch {
	case err != nil:
		in.metrics.notifications.WithLabelValues(r.Name, "failed").Inc()
		in.logger.Error("notification not accepted", "receiver", r.Name, "group", e164.Redact(n.GroupKey), "err", err)
	default:
		in.metrics.notifications.WithLabelValues(r.Name, string(result.Status)).Inc()
		if in.logger.Enabled(ctx, slog.LevelInfo) {
			in.logger.Info("notification "+string(result.Status), "receiver", r.Name, "group", e164.Redact(n.GroupKey),
				"status", n.Status, "alerts", len(n.Alerts), "messages", result.Messages)
		}
	}
	return result, err
}

// Find returns the receiver with a name: as configured, as Alertmanager writes it, with regular expression
// characters escaped, or with the trailing slash of a URL. The error is an *UnknownReceiverError.
func Find(receivers []Receiver, name string) (*Receiver, error) {
	for i := range receivers {
		if receivers[i].Name == name {
			return &receivers[i], nil
		}
	}
	for i := range receivers {
		if regexp.QuoteMeta(receivers[i].Name) == name {
			return &receivers[i], nil
		}
	}
	if without, found := strings.CutSuffix(name, "/"); found && without != "" {
		if r, err := Find(receivers, without); err == nil {
			return r, nil
		}
	}
	return nil, &UnknownReceiverError{Name: name, Known: known(receivers)}
}

// Wants reports whether the receiver sends a text about a notification.
func (r *Receiver) Wants(n *templating.Notification) bool {
	return r.SendResolved || n.Status != string(model.AlertResolved)
}

// Render returns the text of a notification. It leaves out resolved alerts if the receiver does not
// send them. A budget without segments gets the receiver's.
func (r *Receiver) Render(n templating.Notification, b templating.Budget) templating.Rendering {
	if !r.SendResolved {
		n.Alerts = slices.DeleteFunc(slices.Clone(n.Alerts), func(a template.Alert) bool { return a.Status == string(model.AlertResolved) })
	}
	b.MaxSegments = cmp.Or(b.MaxSegments, r.MaxSegments)
	return r.Text.Render(n, b)
}

func (in *Intake) notify(ctx context.Context, r *Receiver, n *templating.Notification, arrived time.Time) (Result, error) {
	end, ok := in.begin()
	if !ok {
		return Result{}, ErrStopping
	}
	defer end()
	seen := outbox.Entry{
		Key: groupOf(r.Name, n), State: stateOf(n), Source: sourceOf(n), Intended: n.Repeats(),
		SeenAt: arrived, Window: window(n, r.DedupeWindow),
	}
	known := in.memory.enter(seen.Key)
	defer known.mu.Unlock()
	repeats := in.late(ctx, known, &seen, n) || !in.shared && known.repeats(&seen) // if shared, another replica may know a newer state
	if repeats && !in.over(ctx, &seen, n, known.latest.State == seen.State) {
		in.metrics.duplicates.WithLabelValues("memory").Inc()
		return Result{Status: Duplicate, Messages: known.latest.IDs}, nil
	}
	seen.Intended = seen.Intended || !in.shared && known.latest != nil // memory knows more senders of the state than the store does
	flaps := known.flaps(n.Status, arrived)
	var out *outbox.Entry
	commit := func() (outbox.Added, error) {
		return in.spool.Commit(ctx, spool.FailOpen, func(ctx context.Context) (e *outbox.Entry, err error) {
			if e, err = in.entry(ctx, r, n, flaps, arrived); err == nil {
				e.Key, e.State, e.Source, e.Intended, e.SeenAt, e.Window = seen.Key, seen.State, seen.Source, seen.Intended, seen.SeenAt, seen.Window
			}
			out = e
			return e, err
		})
	}
	added, err := commit()
	if err == nil && added.Duplicate && (in.news(ctx, &seen, n, added.LateAfter) || in.over(ctx, &seen, n, added.LateAfter.IsZero())) {
		added, err = commit()
	}
	switch {
	case err != nil:
		return Result{}, err
	case added.Duplicate: // only the store knows when it was first seen
		in.metrics.duplicates.WithLabelValues("store").Inc()
		return Result{Status: Duplicate, Messages: added.IDs}, nil
	}
	known.accepted(&seen)
	known.latest.IDs = added.IDs
	in.metrics.queued.Add(float64(len(out.Messages)))
	if len(out.Messages) == 0 && (out.Page == nil || !r.Wants(n)) {
		return Result{Status: Ignored, Messages: []string{}}, nil
	}
	return Result{Status: Accepted, Messages: added.IDs}, nil
}

// entry returns the entry of a notification. It is empty if nobody is paged and no page changes, but its
// state is still stored, because the next notification is compared with it. flaps is the sentence about
// a group that flaps, or "".
func (in *Intake) entry(ctx context.Context, r *Receiver, n *templating.Notification, flaps string, arrived time.Time) (*outbox.Entry, error) {
	if !r.Wants(n) && !r.Pages() { // resolved alerts end a page even if no text is sent
		return &outbox.Entry{}, nil
	}
	update, err := in.onCall.Decide(ctx, r.Name, n, in.recipients(r, n, arrived), arrived)
	if err != nil {
		return nil, err
	}
	if len(update.To) == 0 && update.Page == nil {
		if r.Wants(n) {
			in.metrics.nobody.WithLabelValues(r.Name).Inc()
			why := "a notification pages nobody: no recipient of the receiver is on duty and wants texts"
			if r.ToLabel != "" {
				why += ", and no alert names one in " + r.ToLabel
			}
			in.logger.Error(why, "receiver", r.Name, "group", e164.Redact(n.GroupKey))
		}
		return &outbox.Entry{}, nil
	}
	out := &outbox.Entry{Page: update.Page, OtherPages: update.OtherPages, Marks: update.Marks}
	over := n.Status == string(model.AlertResolved)
	if len(update.To) == 0 && over {
		return out, nil
	}
	if !r.Pages() {
		update.Tail = flaps
	}
	if n.TruncatedAlerts > 0 && !over && !n.MayStillFire { // a text about alerts that may still fire already mentions them
		more := templating.Unlisted(n.TruncatedAlerts)
		update.Tail, update.LongTail = sentences(more, update.Tail), sentences(more, update.LongTail)
	}
	// Whoever was paged before gets STILL if the notification is a repeat; everybody else gets the
	// instructions for replies.
	texts := map[bool]templating.Rendering{}
	text := func(person outbox.Person) templating.Rendering {
		had := slices.Contains(update.Paged, person.Number) || update.Page == nil
		rendered, done := texts[had]
		if !done {
			b := templating.Budget{Tail: update.Tail, LongTail: update.LongTail, Again: had && n.Repeats()}
			if had {
				b.LongTail = ""
			}
			rendered = r.Render(*n, b)
			texts[had] = rendered
		}
		return rendered
	}
	rendered := text(slices.Concat(update.To, []outbox.Person{{}})[0])
	if rendered.Err != nil {
		in.metrics.fallbacks.WithLabelValues(r.Name).Inc()
		in.logger.Error("the template failed; the built-in text is sent instead", "receiver", r.Name, "group", e164.Redact(n.GroupKey), "err", rendered.Err)
	}
	if update.Page != nil && !over {
		update.Page.Headline = rendered.Headline
	}
	for _, person := range update.To {
		out.Messages = append(out.Messages, in.message(r, n, person, text(person), arrived))
	}
	out.OfPage()
	return out, nil
}

// message returns the message to a person about a notification.
func (in *Intake) message(r *Receiver, n *templating.Notification, person outbox.Person, rendered templating.Rendering, arrived time.Time) outbox.Message {
	return outbox.Message{
		ID: in.ids.New(arrived), To: person.Number, Receiver: r.Name, GroupKey: n.GroupKey,
		Headline: rendered.Headline, Severity: templating.Severity(*n), Urgent: n.IsUrgent(r.Urgent),
		Text: rendered.Text, Encoding: rendered.Size.Encoding, Segments: rendered.Size.Segments,
		State: outbox.Queued, CreatedAt: arrived, UpdatedAt: arrived, NotBefore: person.NotBefore, ExpiresAt: person.Earliest(arrived).Add(r.MaxAge),
		Events: []outbox.Event{{At: arrived, Type: outbox.EventQueued, Detail: describe(rendered)}},
	}
}

// recipients returns the recipients of the receiver and those that its alerts name, each once.
func (in *Intake) recipients(r *Receiver, n *templating.Notification, at time.Time) []outbox.Person {
	to := slices.Clone(r.Recipients)
	if r.ToLabel != "" {
		for _, a := range n.Alerts {
			for _, names := range []string{a.Labels[r.ToLabel], a.Annotations[r.ToLabel]} {
				to = append(to, in.named(r, a, names)...)
			}
		}
	}
	return in.onCall.People(to, templating.Severities(*n), at)
}

// named returns the recipients that a label of an alert names.
func (in *Intake) named(r *Receiver, a template.Alert, names string) (to []config.Recipient) {
	for name := range strings.FieldsFuncSeq(names, func(c rune) bool { return c == ',' || c == ';' || c == '\n' }) {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		recipient, known := in.onCall.Named(name)
		if !known {
			in.metrics.badRecipients.WithLabelValues(r.Name).Inc()
			in.logger.Warn("unknown recipient skipped: neither a contact, a rota nor a number",
				"receiver", r.Name, "label", r.ToLabel, "alert", a.Labels[model.AlertNameLabel])
			continue
		}
		if odd := recipient.Number.Misdialled(); odd != "" && recipient.Name == "" {
			in.logger.Warn("a text may not arrive: a label names a number that does not belong to a mobile phone", "number", recipient.Number, "why", odd,
				"receiver", r.Name, "label", r.ToLabel, "alert", a.Labels[model.AlertNameLabel])
		}
		to = append(to, recipient)
	}
	return to
}
