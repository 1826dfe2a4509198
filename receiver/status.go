package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/common/version"

	"github.com/smspager/smspager/receiver/internal/status"
)

// history holds when the Receiver started, and the outcome of its last configurations.
type history struct {
	mu        sync.Mutex
	startedAt time.Time
	loadedAt  time.Time
	failedAt  time.Time
	failure   string
}

// loaded notes that a configuration was applied, or the error that prevented it.
func (h *history) loaded(err error, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.failedAt, h.failure = at, err.Error()
		return
	}
	h.loadedAt, h.failedAt, h.failure = at, time.Time{}, ""
}

// refused reports whether the latest configuration was not applied.
func (h *history) refused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure != ""
}

// Progress returns an error if a part of the Receiver is stuck, or if the Receiver does not run. It
// returns when all parts have done one round, or when the context ends, which should be seconds away. A
// store that fails or hangs is not an error: pages are sent without it, and a restart would not repair it.
func (r *Receiver) Progress(ctx context.Context) error {
	if !r.running.Load() {
		return errors.New("the receiver is starting or shutting down")
	}
	for _, part := range []struct {
		name     string
		responds func(context.Context) bool
	}{{"intake", r.intake.Responds}, {"delivery", r.delivery.Responds}, {"storing", r.spool.Responds}} {
		if !part.responds(ctx) {
			return fmt.Errorf("%s is stuck", part.name)
		}
	}
	return nil
}

// status returns the state of the whole chain.
func (r *Receiver) status() status.Status {
	now := r.spool.Now()
	s := status.Status{Version: version.Version, Problems: []string{}, Endpoints: r.endpoints(), Calendars: r.people.Calendars()}
	r.delivery.Report(&s)
	r.watch.Report(&s, now)
	s.Probe.Late = s.Probe.Late && s.Leader.Leading // only the leader sees the outcome of probes
	n, since := r.spool.Backlog()
	s.Spool = status.Spool{Backlog: n, Since: status.OrNil(since)}
	if err := r.spool.Trouble(); err != nil {
		s.Spool.Trouble = err.Error()
	}
	r.history.mu.Lock()
	s.StartedAt = status.Time(r.history.startedAt)
	s.Configuration = status.Configuration{LoadedAt: status.Time(r.history.loadedAt), FailedAt: status.OrNil(r.history.failedAt), Error: r.history.failure}
	r.history.mu.Unlock()
	s.Problems = problems(&s)
	return s
}

// endpoints returns the state of the provider's endpoints.
func (r *Receiver) endpoints() []status.Endpoint {
	all := []status.Endpoint{}
	for _, e := range r.metrics.client.Load().Endpoints() {
		all = append(all, status.Endpoint{Host: e.Endpoint, Up: e.Up})
	}
	return all
}

// problems describes the problems in a status that need a person's attention.
func problems(s *status.Status) []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if s.Account.Refused != "" {
		add("The provider refuses the account: %s. Nothing is sent.", s.Account.Refused)
	}
	if s.Spool.Trouble != "" {
		add("The outbox cannot be written: %s. Pages are sent immediately, and stored once it can be written again.", s.Spool.Trouble)
	}
	if !s.Reachable() {
		add("No endpoint of the provider works.")
	}
	if s.Probe.Late {
		add("No probe was delivered for three intervals of %s.", s.Probe.Interval)
	}
	for _, c := range s.Calendars {
		if c.Error != "" {
			add("The calendar of %s cannot be read: %s. The last good copy is used.", c.Rota, c.Error)
		}
	}
	if s.Configuration.Error != "" {
		add("A changed configuration was refused; the old one stays in force: %s", s.Configuration.Error)
	}
	return all
}
