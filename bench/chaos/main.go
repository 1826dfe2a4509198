// Command chaos breaks smspager in many ways, and judges the result. It runs real processes, a real
// database and the simulator as the provider, and makes faults while notifications arrive. After the
// last fault has ended, every notification that got a 200 must have been sent exactly once to each
// recipient, in the order of its group, or have been superseded by a newer one. Nobody acknowledges
// the pages: each must have been escalated to the end, with each step executed once.
//
//	go run ./bench/chaos --minutes=30 --database=postgres --seed=7
//
// The faults, their order and their lengths depend only on the seed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

func main() {
	o := options{out: os.Stdout}
	minutes := flag.Float64("minutes", 1, "how long to make faults")
	flag.StringVar(&o.database, "database", "sqlite", "sqlite, or postgres with two replicas")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "seed of the faults")
	flag.BoolVar(&o.clocks, "clocks", false, "set the clocks of the processes, by up to 3 h; this compiles all of smspager anew")
	flag.BoolVar(&o.keep, "keep", false, "keep the logs even if nothing was wrong")
	flag.Parse()
	o.duration = time.Duration(*minutes * float64(time.Minute))
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

type options struct {
	duration time.Duration
	database string
	seed     uint64
	clocks   bool // set the replicas' clocks
	keep     bool // keep the logs even if nothing was wrong
	out      io.Writer
}

func run(ctx context.Context, o options) (err error) {
	fmt.Fprintf(o.out, "%s, %s, seed %d\n", o.database, o.duration, o.seed)
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nlogs: %s", err, w.dir)
		} else if o.keep {
			fmt.Fprintln(o.out, "logs:", w.dir)
		}
		if closeErr := w.close(err != nil || o.keep); err == nil {
			err = closeErr
		}
	}()
	posting, stop := context.WithCancel(ctx)
	defer stop()
	posted, paged := w.post(posting), w.page(posting)
	var disturbing sync.WaitGroup
	disturbing.Go(func() { w.disturb(posting) })
	faults := w.breakThings(ctx, time.Now().Add(o.duration))
	stop()
	all, pages := <-posted, <-paged
	disturbing.Wait()
	if err := w.heal(); err != nil {
		return err
	}
	fmt.Fprintln(o.out, "faults:", faults)
	return errors.Join(w.judge(ctx, all), w.judgePages(ctx, pages))
}
