package textinghouse

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnAge is how long a connection is used: after that, the endpoint's name may refer to
	// another machine.
	maxConnAge = 4 * time.Minute
	// renewGap is the shortest time between two renewals.
	renewGap = time.Second
)

// renewing is a transport that replaces all its connections after a failure and at a certain age.
// Otherwise a machine that has left the service may keep responding on a connection for as long as
// there are requests.
type renewing struct {
	maxConns int

	mu      sync.Mutex
	current *http.Transport
	since   time.Time
}

func newRenewing(maxConns int) *renewing {
	return &renewing{maxConns: maxConns, current: newTransport(maxConns), since: time.Now()}
}

// RoundTrip implements [http.RoundTripper].
func (r *renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.renewAfter(maxConnAge)
	t := r.current
	r.mu.Unlock()
	return t.RoundTrip(req)
}

// renew makes later requests use new connections.
func (r *renewing) renew() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renewAfter(renewGap)
}

// renewAfter renews the transport if it has reached an age. Running requests finish on the old
// transport, whose connections then close. r.mu is held.
func (r *renewing) renewAfter(age time.Duration) {
	if now := time.Now(); now.Sub(r.since) >= age {
		r.current.CloseIdleConnections()
		r.current, r.since = newTransport(r.maxConns), now
	}
}

func newTransport(maxConns int) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConns:          0,
		MaxIdleConnsPerHost:   maxConns,
		IdleConnTimeout:       90 * time.Second,
		ResponseHeaderTimeout: 0, // the call's timeout covers it
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
	}
}
