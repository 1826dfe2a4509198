package receiver

import (
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/templating"
)

// The forms in which the HTTP API shows messages and pages, for programs that read it.
type (
	Message   = api.Message
	Messages  = api.Messages
	Page      = api.Page
	Pages     = api.Pages
	PageEvent = api.PageEvent
	Time      = api.Time
)

// Result is what became of a notification, as the webhook's response has it.
type Result = intake.Result

// OnDuty is who is on duty in a rota, from when to when.
type OnDuty = people.Duty

// Decode reads the body of a webhook, Alertmanager's (version "4") or Grafana's
// (version "1"). The error of a body that is no notification says why it is none.
func Decode(body []byte) (templating.Notification, error) { return intake.Decode(body) }
