package textinghousetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
)

// Kind is the kind of a [Fault].
type Kind string

const (
	Latency     Kind = "latency"      // respond after Delay
	Hang        Kind = "hang"         // accept nothing, and never respond
	HTTPStatus  Kind = "status"       // accept nothing, and respond with HTTP status N
	StatusAfter Kind = "status-after" // accept it, then respond with HTTP status N
	DropBefore  Kind = "drop-before"  // accept nothing, and close the connection
	DropAfter   Kind = "drop-after"   // accept it, then close the connection
	HangAfter   Kind = "hang-after"   // accept it, then never respond
	Garbage     Kind = "garbage"      // accept it, then respond with nonsense
	Err         Kind = "err"          // accept nothing, and respond with ERR and code N
	BareErr     Kind = "bare-err"     // the same without a description

	Lag         Kind = "lag"          // getstatus does not know what was accepted less than Delay ago
	OtherStatus Kind = "other-status" // getstatus gives status N of a message that was accepted

	CallbackLost    Kind = "callback-lost"
	CallbackRepeat  Kind = "callback-repeat"  // post it N times
	CallbackDelay   Kind = "callback-delay"   // post it after Delay; others overtake it
	CallbackReorder Kind = "callback-reorder" // post it after the next one
	CallbackStatus  Kind = "callback-status"  // post status N
)

// Fault is a fault of requests or of callbacks.
type Fault struct {
	Kind    Kind
	N       int           // of HTTPStatus, StatusAfter, Err, BareErr, OtherStatus, CallbackRepeat, CallbackStatus
	Delay   time.Duration // of Latency, Lag, CallbackDelay
	Command string        // only requests of this command; "": any
	Times   int           // how many times; 0: until ClearFaults
	P       float64       // the probability each time; 0: always
}

// arguments holds what follows the "=" of each kind.
var arguments = map[Kind]string{
	Latency: "duration", Hang: "", HTTPStatus: "number", StatusAfter: "number", DropBefore: "", DropAfter: "", HangAfter: "", Garbage: "", Err: "number",
	BareErr: "number", Lag: "duration", OtherStatus: "number",
	CallbackLost: "", CallbackRepeat: "number", CallbackDelay: "duration", CallbackReorder: "", CallbackStatus: "number",
}

// ParseFault reads a fault from a command line: a kind, with "=" and its argument if it has one,
// then any of times=N, p=0.1 and cmd=sendsms, separated by commas: "latency=200ms",
// "status=503,times=3", "drop-after,p=0.1".
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
				return f, fmt.Errorf("fault %q: unknown kind; known: latency, hang, hang-after, status, status-after, drop-before, drop-after, garbage, err, bare-err, lag, other-status, callback-lost, callback-repeat, callback-delay, callback-reorder, callback-status", name)
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
			err = errors.New("unknown option; known: times, p, cmd")
		}
		if err != nil {
			return f, fmt.Errorf("fault %q: %q: %w", s, part, err)
		}
	}
	return f, nil
}

// command returns the command that a fault applies to, "" if it applies to any.
func (f Fault) command() string {
	if f.Kind == Lag || f.Kind == OtherStatus {
		return textinghouse.CommandStatus
	}
	return f.Command
}

func (f Fault) ofCallbacks() bool { return strings.HasPrefix(string(f.Kind), "callback-") }

// scripted is an added fault, and how many times it will still happen.
type scripted struct {
	Fault
	left int
}

// AddFault adds a fault, and returns a function that removes it. If several faults match a request,
// the one added first happens.
func (s *Simulator) AddFault(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &scripted{f, f.Times}
	s.faults = append(s.faults, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(f *scripted) bool { return f == added })
	}
}

// ClearFaults removes all faults. Requests that hang already end with Close.
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

// takeFaultLocked returns the fault that happens now, or nil. s.mu is held.
func (s *Simulator) takeFaultLocked(command string, callback bool) *Fault {
	for i, f := range s.faults {
		if f.ofCallbacks() != callback || f.command() != "" && f.command() != command || f.P > 0 && rand.Float64() >= f.P {
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

// misbehaveBefore does what f does before a request. It returns false if the request must not be
// carried out.
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
	case BareErr:
		fmt.Fprintf(w, "ERR: %d", f.N)
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

// misbehaveAfter does what f does after a request. It returns false if it has responded.
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
