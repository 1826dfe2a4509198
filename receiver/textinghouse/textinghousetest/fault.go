package textinghousetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
)

// Kind is a way to misbehave.
type Kind string

const (
	Latency     Kind = "latency"      // answer Delay later
	Hang        Kind = "hang"         // take nothing and never answer
	HTTPStatus  Kind = "status"       // answer N as HTTP status, take nothing
	StatusAfter Kind = "status-after" // take it, then answer N as HTTP status
	DropBefore  Kind = "drop-before"  // close the connection, take nothing
	DropAfter   Kind = "drop-after"   // take it, then close the connection
	HangAfter   Kind = "hang-after"   // take it, then never answer
	Garbage     Kind = "garbage"      // take it, answer what makes no sense
	Err         Kind = "err"          // answer ERR with code N, take nothing

	CallbackLost    Kind = "callback-lost"
	CallbackRepeat  Kind = "callback-repeat"  // N times in all
	CallbackDelay   Kind = "callback-delay"   // Delay later, overtaken by others
	CallbackReorder Kind = "callback-reorder" // behind the one that comes next
)

// Fault makes requests, or callbacks, go wrong.
type Fault struct {
	Kind    Kind
	N       int           // of HTTPStatus, StatusAfter, Err, CallbackRepeat
	Delay   time.Duration // of Latency, CallbackDelay
	Command string        // only requests of this command; "": of any
	Times   int           // how often, 0: until ClearFaults
	P       float64       // how probable each time, 0: always
}

// arguments says what follows the "=" of each kind.
var arguments = map[Kind]string{
	Latency: "duration", Hang: "", HTTPStatus: "number", StatusAfter: "number", DropBefore: "", DropAfter: "", HangAfter: "", Garbage: "", Err: "number",
	CallbackLost: "", CallbackRepeat: "number", CallbackDelay: "duration", CallbackReorder: "",
}

// ParseFault reads a fault as it is written on a command line: a kind, with "="
// and its argument where it has one, then any of times=N, p=0.1 and cmd=sendsms,
// separated by commas: "latency=200ms", "status=503,times=3", "drop-after,p=0.1".
func ParseFault(s string) (Fault, error) {
	var f Fault
	for i, part := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		var err error
		switch {
		case i == 0:
			argument, known := arguments[Kind(name)]
			f.Kind = Kind(name)
			switch {
			case !known:
				return f, fmt.Errorf("fault %q: unknown kind; known: latency, hang, hang-after, status, status-after, drop-before, drop-after, garbage, err, callback-lost, callback-repeat, callback-delay, callback-reorder", name)
			case argument == "number":
				f.N, err = strconv.Atoi(value)
			case argument == "duration":
				f.Delay, err = time.ParseDuration(value)
			case value != "":
				err = errors.New("takes no argument")
			}
		case name == "times":
			f.Times, err = strconv.Atoi(value)
		case name == "p":
			f.P, err = strconv.ParseFloat(value, 64)
		case name == "cmd":
			f.Command = value
		default:
			err = errors.New("is none of times, p and cmd")
		}
		if err != nil {
			return f, fmt.Errorf("fault %q: %q: %w", s, part, err)
		}
	}
	return f, nil
}

func (f Fault) ofCallbacks() bool { return strings.HasPrefix(string(f.Kind), "callback-") }

// scripted is a fault that was added, and how often it is still to happen.
type scripted struct {
	Fault
	left int
}

// AddFault adds a fault. Of several that match, the one added first happens.
func (s *Simulator) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &scripted{f, f.Times})
}

// ClearFaults ends all faults, and lets go what hangs only when Close does.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Simulator) takeFault(command string, callback bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeFaultLocked(command, callback)
}

// takeFaultLocked is the fault that happens now, if any. s.mu is held.
func (s *Simulator) takeFaultLocked(command string, callback bool) *Fault {
	for i, f := range s.faults {
		if f.ofCallbacks() != callback || f.Command != "" && f.Command != command || f.P > 0 && rand.Float64() >= f.P {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return &f.Fault
	}
	return nil
}

// misbehaveBefore is false where the request is not to be taken.
func (s *Simulator) misbehaveBefore(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch f.Kind {
	case Latency:
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-s.closed:
		}
		return false
	case Hang:
		s.hang(r)
		return false
	case HTTPStatus:
		http.Error(w, http.StatusText(f.N), f.N)
		return false
	case DropBefore:
		panic(http.ErrAbortHandler)
	case Err:
		fmt.Fprint(w, refuse(textinghouse.Code(f.N)))
		return false
	}
	return true
}

func (s *Simulator) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closed:
	}
	panic(http.ErrAbortHandler)
}

// misbehaveAfter is false where the answer is not to be given.
func (s *Simulator) misbehaveAfter(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch f.Kind {
	case HangAfter:
		s.hang(r)
	case DropAfter:
		panic(http.ErrAbortHandler)
	case StatusAfter:
		http.Error(w, http.StatusText(f.N), f.N)
		return false
	case Garbage:
		fmt.Fprint(w, "<html><body>It works!</body></html>")
		return false
	}
	return true
}
