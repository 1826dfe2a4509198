// Command sachet measures to how many notifications a second smspager serve responds 200, compared
// with sachet, which stores nothing and responds when the provider has responded. Both run as
// programs, with one recipient and a provider with the latency of --latency. Build sachet from
// github.com/messagebird/sachet.
//
//	go run ./bench/sachet --binary=/path/to/sachet --latency=50ms
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "sachet", "sachet")
	flag.DurationVar(&o.latency, "latency", 0, "latency of the provider")
	flag.DurationVar(&o.during, "during", 5*time.Second, "how long to measure each program")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "sachet:", err)
		os.Exit(1)
	}
}

type options struct {
	binary          string
	latency, during time.Duration
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "smspager-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	smspager := filepath.Join(dir, "smspager")
	build := exec.Command("go", "build", "-trimpath", "-o", smspager, "./cmd/smspager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	for _, clients := range []int{1, 16, 64} {
		theirs, err := o.sachet(dir, clients)
		if err != nil {
			return err
		}
		ours, err := o.smspager(dir, smspager, clients)
		if err != nil {
			return err
		}
		fmt.Printf("%2d clients: smspager %.0f/s, sachet %.0f/s: %.1f times as many\n", clients, ours, theirs, ours/theirs)
	}
	return nil
}

// sachet measures sachet, with the only one of its providers whose URL can be set.
func (o options) sachet(dir string, clients int) (float64, error) {
	provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(o.latency) }))
	defer provider.Close()
	file := filepath.Join(dir, "sachet.yml")
	text := fmt.Sprintf("providers: {kannel: {url: %q, username: x, password: x}}\nreceivers: [{name: sms, provider: kannel, to: [\"+33612345678\"], from: x}]\n", provider.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return 0, err
	}
	return o.measure(clients, "/alert", func(address string) *exec.Cmd {
		return exec.Command(o.binary, "-listen-address="+address, "-config="+file)
	})
}

func (o options) smspager(dir, binary string, clients int) (float64, error) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: o.latency, Command: "sendsms"})
	account := sim.ClientOptions()
	file := filepath.Join(dir, "smspager.yml")
	text := fmt.Sprintf("textinghouse: {user: %s, password: %q, endpoints: [%q]}\nstorage: {sqlite: outbox-%d.db}\nreceivers: [{name: sms, to: [\"+33612345678\"], limits: []}]\n",
		account.User, account.Password, sim.URL, clients)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return 0, err
	}
	return o.measure(clients, "/alertmanager", func(address string) *exec.Cmd {
		return exec.Command(binary, "serve", "--config.file="+file, "--web.listen-address="+address, "--log.level=error")
	})
}

// measure starts a program, and posts to it. It returns how many notifications a second got a 200.
func (o options) measure(clients int, path string, program func(address string) *exec.Cmd) (perSecond float64, err error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		return 0, err
	}
	cmd := program(address)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s does not listen: %w", cmd.Path, err)
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var next, accepted atomic.Int64
	var failure atomic.Pointer[error]
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			for time.Since(began) < o.during {
				if err := post(client, "http://"+address+path, next.Add(1)); err != nil {
					failure.Store(&err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := failure.Load(); err != nil {
		return 0, *err
	}
	if accepted.Load() == 0 {
		return 0, errors.New("no notification got a 200")
	}
	return float64(accepted.Load()) / took.Seconds(), nil
}

// post posts a notification that equals no other.
func post(client *http.Client, url string, i int64) error {
	body := fmt.Sprintf(`{"version":"4","receiver":"sms","status":"firing","groupKey":"g%d",
		"alerts":[{"status":"firing","labels":{"alertname":"DiskFull","instance":"db-%d:9100","severity":"critical"},"annotations":{"summary":"The disk is full."},"startsAt":"2026-11-23T19:24:46Z"}],
		"groupLabels":{"alertname":"DiskFull"},"commonLabels":{"alertname":"DiskFull","severity":"critical"}}`, i, i)
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("responded %s: %w", resp.Status, err)
	}
	return nil
}
