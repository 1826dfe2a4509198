package receiver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/internal/console"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/templating"
)

// caller lets the API page somebody by hand, through intake.
type caller struct{ *Receiver }

func (c caller) Call(ctx context.Context, call api.Call) (api.Called, int, error) {
	result, receiver, group, err := c.intake.Call(ctx, intake.Call{
		To: call.To, Text: call.Text, Severity: call.Severity, Key: call.Key, By: call.By, Resolve: call.Resolve,
	})
	var faulty *intake.CallError
	switch {
	case errors.As(err, &faulty):
		return api.Called{}, faulty.Status, err
	case errors.Is(err, intake.ErrNoCall):
		return api.Called{}, http.StatusNotFound, err
	case err != nil:
		c.logger.Error("a page by hand was not accepted", "err", err)
		return api.Called{}, http.StatusServiceUnavailable, errors.New("nobody was paged: the outbox cannot be written; try again (see the log)")
	}
	return api.Called{Status: string(result.Status), Messages: result.Messages, Receiver: receiver, Group: group}, http.StatusOK, nil
}

// state gives the API and the console the Receiver's state.
type state struct{ *Receiver }

func (s state) Now() time.Time { return s.spool.Now() }

func (s state) Status() status.Status { return s.status() }

func (s state) Heartbeats(ctx context.Context) ([]status.Heartbeat, error) {
	return s.watch.Heartbeats(ctx)
}

func (s state) Credits(ctx context.Context) ([]status.Credit, error) { return s.watch.Credits(ctx) }

func (s state) Preview(receiver string, payload []byte, text string) (any, error) {
	n, err := Decode(payload)
	if err != nil {
		return nil, err
	}
	return preview(s.configured(), receiver, n, draft{text: text})
}

// configured returns the configuration in force.
func (r *Receiver) configured() *config.Config {
	r.configuring.Lock()
	defer r.configuring.Unlock()
	return r.cfg
}

// previewer renders notifications for the console.
type previewer struct{ *Receiver }

func (p previewer) Decode(payload []byte) (templating.Notification, error) { return Decode(payload) }

func (p previewer) Render(receiver string, n templating.Notification, text string, maxSegments int) (console.Rendered, error) {
	made, err := preview(p.configured(), receiver, n, draft{text, maxSegments})
	return console.Rendered{Ignored: made.Ignored, MaxSegments: made.MaxSegments, Rendering: made.Rendering}, err
}
