package textinghousetest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
)

// Transport returns a transport that carries requests to the simulator without a network. Tests in
// a testing/synctest bubble need it, because the bubble's clock stops while they wait for a
// network.
func (s *Simulator) Transport() http.RoundTripper { return Transport(s) }

// Transport returns a transport that carries requests to a handler without a network.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	responses := make(chan *http.Response, 1)
	go func() {
		defer func() {
			if recover() != nil { // http.ErrAbortHandler: the connection is dropped
				responses <- nil
			}
		}()
		w := httptest.NewRecorder()
		t.handler.ServeHTTP(w, r.Clone(ctx))
		responses <- w.Result()
	}()
	select {
	case resp := <-responses:
		if resp == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return resp, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
