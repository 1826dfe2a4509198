package textinghouse

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// mostHad is of how many messages a client remembers which endpoints may have them.
const mostHad = 4096

// had remembers, by climsgid, which endpoints may have received a message. Endpoints need not
// know of each other's messages, or not immediately.
type had struct {
	mu        sync.Mutex
	endpoints *lru.Cache[string, []*endpoint]
}

func newHad() *had {
	h := &had{}
	h.endpoints, _ = lru.New[string, []*endpoint](mostHad) // an error only for a size below 1
	return h
}

func (h *had) add(clientID string, e *endpoint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, _ := h.endpoints.Get(clientID); clientID != "" && !slices.Contains(known, e) {
		h.endpoints.Add(clientID, append([]*endpoint{e}, known...))
	}
}

// of returns the endpoints that may have a message, the latest first.
func (h *had) of(clientID string) []*endpoint {
	known, _ := h.endpoints.Get(clientID)
	return known
}

// StatusByClientID returns the status of a message by its climsgid. The endpoints that may have
// received it are asked first. That it is unknown ([CodeUnknownClientID]) is returned only if
// each of them says so or, of a message that this client has not tried to send, if all
// endpoints do that respond.
func (c *Client) StatusByClientID(ctx context.Context, clientID string) (Status, error) {
	form := url.Values{"climsgid": {clientID}, "user": {c.user}, "pass": {c.password}, "cmd": {CommandStatus}}
	body := form.Encode()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	must := c.had.of(clientID)
	all, healthy := c.inOrder(time.Now())
	if len(must) > 0 {
		all = slices.Concat(must, slices.DeleteFunc(all, func(e *endpoint) bool { return slices.Contains(must, e) }))
	}
	var unknown error
	var failures unreached
	for i, e := range all {
		switch {
		case len(must) > 0 && i == len(must) && len(failures) == 0:
			return 0, unknown // all that may have it have responded
		case len(must) == 0 && i >= healthy && unknown != nil:
			return 0, unknown // one that failed lately is not waited for
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
	if unknown != nil && (len(must) == 0 || len(failures) == 0) {
		return 0, unknown
	}
	return 0, failures
}
