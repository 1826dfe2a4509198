package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// Call is a request by a person or a script to page others.
type Call struct {
	To       string // a receiver or a contact
	Text     string
	Severity string // "": critical
	Key      string // names the page, so that another Call can update or resolve it; "": none can
	By       string // the caller's name, for the page's annotations; "": a script
	Resolve  bool
}

// maxCallText, maxSeverity and maxKey limit the fields of a Call, in characters.
const (
	maxCallText = 1000
	maxSeverity = 50
	maxKey      = 200
)

// visible reports whether a character can be seen.
func visible(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// CallError is the error of a Call that must be corrected first.
type CallError struct {
	Reason string
	Status int // HTTP status code
}

func (e *CallError) Error() string { return e.Reason }

// ErrNoCall is the error of a Call that resolves a page that does not exist.
var ErrNoCall = errors.New("no open page has this key")

// Call pages a receiver or a contact as a notification does, and returns the receiver and the group of
// the page. The error is a *CallError, ErrNoCall, or an error of Notify.
func (in *Intake) Call(ctx context.Context, c Call) (result Result, receiver, group string, err error) {
	if err := c.check(); err != nil {
		return Result{}, "", "", err
	}
	settings := in.settings.Load()
	r, err := Find(settings.Receivers, c.To)
	if err != nil {
		own, ownErr := Find(settings.Receivers, config.ContactReceiver(c.To))
		if ownErr != nil {
			return Result{}, "", "", &CallError{
				fmt.Sprintf("no receiver or contact is named %s; receivers: %s", quote(c.To), strings.Join(known(settings.Receivers), ", ")), http.StatusNotFound,
			}
		}
		r = own
	}
	now := in.spool.Now()
	group = page.ByHand + ":" + cmp.Or(c.Key, in.ids.New(now))
	alert, err := in.called(ctx, r, group, settings.Severities)
	if err != nil {
		return Result{}, "", "", err
	}
	switch {
	case c.Resolve && alert == nil && r.Pages():
		return Result{}, "", "", ErrNoCall
	case c.Resolve && alert != nil:
		c.Text, c.Severity = alert.Labels[model.AlertNameLabel], alert.Labels["severity"]
	case alert != nil && alert.Labels[model.AlertNameLabel] == c.Text && alert.Labels["severity"] == c.Severity:
		now = alert.StartsAt // the same Call again
	}
	result, err = in.Notify(ctx, r.Name, c.notification(group, now, alert))
	if err == nil && result.Status == Ignored && !c.Resolve {
		err = &CallError{fmt.Sprintf("nobody was paged: no recipient of %s is on duty and wants texts", quote(c.To)), http.StatusConflict}
	}
	return result, r.Name, group, err
}

func (c *Call) check() error {
	bad := func(format string, args ...any) error {
		return &CallError{fmt.Sprintf(format, args...), http.StatusBadRequest}
	}
	c.Text, c.Severity = strings.TrimSpace(c.Text), cmp.Or(strings.TrimSpace(c.Severity), "critical")
	switch {
	case c.To == "":
		return bad(`"to" is missing: name a receiver or a contact`)
	case c.Resolve && c.Key == "":
		return bad(`"key" is missing: name the page to resolve by the key it was made with`)
	case !c.Resolve && !strings.ContainsFunc(c.Text, visible):
		return bad(`"text" is missing: say what is wrong`)
	case utf8.RuneCountInString(c.Text) > maxCallText:
		return bad(`"text" is longer than %d characters`, maxCallText)
	case utf8.RuneCountInString(c.Severity) > maxSeverity || strings.ContainsFunc(c.Severity, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return bad(`"severity" must be a word such as critical, of at most %d characters`, maxSeverity)
	case utf8.RuneCountInString(c.Key) > maxKey:
		return bad(`"key" is longer than %d characters`, maxKey)
	}
	return nil
}

// called returns the alert of a group's current page, which an earlier Call made; nil if there is none.
func (in *Intake) called(ctx context.Context, r *Receiver, group string, order *templating.SeverityOrder) (*template.Alert, error) {
	ps, err := in.spool.Pages(ctx, outbox.PageQuery{Receiver: r.Name, GroupKey: group, Current: true, Limit: 1})
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	p, err := page.Load(ps[0], order)
	if err != nil || len(p.Notification.Alerts) == 0 {
		return nil, err
	}
	return &p.Notification.Alerts[0], nil
}

// notification returns the notification of a Call. earlier is the alert of its page; nil if the page is
// new.
func (c *Call) notification(group string, now time.Time, earlier *template.Alert) templating.Notification {
	sum := sha256.Sum256([]byte(group))
	alert := template.Alert{
		Status: string(model.AlertFiring), StartsAt: now, Fingerprint: hex.EncodeToString(sum[:8]),
		Labels: template.KV{model.AlertNameLabel: c.Text, "severity": c.Severity}, Annotations: template.KV{},
	}
	if c.By != "" {
		alert.Annotations["by"] = c.By
	}
	if c.Resolve {
		alert.Status, alert.EndsAt = string(model.AlertResolved), now
		if earlier != nil {
			alert.StartsAt = earlier.StartsAt
		}
	}
	return templating.Notification{
		Data: template.Data{
			Status: alert.Status, Alerts: template.Alerts{alert}, GroupLabels: template.KV{}, CommonLabels: alert.Labels,
			CommonAnnotations: alert.Annotations, ExternalURL: page.ByHand,
		},
		GroupKey: group,
	}
}

// known returns the names of the receivers that Alertmanager may name.
func known(receivers []Receiver) (names []string) {
	for i := range receivers {
		if !slices.Contains(names, receivers[i].Name) && !config.IsContactReceiver(receivers[i].Name) {
			names = append(names, receivers[i].Name)
		}
	}
	return names
}
