package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/smspager/smspager/internal/logs"
	"github.com/smspager/smspager/receiver"
)

// notify notifies systemd of a change, if it has started the program with Type=notify.
func notify(logger *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn("systemd cannot be notified", "err", err)
	}
}

// notifySystemd notifies systemd when the receiver is ready, and feeds its watchdog while all parts of
// the receiver make progress, until the context ends.
func notifySystemd(ctx context.Context, r *receiver.Receiver, logger *slog.Logger) {
	const untilReady = 50 * time.Millisecond
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logger.Warn("cannot notify systemd's watchdog", "err", err)
	}
	limited := logs.Limit(logger)
	progresses := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		return r.Progress(ctx)
	}
	for !sleep(ctx, untilReady) {
		if progresses(time.Second) == nil {
			notify(logger, daemon.SdNotifyReady)
			break
		}
	}
	if interval == 0 {
		return
	}
	for !sleep(ctx, interval/4) {
		if err := progresses(interval / 4); err == nil {
			notify(logger, daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			limited.Error("the watchdog is not fed; systemd restarts smspager if this lasts", "err", err)
		}
	}
}

// sleep waits, and reports whether the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return true
	case <-time.After(d):
		return false
	}
}
