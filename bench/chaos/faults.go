package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// fault breaks something for a time.
type fault struct {
	name string
	of   part
	do   func(d time.Duration) error
}

// part is what a fault breaks.
type part int

const (
	provider part = iota
	account       // the provider refuses the account
	process
	database
	clock
	getstatus
)

// counts holds how often each fault was made, by name.
type counts map[string]int

func (c counts) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, c[name]))
	}
	return strings.Join(parts, ", ")
}

// breakThings makes faults until a time: short ones one after another and, in parallel, long
// faults of getstatus one after another.
func (w *world) breakThings(ctx context.Context, until time.Time) counts {
	made := make(counts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.breakStatus(ctx, until)
	}()
	random := rand.New(rand.NewPCG(w.seed, 1))
	all := w.faults(random)
	for n := 1; time.Now().Before(until) && ctx.Err() == nil; n++ {
		f := all[random.IntN(len(all))]
		length := time.Duration(200+random.IntN(3800)) * time.Millisecond
		pause := time.Duration(random.IntN(2500)) * time.Millisecond
		if n%6 == 0 {
			pause = 15 * time.Second // leaves time to measure latencies without faults
		}
		made[f.name]++
		w.log("%s for %s", f.name, length)
		end := w.calm.broken(f.of)
		if err := f.do(length); err != nil {
			w.log("%s: %v", f.name, err)
			fmt.Fprintf(w.out, "%s: %v\n", f.name, err)
		}
		end()
		w.log("%s is over", f.name)
		time.Sleep(pause)
	}
	<-done
	return made
}

// breakStatus breaks getstatus for minutes, while sends work, in all ways but one: it never lags. Here the
// endpoints share nothing and processes are killed; with a lag, that can cause a double that no client
// can prevent (docs/textinghouse.md). Delivery's tests cover a getstatus that lags.
func (w *world) breakStatus(ctx context.Context, until time.Time) {
	random := rand.New(rand.NewPCG(w.seed, 2))
	kinds := []textinghousetest.Fault{
		{Kind: textinghousetest.HTTPStatus, N: 500},
		{Kind: textinghousetest.HTTPStatus, N: 302},
		{Kind: textinghousetest.Garbage},
		{Kind: textinghousetest.BareErr, N: 300},
		{Kind: textinghousetest.BareErr, N: 201},
		{Kind: textinghousetest.Err, N: 100},
		{Kind: textinghousetest.OtherStatus, N: 2},
		{Kind: textinghousetest.OtherStatus, N: 99},
	}
	for ctx.Err() == nil {
		f := kinds[random.IntN(len(kinds))]
		f.Command = "getstatus"
		length := time.Duration(10+random.IntN(40)) * time.Second
		if random.IntN(4) == 0 {
			length = 150 * time.Second // longer than smspager keeps asking
		}
		length = min(length, time.Until(until))
		if length <= 0 {
			return
		}
		w.log("getstatus has %s %d %s for %s", f.Kind, f.N, f.Delay, length)
		over := w.calm.broken(getstatus)
		remove := w.addFault(f, w.sims)
		time.Sleep(length)
		remove()
		over()
		time.Sleep(time.Duration(random.IntN(10)) * time.Second)
	}
}

// addFault adds a fault to endpoints of the provider.
func (w *world) addFault(f textinghousetest.Fault, sims []*textinghousetest.Server) (remove func()) {
	var all []func()
	for _, sim := range sims {
		all = append(all, sim.AddFault(f))
	}
	return func() {
		for _, remove := range all {
			remove()
		}
	}
}

// faults returns all faults. Those of processes and databases are repeated, so that every kind of fault
// is made often.
func (w *world) faults(random *rand.Rand) []fault {
	all := slices.Concat(w.ofProvider(random), w.ofProcesses(random), w.ofProcesses(random), w.ofClocks(random))
	for range 3 {
		if w.server != nil {
			all = append(all, w.ofPostgres(random)...)
		} else {
			all = append(all, w.ofSQLite()...)
		}
	}
	return all
}

func (w *world) ofProvider(random *rand.Rand) []fault {
	var all []fault
	add := func(f textinghousetest.Fault) {
		of := provider
		if f.Kind == textinghousetest.Err && textinghouse.Code(f.N).AccountWide() {
			of = account
		}
		name := fmt.Sprintf("%s%s", f.Kind, map[bool]string{true: fmt.Sprintf("(%d)", f.N)}[f.N != 0])
		all = append(all, fault{name, of, func(d time.Duration) error {
			f.P = 0.1 + 0.9*random.Float64()
			sims := w.sims
			if one := random.IntN(2 * len(sims)); one < len(sims) {
				sims = sims[one : one+1]
			}
			remove := w.addFault(f, sims)
			time.Sleep(d)
			remove()
			return nil
		}})
	}
	for _, kind := range []textinghousetest.Kind{
		textinghousetest.Hang, textinghousetest.HangAfter, textinghousetest.DropBefore, textinghousetest.DropAfter, textinghousetest.Garbage,
		textinghousetest.CallbackLost,
	} {
		add(textinghousetest.Fault{Kind: kind})
	}
	add(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 1500 * time.Millisecond})
	add(textinghousetest.Fault{Kind: textinghousetest.CallbackRepeat, N: 3})
	add(textinghousetest.Fault{Kind: textinghousetest.CallbackDelay, Delay: 2 * time.Second})
	add(textinghousetest.Fault{Kind: textinghousetest.CallbackStatus, N: 99})
	for _, status := range []int{500, 503} {
		add(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: status})
		add(textinghousetest.Fault{Kind: textinghousetest.StatusAfter, N: status})
	}
	for _, code := range []int{101, 104, 300} {
		add(textinghousetest.Fault{Kind: textinghousetest.Err, N: code})
	}
	return all
}
