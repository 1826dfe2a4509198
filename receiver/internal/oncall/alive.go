package oncall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// aliveTimeout bounds a call to the URL elsewhere.
const aliveTimeout = 10 * time.Second

// runCheck calls a URL elsewhere while smspager and the provider are well, until
// the context ends: whoever waits for the calls there tells when they stop.
func (o *OnCall) runCheck(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		alive := o.settings.Load().cfg.Alive
		timer.Reset(alive.Interval)
		if alive.URL == "" {
			continue
		}
		if err := o.healthy(); err != nil {
			o.metrics.aliveCalls.WithLabelValues("withheld").Inc()
			o.logger.Warn("the URL of alive is not called, as not all is well", "err", err)
			continue
		}
		if err := o.call(ctx, alive.URL.Reveal()); err != nil {
			if ctx.Err() != nil {
				return
			}
			o.metrics.aliveCalls.WithLabelValues("failed").Inc()
			o.logger.Warn("the URL of alive cannot be called", "err", err)
			continue
		}
		o.metrics.aliveCalls.WithLabelValues("ok").Inc()
	}
}

func (o *OnCall) call(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("the URL is unusable")
	}
	resp, err := o.client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the URL, which may hold a secret
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
