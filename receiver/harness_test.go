package receiver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const (
	token = "0123456789abcdef-token"
	alice = "+33612345678"
	bob   = "+4915112345678"
)

// chain is a receiver between a client of its webhook and the simulator, over
// real HTTP, with callbacks.
type chain struct {
	t    testing.TB
	file string // the configuration file
	sim  *textinghousetest.Server
	r    *receiver.Receiver
	http *httptest.Server
	stop func()
	// store replaces the outbox of the configuration, unless it is nil.
	store outbox.Store
}

// simple is the tail of a configuration file with one receiver.
const simple = `
receivers:
  - {name: sms, to: ["` + alice + `"], limits: []}
`

// start starts a chain. tail is the rest of the configuration file.
func start(t testing.TB, o textinghousetest.Options, tail string) *chain {
	t.Helper()
	c := &chain{t: t, sim: textinghousetest.NewServer(o), file: filepath.Join(t.TempDir(), "smspager.yml")}
	t.Cleanup(c.sim.Close)
	c.write(tail)
	c.run()
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *chain) write(tail string) {
	c.t.Helper()
	account := c.sim.ClientOptions()
	text := fmt.Sprintf("textinghouse: {user: %s, password: %q, endpoints: [%q], callback_token: %s, timeout: 2s}\n%s",
		account.User, account.Password, c.sim.URL, token, tail)
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// run starts the receiver, and waits until it is ready.
func (c *chain) run() {
	c.t.Helper()
	c.begin()
	c.untilReady()
}

func (c *chain) untilReady() {
	c.t.Helper()
	testwait.Until(c.t, func() error {
		if code, text := c.do("GET", "/-/ready", ""); code != http.StatusOK {
			return errors.New(text)
		}
		return nil
	})
}

func (c *chain) begin() {
	c.t.Helper()
	load := func() (*config.Config, error) { return receiver.LoadConfig(c.file) }
	cfg, err := load()
	if err != nil {
		c.t.Fatal(err)
	}
	if c.r, err = receiver.New(cfg, receiver.Options{Load: load, Store: c.store}); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.r.Run(ctx) }()
	c.http = httptest.NewServer(c.r.Handler())
	c.sim.Update("acme", func(a *textinghousetest.Account) {
		a.ReceiptURL, a.ReplyURL = c.http.URL+"/textinghouse/"+token+"/dlr", c.http.URL+"/textinghouse/"+token+"/mo"
	})
	stopped := false
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			c.t.Error(err)
		}
		c.http.Close()
	}
}

// do makes a request.
func (c *chain) do(method, path, body string, header ...string) (code int, response string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.http.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // does not follow redirects: tests check them
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func (c *chain) status(method, path, body string) int {
	c.t.Helper()
	code, _ := c.do(method, path, body)
	return code
}

// response is the webhook's response.
type response struct {
	Status   string
	Messages []string
	Error    string
}

// post posts a notification, and fails the test unless the response is 200.
func (c *chain) post(path, body string) response {
	c.t.Helper()
	code, text := c.do("POST", path, body)
	return c.accepted(path, code, text)
}

// insist posts a notification until the response is no longer 503, as Alertmanager does. While the
// database is away, a replica that got no processor time for seconds responds 503, because another one
// may have the notification.
func (c *chain) insist(path, body string) response {
	c.t.Helper()
	var code int
	var text string
	testwait.Until(c.t, func() error {
		if code, text = c.do("POST", path, body); code == http.StatusServiceUnavailable {
			return errors.New(text)
		}
		return nil
	})
	return c.accepted(path, code, text)
}

func (c *chain) accepted(path string, code int, text string) response {
	c.t.Helper()
	var a response
	if err := json.Unmarshal([]byte(text), &a); err != nil || code != http.StatusOK {
		c.t.Fatalf("POST %s responds %d %s", path, code, text)
	}
	return a
}

// message reads a message over the API.
func (c *chain) message(id string) api.Message {
	c.t.Helper()
	code, text := c.do("GET", "/api/v1/messages/"+id, "")
	var m api.Message
	if err := json.Unmarshal([]byte(text), &m); err != nil || code != http.StatusOK {
		c.t.Fatalf("message %s: %d %s", id, code, text)
	}
	return m
}

// until waits until a message has a state.
func (c *chain) until(id, state string) api.Message {
	c.t.Helper()
	var m api.Message
	testwait.Until(c.t, func() error {
		if m = c.message(id); m.State != state {
			return fmt.Errorf("message %s is %s, want %s: %+v", id, m.State, state, m.Events)
		}
		return nil
	})
	return m
}

// metric reads one sample of /metrics.
func (c *chain) metric(sample string) string {
	c.t.Helper()
	_, text := c.do("GET", "/metrics", "")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, sample+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	c.t.Fatalf("no sample %s in\n%s", sample, text)
	return ""
}

func payload(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve returns the status code of a handler's response to an empty body.
func serve(h http.Handler, method, path string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code
}
