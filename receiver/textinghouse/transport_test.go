package textinghouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// TestReadBody: a body is read to its end, because HTTP/2 resets a stream that is closed before, unless the
// body is too long.
func TestReadBody(t *testing.T) {
	const most = 8
	for _, tc := range []struct {
		name, body string
		size       int64
		want       string
		ended      bool
		err        error
	}{
		{"known size", "ID: ab", 6, "ID: ab", true, nil},
		{"unknown size", "ID: ab", -1, "ID: ab", true, nil},
		{"as long as allowed", "ID: abcd", most, "ID: abcd", true, nil},
		{"empty", "", 0, "", true, nil},
		{"too long", "ID: abcdefgh", 12, "ID: abcde", false, nil},
		{"too long, of unknown size", "ID: abcdefgh", -1, "ID: abcde", false, nil},
		{"shorter than its size", "ID: a", 6, "ID: a", true, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := &ending{Reader: strings.NewReader(tc.body)}
			got, err := readBody(body, tc.size, most)
			if string(got) != tc.want || body.ended != tc.ended || !errors.Is(err, tc.err) {
				t.Errorf("readBody gives %q (%v), at the end: %v; want %q (%v), %v", got, err, body.ended, tc.want, tc.err, tc.ended)
			}
		})
	}
}

// ending is a reader that knows whether its end was reached.
type ending struct {
	io.Reader
	ended bool
}

func (e *ending) Read(b []byte) (int, error) {
	n, err := e.Reader.Read(b)
	e.ended = e.ended || err == io.EOF
	return n, err
}
