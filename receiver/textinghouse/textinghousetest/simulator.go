// Package textinghousetest is TextingHouse's HTTP API on your own machine: for
// tests of whatever sends through it, and the engine of smspager simulate.
//
// A Simulator is an http.Handler that takes requests as the provider documents
// them (GET, form and JSON POST), keeps what was sent, moves statuses on, calls
// back, and misbehaves as it is told to (see Fault). NewServer starts one on a
// local port, in the manner of net/http/httptest:
//
//	sim := textinghousetest.NewServer(textinghousetest.Options{})
//	defer sim.Close()
//	client, _ := textinghouse.NewClient(sim.ClientOptions())
//	…
//	sms, err := sim.Phone("+33612345678").Next(ctx)
//
// Where the provider's documentation is silent this is what the simulator does:
// errors are looked for in the order 100 (user, pass, cmd), 101, 100 (the
// command's parameters), 300 (an impossible number), 400, 350, 104; a climsgid that
// was used before is taken again, and getstatus then tells of the latest; a
// callback that is not answered with 2xx is tried three more times.
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

// Account is a customer's. Numbers of credit are in segments: each costs 1.
type Account struct {
	User, Password string
	Networks       []netip.Prefix // the IP lock; empty: any address
	Senders        []string       // allowed sender IDs; another is replaced
	Credit         float64
	ReceiptURL     string // where statuses are called back (DLR), "" for nowhere
	ReplyURL       string // where replies are called back (MO), "" for nowhere
	AllReceipts    bool   // call back temporary statuses, too
}

// Options are what New may be given. The zero value has one account, user
// "acme" with password "correct horse" and a credit of 1,000,000.
type Options struct {
	Accounts []Account
	// StatusDelay passes before each step of a status, from 0 over 1 to the final one.
	StatusDelay time.Duration
	// Location is that of all recipients; nil: Europe/Paris. WeekdayOpen and
	// WeekdayClose are the hours in which commercial messages go out from Monday
	// to Friday; 0: 8 and 20, which the documentation does not tell.
	Location                  *time.Location
	WeekdayOpen, WeekdayClose int
	// Holiday reports public holidays; nil: those of France.
	Holiday   func(year int, month time.Month, day int) bool
	Transport http.RoundTripper // of callbacks; nil: the network
	Logger    *slog.Logger      // nil: nothing is logged
}

// SMS is a message that the simulator took.
type SMS struct {
	APIID      string
	ClientID   string // climsgid, "" without one
	To         string // as it was on the wire: digits
	Text       string
	From       string // the sender shown, "" for a number that can be replied to
	Segments   int
	Commercial bool
	At         time.Time
	Retained   time.Time             // when it goes out, if it waits for permitted hours
	Statuses   []textinghouse.Status // so far, in order
}

// Status is the latest.
func (m SMS) Status() textinghouse.Status { return m.Statuses[len(m.Statuses)-1] }

// message is an SMS in the making.
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

// Simulator is the provider. It is safe for concurrent use.
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

// Never, as an outcome, leaves a message without a final status.
const Never textinghouse.Status = -1

// New makes a Simulator. The caller must Close it.
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

// Close ends requests that hang, callbacks and statuses, and waits for them.
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

// Messages returns what was taken so far, oldest first.
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

// Taken is how many messages with a climsgid were taken.
func (s *Simulator) Taken(clientID string) int {
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

// Requests is how many requests of a command ("sendsms", "getstatus",
// "getcredit") a user made, refused ones included.
func (s *Simulator) Requests(user, command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		return a.requests[command]
	}
	return 0
}

// Outcome sets the final status of later messages to a number; Never for none.
func (s *Simulator) Outcome(to string, status textinghouse.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[strings.TrimPrefix(to, "+")] = status
}

// Update changes an account: its credit, its callback URLs.
func (s *Simulator) Update(user string, change func(*Account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		change(&a.Account)
	}
}

// notify wakes whoever waits for something to happen. s.mu is held.
func (s *Simulator) notify() {
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// Server is a Simulator that listens on a local port.
type Server struct {
	*Simulator
	URL  string // of the API: an endpoint for the client
	http *httptest.Server
}

// Path is where the provider's API is, and the Server's.
const Path = "/http/v1/do"

// NewServer starts a Server. The caller must Close it.
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

// ClientOptions are a client's for the first account.
func (s *Server) ClientOptions() textinghouse.Options {
	a := s.options.Accounts[0]
	return textinghouse.Options{User: a.User, Password: a.Password, Endpoints: []string{s.URL}}
}

// apiID makes ids as the provider's look: 24 hexadecimal digits.
func apiID(n int) string { return fmt.Sprintf("5d726149%016x", n) }
