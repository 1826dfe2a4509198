// Command chaos breaks smspager in every way it can think of, and judges: with
// real processes, a real database and the simulator as the provider, faults come
// one after the other while notifications do. After healing, every notification
// that was answered 200 must have been sent exactly once to each recipient, or
// name the newer one of its group that was, and in the order of its group; and every
// page that nobody answered must have been escalated to the end, each step once.
//
//	go run ./bench/chaos --minutes=30 --database=postgres --seed=7
//
// The faults, their order and their lengths depend on the seed alone.
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

func main() {
	o := options{out: os.Stdout}
	minutes := flag.Float64("minutes", 1, "how long faults come")
	flag.StringVar(&o.database, "database", "sqlite", "sqlite, or postgres with two replicas")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "what the faults depend on")
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
		}
		if closeErr := w.close(err != nil); err == nil {
			err = closeErr
		}
	}()
	posting, stop := context.WithCancel(ctx)
	defer stop()
	posted, paged := w.post(posting), w.page(posting)
	faults := w.breakThings(ctx, time.Now().Add(o.duration))
	stop()
	all, pages := <-posted, <-paged
	if err := w.heal(); err != nil {
		return err
	}
	fmt.Fprintln(o.out, "faults:", faults)
	return errors.Join(w.judge(ctx, all), w.judgePages(ctx, pages))
}
