package textinghouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	defaultTimeout  = 10 * time.Second
	defaultMaxConns = 16
	// avoidFor is how long a failed endpoint comes after the others.
	avoidFor = 30 * time.Second
	// budgetShare is the divisor of a call's timeout: while another endpoint works, an endpoint
	// must respond within timeout/budgetShare.
	budgetShare = 4
	// maxClientID and maxSenderID are numbers of characters (seed, 4.3).
	maxClientID = 32
	maxSenderID = 11
	// testNumber is the number for free test messages (seed, 4.8).
	testNumber = "999"
)

// Options are what NewClient needs. User and Password are required.
type Options struct {
	User      string
	Password  string
	Endpoints []string          // absolute URLs in order of preference; nil: DefaultEndpoints
	Timeout   time.Duration     // of a whole call; 0: 10 s. While another endpoint works, an endpoint gets a quarter of it
	MaxConns  int               // connections kept open per endpoint; 0: 16
	Transport http.RoundTripper // nil: the client's own, which uses HTTPS_PROXY and related variables
	Observe   func(Exchange)    // called after every request; may be nil
}

// String keeps the password out of logs.
func (o Options) String() string {
	return fmt.Sprintf("textinghouse.Options{User: %q, Endpoints: %q}", o.User, o.Endpoints)
}

// GoString keeps the password out of logs.
func (o Options) GoString() string { return o.String() }

// Client sends the requests of one account. It is safe for concurrent use.
type Client struct {
	user, password string
	endpoints      []*endpoint
	timeout        time.Duration
	observe        func(Exchange)
	attempted      *attempted
	redact         *strings.Replacer // hides the password
}

// String keeps the password out of logs.
func (c *Client) String() string { return fmt.Sprintf("textinghouse.Client{User: %q}", c.user) }

// GoString keeps the password out of logs.
func (c *Client) GoString() string { return c.String() }

// endpoint is one of the provider's URLs.
type endpoint struct {
	url, host string
	http      http.RoundTripper // not a Client, which follows redirects: that would make a GET, or send the password elsewhere
	renew     func()            // makes later requests use new connections
	failed    atomic.Int64      // time of the last failure, Unix ns; 0: it works
}

// NewClient returns a Client. It makes no request.
func NewClient(o Options) (*Client, error) {
	if o.User == "" || o.Password == "" {
		return nil, errors.New("textinghouse: user and password are required")
	}
	if o.Endpoints == nil {
		o.Endpoints = DefaultEndpoints()
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.Observe == nil {
		o.Observe = func(Exchange) {}
	}
	c := &Client{user: o.User, password: o.Password, timeout: o.Timeout, observe: o.Observe, attempted: newAttempted(), redact: redacting(o.Password)}
	for _, raw := range o.Endpoints {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			return nil, errors.New("textinghouse: an endpoint must be an http or https URL without user and password")
		}
		c.endpoints = append(c.endpoints, newEndpoint(raw, u.Host, o))
	}
	if len(c.endpoints) == 0 {
		return nil, errors.New("textinghouse: no endpoints")
	}
	return c, nil
}

func newEndpoint(url, host string, o Options) *endpoint {
	e := &endpoint{url: url, host: host, http: o.Transport, renew: func() {}}
	if e.http == nil {
		own := newRenewing(o.MaxConns)
		e.http, e.renew = own, own.renew
	}
	return e
}

// SMS is a message to send.
type SMS struct {
	To         string // E.164 with a plus sign, or 999
	Text       string // characters outside the GSM alphabet make the provider use UCS-2
	ClientID   string // climsgid, at most 32 characters; "": none
	From       string // sender ID, at most 11 of a-zA-Z0-9; "": a number that phones can reply to
	Commercial bool   // iscom=Y: sent only in permitted hours; Text must end with the STOP mention
}

// Send sends a message and returns the provider's ID for it. See [MayHaveBeenAccepted] for its errors.
func (c *Client) Send(ctx context.Context, m SMS) (apiID string, err error) {
	to, err := wireNumber(m.To)
	switch {
	case err != nil:
		return "", err
	case m.Text == "":
		return "", errors.New("sendsms: no text")
	case len(m.ClientID) > maxClientID:
		return "", fmt.Errorf("sendsms: the client message ID has more than %d characters", maxClientID)
	case len(m.From) > maxSenderID || strings.IndexFunc(m.From, notAlphanumeric) >= 0:
		return "", fmt.Errorf("sendsms: a sender ID has at most %d characters of a-zA-Z0-9", maxSenderID)
	}
	form := []string{"to", to, "txt", m.Text, "iscom", "N"}
	if m.Commercial {
		form[5] = "Y"
	}
	if m.ClientID != "" {
		form = append(form, "climsgid", m.ClientID)
	}
	if m.From != "" {
		form = append(form, "from", m.From)
	}
	return call(ctx, c, CommandSend, m.ClientID, parseID, form...)
}

// Status returns the status of a message by the provider's id.
func (c *Client) Status(ctx context.Context, apiID string) (Status, error) {
	return call(ctx, c, CommandStatus, "", parseStatus, "api_id", apiID)
}

// Credit returns the account's balance.
func (c *Client) Credit(ctx context.Context) (Credit, error) {
	return call(ctx, c, CommandCredit, "", parseCredit)
}

// EndpointHealth reports whether an endpoint works.
type EndpointHealth struct {
	Endpoint string // its host
	Up       bool   // its last call did not fail
}

// Endpoints returns the health of the endpoints, in order of preference.
func (c *Client) Endpoints() []EndpointHealth {
	var all []EndpointHealth
	for _, e := range c.endpoints {
		all = append(all, EndpointHealth{Endpoint: e.host, Up: e.failed.Load() == 0})
	}
	return all
}

// Recover reads the credit from each endpoint whose last call failed. An endpoint that responds
// gets its place in the order of preference back; one that does not is avoided for longer, so that
// no message has to try it. Call Recover every few seconds.
func (c *Client) Recover(ctx context.Context) {
	for _, e := range c.endpoints {
		if e.failed.Load() == 0 || ctx.Err() != nil {
			continue
		}
		alone := *c
		alone.endpoints = []*endpoint{e}
		_, _ = alone.Credit(ctx) // it notes whether the endpoint works
	}
}

// wireNumber returns a number in the API's form: only digits.
func wireNumber(to string) (string, error) {
	if to == testNumber {
		return to, nil
	}
	digits, ok := strings.CutPrefix(to, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return "", errors.New("sendsms: the recipient must be an E.164 number with a plus sign, or 999")
	}
	return digits, nil
}

func notAlphanumeric(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}

// call makes a request to the endpoints in order, until one of them responds. If one may have
// received the message to be sent, whose client ID is given, no other endpoint gets it. form is as for
// encode.
func call[T any](ctx context.Context, c *Client, command, clientID string, value func(string) (T, bool), form ...string) (T, error) {
	body := c.encode(command, form...)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var none T
	var failures unreached
	endpoints, healthy := c.inOrder(time.Now())
	if command == CommandSend {
		if e := c.attempted.pinned(clientID, time.Now()); e != nil {
			endpoints, healthy = []*endpoint{e}, 1
		}
	}
	for i, e := range endpoints {
		v, err := callOne(ctx, c, e, i+1 < healthy, command, body, value)
		if err == nil {
			return v, nil
		}
		if command == CommandSend && MayHaveBeenAccepted(err) {
			c.attempted.add(clientID, e, time.Now())
			return none, err
		}
		var refusal *Error
		if errors.As(err, &refusal) || ctx.Err() != nil {
			return none, err
		}
		failures = append(failures, err)
	}
	return none, failures
}

// encode returns a form with the account, the command, and fields: names and values in turns.
func (c *Client) encode(command string, fields ...string) string {
	var form strings.Builder
	form.Grow(256)
	form.WriteString("user=" + url.QueryEscape(c.user) + "&pass=" + url.QueryEscape(c.password) + "&cmd=" + command)
	for i := 0; i+1 < len(fields); i += 2 {
		form.WriteByte('&')
		form.WriteString(fields[i])
		form.WriteByte('=')
		form.WriteString(url.QueryEscape(fields[i+1]))
	}
	return form.String()
}

// callOne makes a request to an endpoint. If hurried, the endpoint has only a share of the time.
func callOne[T any](ctx context.Context, c *Client, e *endpoint, hurried bool, command, body string, value func(string) (T, bool)) (v T, err error) {
	attempt, done := ctx, context.CancelFunc(func() {})
	if hurried {
		attempt, done = context.WithTimeout(ctx, c.timeout/budgetShare)
	}
	defer done()
	start := time.Now()
	statusCode, text, err := c.post(attempt, command, e, body)
	if err == nil {
		v, err = parse(command, statusCode, text, c.redact, value)
	}
	c.observe(Exchange{Command: command, Endpoint: e.host, Outcome: outcome(err), Duration: time.Since(start), Err: err})
	e.note(err, ctx.Err() == nil)
	return v, err
}

// inOrder returns the endpoints in order of preference: first the n healthy ones, then those that
// failed recently, the one whose failure is longest ago first.
func (c *Client) inOrder(now time.Time) (all []*endpoint, n int) {
	var healthy, avoided []*endpoint
	for _, e := range c.endpoints {
		failed := e.failed.Load()
		if failed == 0 || now.Sub(time.Unix(0, failed)) >= avoidFor {
			healthy = append(healthy, e)
			continue
		}
		i := len(avoided)
		for i > 0 && avoided[i-1].failed.Load() > failed {
			i--
		}
		avoided = append(avoided[:i], append([]*endpoint{e}, avoided[i:]...)...)
	}
	return append(healthy, avoided...), len(healthy)
}

// note records whether the endpoint works. A refusal counts against the endpoint only if the same
// request may succeed later. A request that its caller cancelled does not count.
func (e *endpoint) note(err error, inTime bool) {
	if err == nil {
		e.failed.Store(0)
		return
	}
	var refusal *Error
	refused := errors.As(err, &refusal)
	switch {
	case refused && (!refusal.Code.Retryable() || refusal.Code == CodeFlood):
		e.failed.Store(0)
	case inTime || errors.Is(err, context.DeadlineExceeded):
		e.failed.Store(time.Now().UnixNano())
		e.renew()
	}
}

// post makes one request. net/http never repeats it once its bytes were written, because a POST is
// not idempotent.
func (c *Client) post(ctx context.Context, command string, e *endpoint, form string) (statusCode int, body string, err error) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(form))
	if err != nil {
		return 0, "", &TransportError{Command: command, Endpoint: e.host, Err: errors.New("the endpoint's URL is unusable")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "smspager")
	resp, err := e.http.RoundTrip(req)
	if err == nil {
		defer resp.Body.Close()
		var b []byte
		if b, err = readBody(resp.Body, resp.ContentLength, maxResponseBytes); err == nil {
			if len(b) > maxResponseBytes {
				return 0, "", &UnreadableResponseError{Command: command, StatusCode: resp.StatusCode, Excerpt: excerpt(c.redact.Replace(string(b)))}
			}
			return resp.StatusCode, string(b), nil
		}
	}
	return 0, "", &TransportError{Command: command, Endpoint: e.host, Written: connected.Load(), Err: err}
}

// readBody reads a body of this size, 0 or less if that is unknown, to its end: HTTP/2 resets a stream
// that is closed before. If the body has more than most bytes, readBody returns most+1 of them.
func readBody(body io.Reader, size, most int64) ([]byte, error) {
	if size <= 0 {
		return io.ReadAll(io.LimitReader(body, most+1))
	}
	b := make([]byte, min(size, most)+1) // a read that finds the end needs room
	n, err := io.ReadFull(body, b)
	if int64(n) == size && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}

// outcome returns the label of an error in metrics.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	var refusal *Error
	var unreadable *UnreadableResponseError
	var netErr net.Error
	switch {
	case errors.As(err, &refusal):
		return strconv.Itoa(int(refusal.Code))
	case errors.As(err, &unreadable) && unreadable.StatusCode != http.StatusOK:
		return "http_" + strconv.Itoa(unreadable.StatusCode)
	case errors.As(err, &unreadable):
		return "unreadable"
	case errors.As(err, &netErr) && netErr.Timeout():
		return "timeout"
	}
	return "transport"
}
