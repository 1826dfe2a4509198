package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const token = "0123456789abcdef-chaos"

// recipients of each notification.
var recipients = []string{"+33612345678", "+33612345679"}

// steps are the recipients of a page, one after another, because nobody acknowledges it.
var steps = []string{"+33612345670", "+33612345671", "+33612345672"}

const escalateAfter = 4 * time.Second

// world holds what the faults break: the provider, the database, and smspager's processes.
type world struct {
	options
	dir, binary, config string
	sim                 *textinghousetest.Server
	server              *postgrestest.Server // nil with SQLite
	small               string               // a small file system for the outbox; "": none
	replicas            []*replica
}

// replica is one smspager serve, which is restarted at the same address.
type replica struct {
	address string
	cmd     *exec.Cmd
	log     *os.File
	ended   chan struct{}
}

func (r *replica) url() string { return "http://" + r.address }

func newWorld(o options) (w *world, err error) {
	w = &world{options: o}
	if w.dir, err = os.MkdirTemp("", "smspager-chaos-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(false))
		}
	}()
	w.binary = filepath.Join(w.dir, "smspager")
	if out, err := exec.Command("go", "build", "-o", w.binary, "github.com/smspager/smspager/cmd/smspager").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	w.sim = textinghousetest.NewServer(textinghousetest.Options{})
	storage := ""
	count := 1
	switch o.database {
	case "sqlite":
		w.small = w.smallFileSystem()
		storage = "sqlite: " + filepath.Join(w.small, "smspager.db")
		if w.small == "" {
			storage = "sqlite: smspager.db"
		}
	case "postgres":
		if w.server, err = postgrestest.Start(); err != nil {
			return nil, err
		}
		url, err := w.server.Database()
		if err != nil {
			return nil, err
		}
		storage, count = "postgres_url: \""+url+"\"", 2
	default:
		return nil, fmt.Errorf("--database must be sqlite or postgres, is %q", o.database)
	}
	account := w.sim.ClientOptions()
	w.config = filepath.Join(w.dir, "smspager.yml")
	text := fmt.Sprintf(`textinghouse: {user: %s, password: %q, endpoints: [%q], timeout: 2s, callback_token: %s}
storage: {%s}
receivers:
  - {name: sms, to: ["%s"], limits: [], max_age: 1d, text: &text '{{ .CommonAnnotations.summary }}{{ if not .CommonAnnotations.summary }}-{{ end }}'}
  - name: oncall
    to: ["%s"]
    escalate: [{after: %s, to: ["%s"]}, {after: %s, to: ["%s"]}]
    limits: []
    max_age: 1d
    text: *text
`, account.User, account.Password, w.sim.URL, token, storage, strings.Join(recipients, `", "`),
		steps[0], escalateAfter, steps[1], 2*escalateAfter, steps[2])
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		w.replicas = append(w.replicas, &replica{address: l.Addr().String()})
		l.Close()
	}
	w.sim.Update(account.User, func(a *textinghousetest.Account) {
		a.ReceiptURL = w.replicas[0].url() + "/textinghouse/" + token + "/dlr"
	})
	for _, r := range w.replicas {
		if err := w.start(r); err != nil {
			return nil, err
		}
	}
	return w, w.ready()
}

// smallFileSystem makes a file system that a fault can fill. Only root can make it.
func (w *world) smallFileSystem() string {
	dir := filepath.Join(w.dir, "small")
	if os.Geteuid() != 0 || os.Mkdir(dir, 0o700) != nil || syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512m") != nil {
		fmt.Fprintln(w.out, "the disk is not filled up, as that takes root")
		return ""
	}
	return dir
}

func (w *world) start(r *replica) error {
	log, err := os.OpenFile(filepath.Join(w.dir, "log-"+r.address), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r.log = log
	r.cmd = exec.Command(w.binary, "serve", "--config.file="+w.config, "--web.listen-address="+r.address)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		return err
	}
	r.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // it is killed
		close(ended)
	}(r.cmd, r.ended)
	return nil
}

func (r *replica) end(sig syscall.Signal) {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(sig)
	<-r.ended
	r.log.Close()
	r.cmd = nil
}

// ready waits until all processes are ready.
func (w *world) ready() error {
	for _, r := range w.replicas {
		deadline := time.Now().Add(time.Minute)
		for {
			resp, err := http.Get(r.url() + "/-/ready")
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s is not ready; see %s", r.address, w.dir)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

func (w *world) heal() error {
	w.sim.ClearFaults()
	return w.ready()
}

// close stops everything, and removes it unless the logs are kept.
func (w *world) close(keep bool) error {
	for _, r := range w.replicas {
		r.end(syscall.SIGTERM)
	}
	if w.sim != nil {
		w.sim.Close()
	}
	var errs []error
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	if w.small != "" {
		errs = append(errs, syscall.Unmount(w.small, 0))
	}
	if !keep {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
