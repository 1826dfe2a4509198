// Command truth compares what smspager believes with the truth. A cluster of two real Alertmanagers
// notifies smspager of alerts from two senders like Prometheus. At random, alerts fire, end, are silenced
// and inhibited, routes are muted and regrouped, senders die, and Alertmanagers are killed with and
// without the loss of their data. At each moment these must hold:
//
//   - No alert fires for longer than group_interval and a minute without a page, a silence, an
//     inhibition or a mute.
//   - No page is open for longer than that after its last alert ended; if it flaps, for no longer than
//     8 s after the settling time that it stores.
//   - Nobody is paged for suppressed alerts.
//
// The first always holds. If no Alertmanager can know the truth, the others are relaxed as
// docs/on-call.md describes. While both Alertmanagers are down, and for 8 s after, smspager may page as if
// all alerts fired. It may also page in the 8 s after a start of an Alertmanager, which gets the alerts
// before it knows what suppresses them, and immediately notifies of those that began long ago. In the two
// minutes after the earlier start of the two, an alert may stay open if it was last reported before the
// later start, or if one was down in the last 65 s. That does not restart the limit: 8 s after these two
// minutes, every page whose last alert ended more than 65 s ago must be over.
//
// Usage:
//
//	go run ./bench/truth --minutes=30 --seed=7
//
// What happens depends only on the seed. When it happens depends on the machine too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// tick is how often something may happen, and how often the judge looks.
const tick = 500 * time.Millisecond

type options struct {
	duration time.Duration
	seed     uint64
	out      io.Writer
}

func main() {
	o := options{out: os.Stdout}
	minutes := flag.Float64("minutes", 1, "how long")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "seed of what happens")
	flag.Parse()
	o.duration = time.Duration(*minutes * float64(time.Minute))
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	fmt.Fprintf(o.out, "%s, seed %d\n", o.duration, o.seed)
	w, err := newWorld(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < o.duration; <-ticker.C {
		now := time.Now()
		if err := w.happen(now); err != nil {
			return err
		}
		w.send(now)
		if err := w.judge(ctx, now); err != nil {
			return err
		}
	}
	return w.report(ctx)
}
