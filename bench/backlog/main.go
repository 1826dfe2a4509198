// Command backlog measures how smspager serve starts on an outbox in which many
// messages wait: the time to the first send, the rate at which they go out, and
// the memory that it takes. The provider is the simulator, which answers at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func main() {
	n := flag.Int("messages", 100_000, "messages that wait")
	flag.Parse()
	if err := run(*n); err != nil {
		fmt.Fprintln(os.Stderr, "backlog:", err)
		os.Exit(1)
	}
}

func run(n int) error {
	dir, err := os.MkdirTemp("", "smspager-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "smspager")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/smspager").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if err := fill(filepath.Join(dir, "smspager.db"), n); err != nil {
		return err
	}
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	account := sim.ClientOptions()
	file := filepath.Join(dir, "smspager.yml")
	text := fmt.Sprintf("textinghouse: {user: %s, password: %q, endpoints: [%q], callback_token: 0123456789abcdef}\nreceivers: [{name: r, to: [\"999\"], limits: []}]\n", account.User, account.Password, sim.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve", "--config.file="+file, "--web.listen-address=127.0.0.1:0", "--log.level=error")
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	phone := sim.Phone("")
	last := began
	for i := 1; i <= n; i++ {
		if _, err := phone.Next(ctx); err != nil {
			return err
		}
		switch {
		case i == 1:
			fmt.Printf("first send after %s\n", time.Since(began).Round(time.Millisecond))
			last = time.Now()
		case i%(n/5) == 0:
			fmt.Printf("%d sent: %.0f/s, most memory so far %s\n", i, float64(n/5)/time.Since(last).Seconds(), peak(cmd.Process.Pid))
			last = time.Now()
		}
	}
	return nil
}

// fill puts waiting messages into a new outbox.
func fill(path string, n int) error {
	store, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	ids := outbox.NewIDs()
	for done := 0; done < n; {
		var batch outbox.Notification
		for range min(1000, n-done) {
			now := time.Now()
			done++
			batch.Messages = append(batch.Messages, outbox.Message{
				ID: ids.New(now), To: e164.Number(fmt.Sprintf("+336%08d", done%1000)), Receiver: "r", GroupKey: fmt.Sprintf("{}:{alertname=\"Alert%d\"}", done),
				Text: fmt.Sprintf("CRITICAL Alert%d: %s", done, strings.Repeat("the disk is full. ", 6)), Encoding: "gsm7", Segments: 1,
				State: outbox.Queued, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
				Events: []outbox.Event{{At: now, Type: outbox.EventQueued}},
			})
		}
		if _, err := store.Add(context.Background(), batch); err != nil {
			return err
		}
	}
	return store.Close()
}

// peak is the most memory that a process had resident.
func peak(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil && n == 1 {
			return fmt.Sprintf("%.0f MB", float64(kib)/1024)
		}
	}
	return "unknown"
}
