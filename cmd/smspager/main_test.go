package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestMain lets the test binary act as smspager, so that tests can run it as a process and kill it.
func TestMain(m *testing.M) {
	if os.Getenv("SMSPAGER_TEST_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command returns a command that runs smspager as a process of its own.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SMSPAGER_TEST_MAIN=1")
	return cmd
}

// smspager runs a subcommand in this process.
func smspager(t testing.TB, stdin string, args ...string) (code int, out, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

const callbackToken = "0123456789abcdef-token"

// configFile writes a configuration file for a simulator's account.
func configFile(t testing.TB, sim *textinghousetest.Server, tail string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "smspager.yml")
	account := sim.ClientOptions()
	writeFile(t, file, fmt.Sprintf("textinghouse: {user: %s, password: %q, endpoints: [%q], callback_token: %s, timeout: 2s}\n%s",
		account.User, account.Password, sim.URL, callbackToken, tail))
	return file
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const oneReceiver = `
receivers:
  - {name: sms, to: ["+33612345678"], max_age: 1h, limits: []}
`

// process is a running smspager serve.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	url     string // URL of the private listener
	public  string // URL of the public listener; "": none
	started time.Duration

	mu   sync.Mutex
	log  strings.Builder
	read chan struct{} // closed when the output has ended
}

var listening = regexp.MustCompile(`msg="[Ll]istening (on|for callbacks and phone pages)" (?:.* )?address=(\S+)`)

// serveProcess starts smspager serve and waits until it is ready.
func serveProcess(t testing.TB, file string, args ...string) *process {
	t.Helper()
	p := &process{t: t, read: make(chan struct{})}
	p.cmd = command(append([]string{"serve", "--config.file=" + file, "--web.listen-address=127.0.0.1:0"}, args...)...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.read; _ = p.cmd.Wait() })
	found := make(chan [2]string, 2)
	go func() {
		defer close(p.read)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				found <- [2]string{m[1], "http://" + m[2]}
			}
		}
	}()
	wants := 1
	for _, a := range args {
		if strings.HasPrefix(a, "--public.listen-address") {
			wants++
		}
	}
	for range wants {
		select {
		case f := <-found:
			if f[0] == "on" {
				p.url = f[1]
			} else {
				p.public = f[1]
			}
		case <-p.read:
			t.Fatalf("serve ended:\n%s", p.output())
		case <-time.After(time.Minute):
			t.Fatalf("serve does not listen:\n%s", p.output())
		}
	}
	testwait.Until(t, func() error {
		resp, err := http.Get(p.url + "/-/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("/-/ready responds %d", resp.StatusCode)
			}
		}
		return err
	})
	p.started = time.Since(began)
	return p
}

// untilLogged waits until the log holds a text.
func (p *process) untilLogged(text string) {
	p.t.Helper()
	testwait.Until(p.t, func() error {
		if log := p.output(); !strings.Contains(log, text) {
			return fmt.Errorf("the log does not hold %q:\n%s", text, log)
		}
		return nil
	})
}

// metric returns the sum of the samples of /metrics whose names and labels begin with a text.
func (p *process) metric(beginning string) (sum float64) {
	p.t.Helper()
	resp, err := http.Get(p.url + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		sample, value, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(sample, beginning) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		sum += n
	}
	if err := lines.Err(); err != nil {
		p.t.Fatal(err)
	}
	return sum
}

// untilIdle waits until no message waits to be sent.
func (p *process) untilIdle() {
	p.t.Helper()
	testwait.Until(p.t, func() error {
		if n := p.metric("smspager_messages_waiting"); n > 0 {
			return fmt.Errorf("%v messages wait", n)
		}
		return nil
	})
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// wait waits for the process to end, and returns its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.read:
	case <-time.After(time.Minute):
		p.t.Fatalf("serve does not end:\n%s", p.output())
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// notification returns a payload with one alert.
func notification(n int) string {
	return fmt.Sprintf(`{"version":"4","receiver":"sms","status":"firing","groupKey":"g%d","notification_reason":"first notification",
		"alerts":[{"status":"firing","labels":{"alertname":"Alert%d","severity":"critical"},"startsAt":"2026-11-23T19:24:46Z"}],
		"groupLabels":{"alertname":"Alert%d"},"commonLabels":{"alertname":"Alert%d","severity":"critical"}}`, n, n, n, n)
}

// post posts a notification and returns the IDs of its messages; none if it was not accepted.
func post(url, body string) (ids []string, code int) {
	resp, err := http.Post(url+"/alertmanager", "application/json", strings.NewReader(body))
	if err != nil {
		return nil, 0
	}
	defer resp.Body.Close()
	var response struct{ Messages []string }
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(b, &response) != nil {
		return nil, resp.StatusCode
	}
	return response.Messages, resp.StatusCode
}
