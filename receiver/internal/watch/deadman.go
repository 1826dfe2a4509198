package watch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/httpclient"
	"github.com/smspager/smspager/receiver/internal/loop"
)

// deadmanTimeout limits a call to the dead-man's switch.
const deadmanTimeout = 10 * time.Second

// deadman calls an external URL (alive.url) while smspager and the provider are healthy. The
// service behind it raises an alarm when the calls stop.
type deadman struct {
	*Options
	settings atomic.Pointer[deadmanSettings]
	changed  loop.Bell
	calls    *prometheus.CounterVec
	rounds   prometheus.Counter
}

// deadmanSettings holds a configuration and its client.
type deadmanSettings struct {
	config.Alive
	client *http.Client
}

func newDeadman(o *Options) *deadman {
	return &deadman{
		Options: o, changed: loop.NewBell(), rounds: loop.Rounds(o.Registerer, "alive"),
		calls: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_alive_calls_total", Help: "Calls to the dead-man's switch (alive.url): ok, failed, or withheld because smspager or the provider was not healthy.",
		}, []string{"outcome"}),
	}
}

func (d *deadman) configure(alive config.Alive) {
	d.settings.Store(&deadmanSettings{alive, httpclient.New(alive.HTTPConfig, d.Transport, deadmanTimeout)})
	d.changed.Ring()
}

// run calls the URL at the start, after each change of the configuration, and once every interval.
func (d *deadman) run(ctx context.Context) {
	loop.Repeat(ctx, d.rounds, d.changed, func() time.Duration {
		alive := d.settings.Load()
		if alive.URL != "" {
			d.check(ctx, alive)
		}
		return alive.Interval
	})
}

func (d *deadman) check(ctx context.Context, alive *deadmanSettings) {
	if err := d.Healthy(); err != nil {
		d.calls.WithLabelValues("withheld").Inc()
		d.Logger.Warn("the URL of alive is not called, as not all is well", "err", err)
		return
	}
	switch err := alive.call(ctx); {
	case err == nil:
		d.calls.WithLabelValues("ok").Inc()
	case ctx.Err() == nil:
		d.calls.WithLabelValues("failed").Inc()
		d.Logger.Warn("the URL of alive cannot be called", "err", err)
	}
}

func (s *deadmanSettings) call(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL.Reveal(), nil)
	if err != nil {
		return errors.New("the URL is unusable")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the URL, which may hold a secret
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it responds %s", resp.Status)
	}
	return nil
}
