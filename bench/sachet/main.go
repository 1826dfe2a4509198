// Command sachet compares smspager serve with sachet, which stores nothing and responds once the
// provider has responded. Both run as programs, with one recipient and a provider that responds
// within --latency and, with --callbacks, reports each message as delivered. Command sachet prints
// ratios to sachet: medians of rounds in which the programs alternate. Build sachet from
// github.com/messagebird/sachet; --before names an older build of smspager to compare as well.
//
//	go run ./bench/sachet --binary=/path/to/sachet --before=/path/to/smspager
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type options struct {
	sachet, before string
	latency        time.Duration
	messages       int
	rounds         int
	clients        string
}

func main() {
	var o options
	flag.StringVar(&o.sachet, "binary", "sachet", "sachet")
	flag.StringVar(&o.before, "before", "", "an older smspager, to be compared, too")
	flag.DurationVar(&o.latency, "latency", 0, "latency of the provider")
	flag.IntVar(&o.messages, "messages", 4000, "notifications of each measurement with 16 and 64 clients; a quarter of these with one")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds")
	flag.StringVar(&o.clients, "clients", "1,16,64", "how many clients post at the same time")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "sachet:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "smspager-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	now := filepath.Join(dir, "smspager")
	build := exec.Command("go", "build", "-trimpath", "-o", now, "./cmd/smspager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	programs := []program{sachet(o.sachet), smspager("smspager", now, false), smspager("smspager with callbacks", now, true)}
	if o.before != "" {
		programs = append(programs, smspager("before", o.before, false), smspager("before with callbacks", o.before, true))
	}
	fmt.Println("clients | program | webhooks | SMS per second | processor time per SMS | p50 of the 200 | p99/p50 | kB in files per message | MB of memory")
	for text := range strings.SplitSeq(o.clients, ",") {
		clients, err := strconv.Atoi(text)
		if err != nil || clients < 1 {
			return fmt.Errorf("--clients: %q is not a number of clients", text)
		}
		all := make([][]figures, len(programs))
		for range o.rounds {
			for i, p := range programs {
				f, err := o.measure(dir, p, clients)
				if err != nil {
					return errors.Join(fmt.Errorf("%s, %d clients", p.name, clients), err)
				}
				all[i] = append(all[i], f)
			}
		}
		for i, p := range programs {
			fmt.Println(row(clients, p.name, all[0], all[i]))
		}
	}
	return nil
}

// figures holds the results of one measurement.
type figures struct {
	webhooks, sms float64       // per second
	cpu           time.Duration // per SMS
	p50, p99      time.Duration // until the 200
	files         float64       // bytes written to files, per message
	memory        float64       // the most that was resident, in MB
}

// row formats a program's medians as ratios to the base's.
func row(clients int, name string, base, of []figures) string {
	ratio := func(value func(figures) float64) float64 { return median(of, value) / median(base, value) }
	return fmt.Sprintf("%7d | %-23s | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f | %.0f", clients, name,
		ratio(func(f figures) float64 { return f.webhooks }), ratio(func(f figures) float64 { return f.sms }),
		ratio(func(f figures) float64 { return float64(f.cpu) }), ratio(func(f figures) float64 { return float64(f.p50) }),
		median(of, func(f figures) float64 { return float64(f.p99) / float64(f.p50) }),
		median(of, func(f figures) float64 { return f.files / 1000 }), median(of, func(f figures) float64 { return f.memory }))
}

func median(of []figures, value func(figures) float64) float64 {
	values := make([]float64, len(of))
	for i, f := range of {
		values[i] = value(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
