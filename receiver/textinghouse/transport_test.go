package textinghouse

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// serveOn serves on a listener until the test ends. Its connections stay open when the listener is
// closed.
func serveOn(t *testing.T, l net.Listener, code *atomic.Int32) {
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(code.Load()))
		fmt.Fprint(w, "1000")
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
}

// TestProviderMoves: the machine that a name referred to before responds 503 on the connections
// that it keeps. After a failure, the next request at least a second later reaches the new machine.
func TestProviderMoves(t *testing.T) {
	var before, after atomic.Int32
	before.Store(http.StatusOK)
	after.Store(http.StatusOK)
	old, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, old, &before)
	c, err := NewClient(Options{User: "acme", Password: "x", Endpoints: []string{"http://" + old.Addr().String()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Credit(context.Background()); err != nil {
		t.Fatal(err)
	}
	before.Store(http.StatusServiceUnavailable)
	address := old.Addr().String()
	old.Close()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, &after)
	c.endpoints[0].http.(*renewing).since = time.Now().Add(-renewGap)
	if _, err := c.Credit(context.Background()); err == nil {
		t.Fatal("the old machine gets no requests, so this test shows nothing")
	}
	if _, err := c.Credit(context.Background()); err != nil {
		t.Errorf("after a failure the new machine is not found: %v", err)
	}
}

// TestConnectionsAge: a connection is not used for longer than maxConnAge, even if it works.
func TestConnectionsAge(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "1000") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c, err := NewClient(Options{User: "acme", Password: "x", Endpoints: []string{s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	own := c.endpoints[0].http.(*renewing)
	for i, want := range []int32{1, 1, 2, 2} {
		if i == 2 {
			own.since = time.Now().Add(-maxConnAge)
		}
		if _, err := c.Credit(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := connections.Load(); n != want {
			t.Errorf("there were %d connections, want %d", n, want)
		}
	}
}
