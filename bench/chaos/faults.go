package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// fault breaks something for a time.
type fault struct {
	name string
	do   func(d time.Duration) error
}

// counts holds how many times each fault was made.
type counts map[string]int

func (c counts) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, c[name]))
	}
	return strings.Join(parts, ", ")
}

// breakThings makes faults until a time, one after another, and some simultaneously.
func (w *world) breakThings(ctx context.Context, until time.Time) counts {
	random := rand.New(rand.NewPCG(w.seed, 1))
	all := w.faults(random)
	made := make(counts)
	for time.Now().Before(until) && ctx.Err() == nil {
		f := all[random.IntN(len(all))]
		length := time.Duration(200+random.IntN(3800)) * time.Millisecond
		pause := time.Duration(random.IntN(2500)) * time.Millisecond
		made[f.name]++
		if err := f.do(length); err != nil {
			fmt.Fprintf(w.out, "%s: %v\n", f.name, err)
		}
		w.sim.ClearFaults()
		time.Sleep(pause)
	}
	return made
}

func (w *world) faults(random *rand.Rand) []fault {
	var all []fault
	provider := func(f textinghousetest.Fault) {
		name := fmt.Sprintf("%s%s", f.Kind, map[bool]string{true: fmt.Sprintf("(%d)", f.N)}[f.N != 0])
		all = append(all, fault{name, func(d time.Duration) error {
			f.P = 0.1 + 0.9*random.Float64()
			w.sim.AddFault(f)
			time.Sleep(d)
			return nil
		}})
	}
	for _, kind := range []textinghousetest.Kind{
		textinghousetest.Hang, textinghousetest.HangAfter, textinghousetest.DropBefore, textinghousetest.DropAfter, textinghousetest.Garbage,
		textinghousetest.CallbackLost,
	} {
		provider(textinghousetest.Fault{Kind: kind})
	}
	provider(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 1500 * time.Millisecond})
	provider(textinghousetest.Fault{Kind: textinghousetest.CallbackRepeat, N: 3})
	provider(textinghousetest.Fault{Kind: textinghousetest.CallbackDelay, Delay: 2 * time.Second})
	for _, status := range []int{500, 503} {
		provider(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: status})
		provider(textinghousetest.Fault{Kind: textinghousetest.StatusAfter, N: status})
	}
	for _, code := range []int{101, 104, 300} {
		provider(textinghousetest.Fault{Kind: textinghousetest.Err, N: code})
	}

	process := func(name string, sig syscall.Signal) {
		all = append(all, fault{name, func(d time.Duration) error {
			r := w.replicas[random.IntN(len(w.replicas))]
			r.end(sig)
			time.Sleep(d / 4)
			return w.start(r)
		}})
	}
	process("kill -9", syscall.SIGKILL)
	process("kill -9", syscall.SIGKILL)
	process("SIGTERM", syscall.SIGTERM)
	all = append(all, fault{"kill -9 while the provider drops responses", func(d time.Duration) error {
		w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HangAfter, Command: "sendsms"})
		time.Sleep(d / 4)
		r := w.replicas[random.IntN(len(w.replicas))]
		r.end(syscall.SIGKILL)
		w.sim.ClearFaults()
		return w.start(r)
	}}, fault{"stopped process", func(d time.Duration) error {
		r := w.replicas[random.IntN(len(w.replicas))]
		if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(3 * d) // sometimes longer than a leader may be silent
		return r.cmd.Process.Signal(syscall.SIGCONT)
	}})
	if w.server != nil {
		all = append(all, fault{"crash of the database", func(d time.Duration) error {
			if err := w.server.Kill(); err != nil {
				return err
			}
			time.Sleep(d)
			return w.server.Run()
		}}, fault{"end of the database's sessions", func(time.Duration) error {
			return w.server.EndSessions()
		}})
	}
	if w.small != "" {
		all = append(all, fault{"full disk", func(d time.Duration) error {
			ballast := filepath.Join(w.small, "ballast")
			if err := fill(ballast); err != nil {
				return err
			}
			time.Sleep(d)
			return os.Remove(ballast)
		}})
	}
	return all
}

// fill writes a file until the file system is full.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 4 {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break // full, for blocks of this size
			}
		}
	}
	return nil
}
