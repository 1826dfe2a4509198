// Package textinghousetest simulates TextingHouse's HTTP API on your own machine, for tests of
// any program that sends through it. smspager simulate is made of it.
//
// A [Simulator] is an [http.Handler] that takes requests as the provider documents them (GET,
// form and JSON POST), keeps the messages, changes their statuses, calls back, and has faults if
// you add some (see [Fault]). [NewServer] starts one on a local port, as net/http/httptest does:
//
//	sim := textinghousetest.NewServer(textinghousetest.Options{})
//	defer sim.Close()
//	client, _ := textinghouse.NewClient(sim.ClientOptions())
//	…
//	sms, err := sim.Phone("+33612345678").Next(ctx)
//
// The provider's documentation leaves some things open. The simulator does this:
//
//   - It checks for errors in the order 100 (user, pass, cmd), 101, 100 (the command's
//     parameters), 300 (an impossible number), 400, 350, 104.
//   - It accepts a climsgid that was used before; getstatus then returns the latest status.
//   - It repeats a callback up to three times if the response is not 2xx.
//
// Stability: until v1, an exported name may change in a minor release; CHANGELOG.md lists
// each change.
package textinghousetest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
)

// Account is a customer's account. Its credit is in segments.
type Account struct {
	User, Password string
	Networks       []netip.Prefix // the IP lock; empty: any address
	Senders        []string       // allowed sender IDs; others are replaced
	Credit         float64
	ReceiptURL     string // of callbacks of statuses (DLR); "": none
	ReplyURL       string // of callbacks of replies (MO); "": none
	AllReceipts    bool   // call back temporary statuses too
}

// Options are the options of [New]. The zero value has one account: user "acme", password
// "correct horse", credit 1,000,000.
type Options struct {
	Accounts []Account
	// StatusDelay passes before each change of a status: from 0 to 1, then to the final one.
	StatusDelay time.Duration
	// Location is the time zone of all recipients; nil: Europe/Paris. Commercial messages are
	// sent from WeekdayOpen to WeekdayClose from Monday to Friday; 0: 8 and 20. The
	// documentation does not give the hours.
	Location                  *time.Location
	WeekdayOpen, WeekdayClose int
	// Holiday reports public holidays; nil: those of France.
	Holiday func(year int, month time.Month, day int) bool
	// FirstID is the number of the first API ID. Simulators that are endpoints of one
	// account need numbers that differ.
	FirstID   int
	Transport http.RoundTripper // of callbacks; nil: the network
	Logger    *slog.Logger      // nil: nothing is logged
}

// SMS is a message that the simulator accepted.
type SMS struct {
	APIID      string
	ClientID   string // climsgid; "": none
	To         string // as in the request: digits
	Text       string
	From       string // the sender name; "": a number that phones can reply to
	Segments   int
	Commercial bool
	At         time.Time
	Retained   time.Time             // end of the wait for permitted hours; zero: no wait
	Statuses   []textinghouse.Status // so far, in order
}

// Status returns the latest status.
func (m SMS) Status() textinghouse.Status { return m.Statuses[len(m.Statuses)-1] }

// message is an SMS whose status still changes.
type message struct {
	SMS
	account *account
	timer   *time.Timer
}

type account struct {
	Account
	byClientID map[string]*message
	floods     map[flood]time.Time
	requests   map[string]int // by command
}

type flood struct{ to, text string }

// Simulator simulates the provider. It is safe for concurrent use.
type Simulator struct {
	options   Options
	logger    *slog.Logger
	callbacks *callbacks
	closed    chan struct{}

	mu       sync.Mutex
	accounts map[string]*account
	messages []*message
	byAPIID  map[string]*message
	outcomes map[string]textinghouse.Status // final status by number
	faults   []*scripted
	arrived  chan struct{} // closed and replaced when something changes
	ended    bool
}

// Never is the outcome of a message without a final status, see [Simulator.Outcome].
const Never textinghouse.Status = -1

// New returns a Simulator. The caller must Close it.
func New(o Options) *Simulator {
	if len(o.Accounts) == 0 {
		o.Accounts = []Account{{User: "acme", Password: "correct horse", Credit: 1e6}}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Simulator{
		options: o, logger: o.Logger, closed: make(chan struct{}),
		accounts: make(map[string]*account), byAPIID: make(map[string]*message),
		outcomes: make(map[string]textinghouse.Status), arrived: make(chan struct{}),
	}
	for _, a := range o.Accounts {
		s.accounts[a.User] = &account{
			Account: a, byClientID: make(map[string]*message), floods: make(map[flood]time.Time), requests: make(map[string]int),
		}
	}
	s.callbacks = newCallbacks(s)
	return s
}

// Close ends hanging requests, callbacks and changes of status, and waits for them.
func (s *Simulator) Close() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	for _, m := range s.messages {
		if m.timer != nil {
			m.timer.Stop()
		}
	}
	close(s.closed)
	s.mu.Unlock()
	s.callbacks.wait()
}

// Messages returns the messages accepted so far, oldest first.
func (s *Simulator) Messages() []SMS {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]SMS, len(s.messages))
	for i, m := range s.messages {
		all[i] = m.snapshot()
	}
	return all
}

func (m *message) snapshot() SMS {
	c := m.SMS
	c.Statuses = slices.Clone(c.Statuses)
	return c
}

// TimesAccepted returns how many messages with a climsgid were accepted.
func (s *Simulator) TimesAccepted(clientID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.messages {
		if m.ClientID == clientID {
			n++
		}
	}
	return n
}

// Requests returns how many requests of a command ("sendsms", "getstatus", "getcredit") a user
// made, refused ones included.
func (s *Simulator) Requests(user, command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		return a.requests[command]
	}
	return 0
}

// Outcome sets the final status of later messages to a number; [Never]: none.
func (s *Simulator) Outcome(to string, status textinghouse.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[strings.TrimPrefix(to, "+")] = status
}

// Update changes an account, such as its credit or the URLs of its callbacks.
func (s *Simulator) Update(user string, change func(*Account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		change(&a.Account)
	}
}

// notify wakes all who wait for a change. s.mu is held.
func (s *Simulator) notify() {
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// Server is a Simulator that listens on a local port.
type Server struct {
	*Simulator
	URL  string // of the API, an endpoint for a client
	http *httptest.Server
}

// Path is the path of the API, of the provider and of a [Server].
const Path = "/http/v1/do"

// NewServer starts a [Server]. The caller must Close it.
func NewServer(o Options) *Server {
	s := New(o)
	mux := http.NewServeMux()
	mux.Handle(Path, s)
	h := httptest.NewServer(mux)
	return &Server{Simulator: s, URL: h.URL + Path, http: h}
}

// Close ends the Server and its Simulator.
func (s *Server) Close() {
	s.Simulator.Close()
	s.http.CloseClientConnections()
	s.http.Close()
}

// ClientOptions returns the options of a client of the first account.
func (s *Server) ClientOptions() textinghouse.Options {
	a := s.options.Accounts[0]
	return textinghouse.Options{User: a.User, Password: a.Password, Endpoints: []string{s.URL}}
}

// apiID returns an id in the provider's form: 24 hexadecimal digits.
func apiID(n int) string { return fmt.Sprintf("5d726149%016x", n) }
