// Package alertmanagertest runs real Alertmanagers for tests and measurements, as processes with their
// own data on free ports of 127.0.0.1: the version of go.mod, and Debian's.
package alertmanagertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/smspager/smspager/internal/freeport"
)

// startLimit is far longer than a start takes on a busy machine.
const startLimit = time.Minute

// Options are the options of Start. Binary and Config are required.
type Options struct {
	Binary string
	Config string // text of its configuration file
	// Clustered makes it join a cluster with Peers. Each Alertmanager waits two seconds for the one
	// before it to notify.
	Clustered bool
	Peers     []string // Cluster addresses of those that run already
}

// Alertmanager is an Alertmanager process. It starts again at the same addresses.
type Alertmanager struct {
	URL     string
	Cluster string   // its address for peers; "" without a cluster
	Peers   []string // Cluster addresses that it joins when it runs again
	o       Options
	dir     string
	cmd     *exec.Cmd
	ended   chan error
}

// Start starts an Alertmanager and waits until it is ready.
func Start(o Options) (*Alertmanager, error) {
	dir, err := os.MkdirTemp("", "alertmanagertest")
	if err != nil {
		return nil, err
	}
	a := &Alertmanager{Peers: o.Peers, o: o, dir: dir}
	address, err := freeport.Address()
	if err == nil && o.Clustered {
		a.Cluster, err = freeport.Address()
	}
	if err != nil {
		return nil, err
	}
	a.URL = "http://" + address
	if err := errors.Join(a.write(o.Config), a.Run()); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Alertmanager) file() string { return filepath.Join(a.dir, "alertmanager.yml") }

func (a *Alertmanager) write(config string) error {
	return os.WriteFile(a.file(), []byte(config), 0o600)
}

// Log returns what the process has logged.
func (a *Alertmanager) Log() string {
	text, err := os.ReadFile(filepath.Join(a.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Run starts the process again after Kill, with its data.
func (a *Alertmanager) Run() error {
	log, err := os.OpenFile(filepath.Join(a.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{
		"--config.file=" + a.file(), "--storage.path=" + filepath.Join(a.dir, "data"),
		"--web.listen-address=" + strings.TrimPrefix(a.URL, "http://"), "--cluster.listen-address=" + a.Cluster, "--cluster.settle-timeout=0s", "--cluster.peer-timeout=2s",
	}
	for _, peer := range a.Peers {
		args = append(args, "--cluster.peer="+peer)
	}
	a.cmd = exec.Command(a.o.Binary, args...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.ended = make(chan error, 1)
	if err := a.cmd.Start(); err != nil {
		a.cmd = nil
		return err
	}
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(a.cmd, a.ended)
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		err := a.do(http.MethodGet, "/-/ready", nil, nil)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || len(a.ended) > 0 {
			return fmt.Errorf("start %s: %w\n%s", a.o.Binary, err, a.Log())
		}
	}
}

// Kill kills the process. With loss, its notification log and silences are lost, as without a volume.
func (a *Alertmanager) Kill(loss bool) error {
	if a.cmd == nil {
		return nil
	}
	_ = a.cmd.Process.Signal(syscall.SIGKILL)
	<-a.ended
	a.cmd = nil
	if loss {
		return os.RemoveAll(filepath.Join(a.dir, "data"))
	}
	return nil
}

// Reload loads another configuration.
func (a *Alertmanager) Reload(config string) error {
	if err := a.write(config); err != nil {
		return err
	}
	return a.do(http.MethodPost, "/-/reload", nil, nil)
}

// Close kills the process and removes its data.
func (a *Alertmanager) Close() error {
	return errors.Join(a.Kill(false), os.RemoveAll(a.dir))
}

// Alert is an alert as Prometheus sends it.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
}

// Send sends alerts.
func (a *Alertmanager) Send(alerts ...Alert) error {
	return a.do(http.MethodPost, "/api/v2/alerts", alerts, nil)
}

// Silence silences the alerts that have a label with a value, as users do in Alertmanager's user
// interface.
func (a *Alertmanager) Silence(name, value string, length time.Duration) (id string, err error) {
	now := time.Now()
	var response struct{ SilenceID string }
	err = a.do(http.MethodPost, "/api/v2/silences", map[string]any{
		"matchers": []any{map[string]any{"name": name, "value": value, "isRegex": false, "isEqual": true}},
		"startsAt": now, "endsAt": now.Add(length), "createdBy": "dave", "comment": "test",
	}, &response)
	return response.SilenceID, err
}

// Unsilence ends a silence.
func (a *Alertmanager) Unsilence(id string) error {
	return a.do(http.MethodDelete, "/api/v2/silence/"+id, nil, nil)
}

func (a *Alertmanager) do(method, path string, body, result any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequest(method, a.URL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	response, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, response)
	case result != nil:
		return json.Unmarshal(response, result)
	}
	return nil
}
