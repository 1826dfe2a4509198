package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clockVariable names the environment variable with the path of a process's clock file. The file holds
// the number of seconds that the process's clock is ahead, as 8 bytes.
const clockVariable = "CHAOS_CLOCK"

// now is how the source of Go's time.Now begins.
const now = `func Now() Time {
	sec, nsec, mono := runtimeNow()
`

// stepped is a file that is added to Go's package time, only in the builds of this command.
const stepped = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var ahead = new(int64)

func init() {
	name, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return
	}
	file, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	mapped, err := syscall.Mmap(file, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	ahead = (*int64)(unsafe.Pointer(&mapped[0]))
}

func stepped() int64 { return atomic.LoadInt64(ahead) }
`

// overlay writes the file for "go build -overlay" that builds a program whose wall clock can be set. Its
// monotonic clock runs on, as on a machine whose clock is set.
func (w *world) overlay() (file string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	of := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(of, "time.go"))
	if err != nil {
		return "", err
	}
	altered := strings.Replace(string(source), now, now+"\tsec += stepped()\n", 1)
	if altered == string(source) {
		return "", errors.New("time.Now is not what it was in Go 1.26")
	}
	replace := make(map[string]string)
	for name, text := range map[string]string{"time.go": altered, "stepped.go": stepped} {
		replace[filepath.Join(of, name)] = filepath.Join(w.dir, name)
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(w.dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}

// setClock sets the clock of a replica. It changes the file in place, because the process has mapped it.
func (r *replica) setClock(ahead time.Duration) error {
	f, err := os.OpenFile(r.clock, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(ahead/time.Second))), 0)
	return errors.Join(err, f.Close())
}

// ofClocks returns the faults of the machines' clocks. A clock runs on from the time that it is set to.
func (w *world) ofClocks(random *rand.Rand) []fault {
	if !w.clocks {
		return nil
	}
	step := fault{"clock that is set", clock, func(time.Duration) error {
		ahead := time.Duration(random.IntN(2*3*3600)-3*3600) * time.Second
		i := random.IntN(len(w.replicas))
		w.log("replica %d is ahead by %s", i, ahead)
		return w.replicas[i].setClock(ahead)
	}}
	right := fault{"clock that is right again", clock, func(time.Duration) error {
		i := random.IntN(len(w.replicas))
		w.log("replica %d is right", i)
		return w.replicas[i].setClock(0)
	}}
	return []fault{step, step, right, step, step, right}
}

func (w *world) newClock(r *replica) error {
	r.clock = filepath.Join(w.dir, fmt.Sprint("clock-", r.address))
	return r.setClock(0)
}
