// Command start measures the time from the start of smspager serve until it is ready, and its
// memory when idle. It builds the program first.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/smspager/smspager/internal/resident"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const rounds = 10

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "smspager-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "smspager")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/smspager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	account := sim.ClientOptions()
	file := filepath.Join(dir, "smspager.yml")
	text := fmt.Sprintf("textinghouse: {user: %s, password: %q, endpoints: [%q]}\nreceivers: [{name: r, to: [\"999\"]}]\n", account.User, account.Password, sim.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	var starts []time.Duration
	var rss []float64
	for range rounds {
		took, memory, err := measure(binary, file)
		if err != nil {
			return err
		}
		starts, rss = append(starts, took), append(rss, memory)
	}
	slices.Sort(starts)
	slices.Sort(rss)
	size, err := os.Stat(binary)
	if err != nil {
		return err
	}
	fmt.Printf("start to ready: median %s, slowest %s of %d; the first one creates the database\n", starts[rounds/2].Round(time.Millisecond), starts[rounds-1].Round(time.Millisecond), rounds)
	fmt.Printf("resident memory when idle: median %.1f MB, most %.1f MB\n", rss[rounds/2], rss[rounds-1])
	fmt.Printf("the binary: %.1f MB\n", float64(size.Size())/1e6)
	return nil
}

var address = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// measure starts the program. It returns the time until the program is ready, and its resident memory
// two seconds later, in MB.
func measure(binary, file string) (took time.Duration, memory float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve", "--config.file="+file, "--web.listen-address=127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(stderr)
	for took == 0 && lines.Scan() {
		m := address.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		for took == 0 && ctx.Err() == nil {
			if resp, err := http.Get("http://" + m[1] + "/-/ready"); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					took = time.Since(began)
				}
			}
		}
	}
	if took == 0 {
		return 0, 0, fmt.Errorf("smspager serve is not ready in time")
	}
	time.Sleep(2 * time.Second)
	memory, err = resident.Now(cmd.Process.Pid)
	return took, memory, err
}
