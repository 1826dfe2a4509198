package watch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/textinghouse"
)

const (
	// creditInterval is how often the credit is read.
	creditInterval = 5 * time.Minute
	// recoverInterval is how often an endpoint that failed is tried again.
	recoverInterval = 10 * time.Second
)

// Account is an account at the provider, such as a *textinghouse.Client.
type Account interface {
	Credit(context.Context) (textinghouse.Credit, error)
	Recover(context.Context) // tries the endpoints that failed
}

// account reads the account's credit, warns if it is low or will not last, and makes the client try
// failed endpoints again.
type account struct {
	*Options
	provider atomic.Pointer[Account]
	guard    atomic.Pointer[config.Credit]
	seen     *seen
	changed  loop.Bell
	rounds   prometheus.Counter // rounds of the loop that reads the credit
	recovers prometheus.Counter // rounds of the loop that tries failed endpoints

	left  prometheus.Gauge
	read  prometheus.Gauge
	lasts prometheus.Gauge
}

func newAccount(o *Options, last *seen) *account {
	f := promauto.With(o.Registerer)
	return &account{
		Options: o, seen: last, changed: loop.NewBell(),
		rounds: loop.Rounds(o.Registerer, "credit"), recovers: loop.Rounds(o.Registerer, "endpoints"),
		left: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_credit", Help: "The account's credit, in the provider's unit, when it was last read.",
		}),
		read: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_credit_last_read_timestamp_seconds", Help: "When the credit was last read.",
		}),
		lasts: f.NewGauge(prometheus.GaugeOpts{
			Name: "smspager_credit_left_seconds", Help: "How long the credit lasts at the pace of the last week; 0 if it is not known.",
		}),
	}
}

func (a *account) configure(provider Account, guard config.Credit) {
	a.guard.Store(&guard)
	a.provider.Store(&provider)
	a.changed.Ring()
}

// run reads the credit at the start, after each change of the configuration, and every creditInterval.
func (a *account) run(ctx context.Context) {
	loop.Repeat(ctx, a.rounds, a.changed, func() time.Duration {
		a.readCredit(ctx)
		return creditInterval
	})
}

// recover tries failed endpoints again until the context ends.
func (a *account) recover(ctx context.Context) {
	loop.Repeat(ctx, a.recovers, nil, func() time.Duration {
		(*a.provider.Load()).Recover(ctx)
		return recoverInterval
	})
}

func (a *account) readCredit(ctx context.Context) {
	credit, err := (*a.provider.Load()).Credit(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.Logger.Warn("cannot read the credit", "err", err)
		}
		return
	}
	a.left.Set(float64(credit))
	a.read.SetToCurrentTime()
	a.take(ctx, float64(credit))
}
