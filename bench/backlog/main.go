// Command backlog measures how smspager serve starts with many waiting messages in its outbox: the
// time to the first send, the rate of sending, memory and processor time. The provider is the
// simulator, with a latency of 0 ms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/internal/resident"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/postgres"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

type options struct {
	waiting, ended int
	database       string
}

func main() {
	var o options
	flag.IntVar(&o.waiting, "messages", 100_000, "waiting messages")
	flag.IntVar(&o.ended, "ended", 0, "delivered messages")
	flag.StringVar(&o.database, "database", "sqlite", "sqlite or postgres")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "backlog:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	n := o.waiting
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
	storage, store, end, err := open(dir, o.database)
	if err != nil {
		return err
	}
	defer end()
	ids := outbox.NewIDs()
	err = errors.Join(fill(store, ids, o.ended, outbox.Delivered), fill(store, ids, n, outbox.Queued), store.Close())
	if err != nil {
		return err
	}
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	account := sim.ClientOptions()
	file := filepath.Join(dir, "smspager.yml")
	text := fmt.Sprintf("textinghouse: {user: %s, password: %q, endpoints: [%q], callback_token: 0123456789abcdef}\nstorage: {%s}\nreceivers: [{name: r, to: [\"999\"], limits: []}]\n", account.User, account.Password, sim.URL, storage)
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
			memory, err := resident.Most(cmd.Process.Pid)
			if err != nil {
				return err
			}
			fmt.Printf("%d sent: %.0f/s, most memory so far %.0f MB\n", i, float64(n/5)/time.Since(last).Seconds(), memory)
			last = time.Now()
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = cmd.Wait() // its messages are on standard error
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("%s of processor time for each message\n", (used / time.Duration(n)).Round(time.Microsecond))
	return nil
}

// open creates an outbox, and returns its part of the configuration.
func open(dir, database string) (storage string, store outbox.Store, end func(), err error) {
	ctx := context.Background()
	switch database {
	case "sqlite":
		store, err = sqlite.Open(ctx, filepath.Join(dir, "smspager.db"))
		return "sqlite: smspager.db", store, func() {}, err
	case "postgres":
		server, err := postgrestest.Start()
		if err != nil {
			return "", nil, nil, err
		}
		url, err := server.Database()
		if err != nil {
			return "", nil, nil, errors.Join(err, server.Close())
		}
		store, err = postgres.Open(ctx, url)
		return "postgres_url: \"" + url + "\"", store, func() { _ = server.Close() }, err
	}
	return "", nil, nil, fmt.Errorf("--database must be sqlite or postgres, is %q", database)
}

// fill adds n messages to the outbox.
func fill(store outbox.Store, ids *outbox.IDs, n int, state outbox.State) error {
	for done := 0; done < n; {
		var batch outbox.Entry
		for range min(1000, n-done) {
			now := time.Now()
			done++
			batch.Messages = append(batch.Messages, outbox.Message{
				ID: ids.New(now), To: e164.Number(fmt.Sprintf("+336%08d", done%1000)), Receiver: "r", GroupKey: fmt.Sprintf("{}:{alertname=\"Alert%d\"}", done),
				Text: fmt.Sprintf("CRITICAL Alert%d: %s", done, strings.Repeat("the disk is full. ", 6)), Encoding: "gsm7", Segments: 1,
				State: state, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour),
				Events: []outbox.Event{{At: now, Type: outbox.EventQueued}},
			})
		}
		if _, err := store.Add(context.Background(), batch); err != nil {
			return err
		}
	}
	return nil
}
