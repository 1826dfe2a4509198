package textinghouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxAttempted is the number of messages whose endpoints a client remembers.
	maxAttempted = 4096
	// stayFor is how long no other endpoint gets a message that an endpoint may have. For 10
	// seconds getstatus may not know the message, and only that endpoint's flood rule prevents a
	// double; the rest allows for the time between a question and a send.
	stayFor = 15 * time.Second
)

// attempted remembers, by climsgid, which endpoints may have received a message. An endpoint may not know
// the messages of the others, or not immediately.
type attempted struct {
	mu       sync.Mutex
	messages *lru.Cache[string, attemptedAt]
}

// attemptedAt holds the endpoints that may have a message, latest first, and since when the latest may
// have it.
type attemptedAt struct {
	endpoints []*endpoint
	latest    time.Time
}

func newAttempted() *attempted {
	a := &attempted{}
	a.messages, _ = lru.New[string, attemptedAt](maxAttempted) // fails only for a size below 1
	return a
}

func (a *attempted) add(clientID string, e *endpoint, now time.Time) {
	if clientID == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known, _ := a.messages.Get(clientID)
	others := slices.DeleteFunc(slices.Clone(known.endpoints), func(other *endpoint) bool { return other == e })
	a.messages.Add(clientID, attemptedAt{append([]*endpoint{e}, others...), now})
}

// of returns the endpoints that may have a message, latest first.
func (a *attempted) of(clientID string) []*endpoint {
	known, _ := a.messages.Get(clientID)
	return known.endpoints
}

// pinned returns the one endpoint that a message may be sent to now, or nil if any endpoint may get
// it.
func (a *attempted) pinned(clientID string, now time.Time) *endpoint {
	known, _ := a.messages.Get(clientID)
	if len(known.endpoints) == 0 || now.Sub(known.latest) >= stayFor {
		return nil
	}
	return known.endpoints[0]
}

// Guards reports whether the provider's flood rule refuses a recently sent message that getstatus
// does not know yet: either there is one endpoint, or the message goes to the one that may have it.
// Guards does not know the attempts of other processes.
func (c *Client) Guards(clientID string) bool {
	return len(c.endpoints) == 1 || c.attempted.pinned(clientID, time.Now()) != nil
}

// StatusByClientID returns the status of a message by its climsgid. It asks the endpoints that may
// have received the message first. It returns that the message is unknown ([CodeUnknownClientID])
// only if each of those says so, or, if this client has not tried to send the message, if all
// endpoints say so. If some say so and others do not respond, the error is [ErrPartlyAsked]. Once one
// has said so, others that failed in the last 30 seconds are not asked, unless they may have received it.
func (c *Client) StatusByClientID(ctx context.Context, clientID string) (Status, error) {
	body := c.encode(CommandStatus, "climsgid", clientID)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	must := c.attempted.of(clientID)
	all, healthy := c.inOrder(time.Now())
	avoided := slices.Clone(all[healthy:])
	if len(must) > 0 {
		all = slices.Concat(must, slices.DeleteFunc(all, func(e *endpoint) bool { return slices.Contains(must, e) }))
	}
	var unknown error
	var failures unreached
	for i, e := range all {
		if i == len(must) && unknown != nil && len(failures) == 0 {
			return 0, unknown // all endpoints that may have it have responded
		}
		if i >= len(must) && unknown != nil && slices.Contains(avoided, e) {
			failures = append(failures, &TransportError{Command: CommandStatus, Endpoint: e.host, Err: errAvoided})
			continue
		}
		status, err := callOne(ctx, c, e, i+1 < len(all) || unknown != nil, CommandStatus, body, parseStatus)
		var refusal *Error
		switch {
		case err == nil:
			return status, nil
		case errors.As(err, &refusal) && refusal.Code == CodeUnknownClientID:
			unknown = err
		case refusal != nil:
			return 0, err
		default:
			failures = append(failures, err)
		}
	}
	switch {
	case len(failures) == 0:
		return 0, unknown
	case unknown != nil:
		return 0, fmt.Errorf("%w: %w", ErrPartlyAsked, failures)
	}
	return 0, failures
}

// ErrPartlyAsked is returned if some endpoints do not have a message, and others that may have it
// could not be asked.
var ErrPartlyAsked = errors.New("not all endpoints that may have the message responded")

// errAvoided is why an endpoint is not asked.
var errAvoided = errors.New("it failed in the last 30 seconds")
