package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smspager/smspager/internal/freeport"
	"github.com/smspager/smspager/internal/resident"
)

// program is a build, and how to start it.
type program struct {
	name      string
	path      string // path of its webhook
	callbacks bool
	// configure writes a configuration for a provider, and returns the command.
	configure func(dir, provider, address string) (*exec.Cmd, error)
}

// sachet returns sachet as a program. It uses sachet's only provider whose URL can be set.
func sachet(binary string) program {
	return program{name: "sachet", path: "/alert", configure: func(dir, provider, address string) (*exec.Cmd, error) {
		file := filepath.Join(dir, "sachet.yml")
		text := fmt.Sprintf("providers: {kannel: {url: %q, username: x, password: x}}\nreceivers: [{name: sms, provider: kannel, to: [\"+33639980000\"], from: x}]\n", provider)
		return exec.Command(binary, "-listen-address="+address, "-config="+file), os.WriteFile(file, []byte(text), 0o600)
	}}
}

const callbackToken = "0123456789abcdef"

func smspager(name, binary string, callbacks bool) program {
	return program{name: name, path: "/alertmanager", callbacks: callbacks, configure: func(dir, provider, address string) (*exec.Cmd, error) {
		token := ""
		if callbacks {
			token = ", callback_token: " + callbackToken
		}
		file := filepath.Join(dir, "smspager.yml")
		text := fmt.Sprintf("textinghouse: {user: x, password: x, endpoints: [%q]%s}\nstorage: {sqlite: outbox.db}\nreceivers: [{name: sms, to: [\"+33639980000\"], limits: []}]\n", provider, token)
		return exec.Command(binary, "serve", "--config.file="+file, "--web.listen-address="+address, "--log.level=error"), os.WriteFile(file, []byte(text), 0o600)
	}}
}

// measure runs a program, posts to it from several clients, and waits until everything is sent,
// reported and written.
func (o options) measure(dir string, p program, clients int) (f figures, err error) {
	if dir, err = os.MkdirTemp(dir, "run-"); err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	address, err := freeport.Address()
	if err != nil {
		return f, err
	}
	sms := newProvider(o.latency)
	defer sms.Close()
	cmd, err := p.configure(dir, sms.URL, address)
	if err != nil {
		return f, err
	}
	if err := cmd.Start(); err != nil {
		return f, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if err := listens(address); err != nil {
		return f, err
	}
	var reporting sync.WaitGroup
	if p.callbacks {
		sms.receipts = "http://" + address + "/textinghouse/" + callbackToken + "/dlr"
		for range 8 {
			reporting.Go(sms.report)
		}
	}
	defer reporting.Wait()
	defer close(sms.queue)
	n := o.messages
	if clients == 1 {
		n /= 4
	}
	written, used := filesWritten(cmd.Process.Pid), processorTime(cmd.Process.Pid)
	began := time.Now()
	waits, err := post("http://"+address+p.path, clients, n)
	took := time.Since(began)
	if err != nil {
		return f, err
	}
	if err := until(time.Minute, func() bool { return int(sms.got.Load()) >= n }); err != nil {
		return f, fmt.Errorf("%d of %d sent: %w", sms.got.Load(), n, err)
	}
	sent := time.Since(began)
	if err := until(time.Minute, func() bool { return !p.callbacks || int(sms.reported.Load()) >= n }); err != nil {
		return f, fmt.Errorf("%d of %d reported: %w", sms.reported.Load(), n, err)
	}
	time.Sleep(1500 * time.Millisecond) // files that are written in the background are written within a second
	f.files = float64(filesWritten(cmd.Process.Pid)-written) / float64(n)
	f.memory, _ = resident.Most(cmd.Process.Pid) // 0 on systems without /proc
	f.cpu = (processorTime(cmd.Process.Pid) - used) / time.Duration(n)
	slices.Sort(waits)
	f.p50, f.p99 = waits[len(waits)/2], waits[len(waits)*99/100]
	f.webhooks, f.sms = float64(n)/took.Seconds(), float64(n)/sent.Seconds()
	return f, nil
}

// post posts n notifications and returns how long each waited for its 200.
func post(url string, clients, n int) ([]time.Duration, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var failure atomic.Pointer[error]
	waits := make([]time.Duration, n)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < n; i = next.Add(1) - 1 {
				began := time.Now()
				if err := postOne(client, url, i); err != nil {
					failure.Store(&err)
					return
				}
				waits[i] = time.Since(began)
			}
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		return nil, *err
	}
	return waits, nil
}

// postOne posts a notification that differs from all others.
func postOne(client *http.Client, url string, i int64) error {
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

// filesWritten returns how many bytes a process has written to files, not to sockets or pipes. It
// is 0 on systems without /proc.
func filesWritten(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var n int64
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

// processorTime returns the processor time that a process has used, to 10 ms. It is 0 on systems
// without /proc.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func listens(address string) error {
	return until(10*time.Second, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// until waits until a condition holds.
func until(limit time.Duration, holds func() bool) error {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s", limit)
		}
	}
	return nil
}
