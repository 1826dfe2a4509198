package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/smspager/smspager/internal/freeport"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// replica is a process of smspager serve, which is always restarted at the same address.
type replica struct {
	address string
	clock   string // the file that sets its clock
	cmd     *exec.Cmd
	log     *os.File
	ended   chan struct{}
}

func (r *replica) url() string { return "http://" + r.address }

func newReplica() (*replica, error) {
	address, err := freeport.Address()
	return &replica{address: address}, err
}

func (w *world) start(r *replica) error {
	log, err := os.OpenFile(filepath.Join(w.dir, "log-"+r.address), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r.log = log
	r.cmd = exec.Command(w.binary, "serve", "--config.file="+w.config, "--web.listen-address="+r.address)
	r.cmd.Env = append(os.Environ(), clockVariable+"="+r.clock)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		return err
	}
	r.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // an error is expected: the process is killed
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

// errNoLeader is the error of leader if no replica leads.
var errNoLeader = errors.New("no replica leads")

// leader waits until a replica leads, for 15 seconds at most, and returns it. With SQLite, there is only one.
func (w *world) leader() (*replica, error) {
	if w.server == nil {
		return w.replicas[0], nil
	}
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		for _, r := range w.replicas {
			resp, err := client.Get(r.url() + "/metrics")
			if err != nil {
				continue
			}
			metrics, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && strings.Contains(string(metrics), "\nsmspager_leading 1\n") {
				return r, nil
			}
		}
	}
	return nil, errNoLeader
}

// ofProcesses returns the faults of smspager's processes.
func (w *world) ofProcesses(random *rand.Rand) []fault {
	signal := func(name string, sig syscall.Signal) fault {
		return fault{name, process, func(d time.Duration) error {
			r := w.replicas[random.IntN(len(w.replicas))]
			r.end(sig)
			time.Sleep(d / 4)
			return w.start(r)
		}}
	}
	return []fault{
		signal("kill -9", syscall.SIGKILL),
		signal("SIGTERM", syscall.SIGTERM),
		{"kill -9 of the leader", process, func(d time.Duration) error {
			r, err := w.leader()
			if err != nil {
				return err
			}
			r.end(syscall.SIGKILL)
			time.Sleep(2 * d)
			return w.start(r)
		}},
		{"kill -9 while the provider drops responses", process, func(d time.Duration) error {
			remove := w.addFault(textinghousetest.Fault{Kind: textinghousetest.HangAfter, Command: "sendsms"}, w.sims)
			time.Sleep(d / 4)
			r := w.replicas[random.IntN(len(w.replicas))]
			r.end(syscall.SIGKILL)
			remove()
			return w.start(r)
		}},
		{"stopped leader", process, func(time.Duration) error {
			r, err := w.leader()
			if err != nil {
				return err
			}
			if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
			time.Sleep(time.Duration(10+random.IntN(20)) * time.Second)
			return r.cmd.Process.Signal(syscall.SIGCONT)
		}},
	}
}
