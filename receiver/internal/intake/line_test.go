package intake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// request returns a request with a body of a size.
func request(size int) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/alertmanager", strings.NewReader(strings.Repeat("x", size)))
}

// TestLine: large bodies wait for memory, small ones do not, and no byte is lost.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const large, most = 3 << 20, 4 << 20
		l := newLine()
		var leaves []func()
		for range budget / (perByte * large) {
			r := request(large)
			leave, err := l.enter(r, most)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(r.Body); err != nil || len(body) != large {
				t.Errorf("%d bytes are read, %v", len(body), err)
			}
			leaves = append(leaves, leave)
		}
		r := request(smallBody - 1)
		leave, err := l.enter(r, most)
		if err != nil {
			t.Errorf("a small body: %v", err)
		} else {
			leave()
		}
		if body, err := io.ReadAll(r.Body); err != nil || len(body) != smallBody-1 {
			t.Errorf("%d bytes are read, %v", len(body), err)
		}
		began := time.Now()
		if _, err := l.enter(request(large), most); !errors.Is(err, errLine) || time.Since(began) != lineTime {
			t.Errorf("without memory it gives %v after %s", err, time.Since(began))
		}
		entered := make(chan error)
		go func() {
			_, err := l.enter(request(large), most)
			entered <- err
		}()
		time.Sleep(time.Second)
		leaves[0]()
		if err := <-entered; err != nil {
			t.Errorf("with memory it gives %v", err)
		}
	})
}

// TestLineIsFull: a request for which there is no place in the line gets 503 with Retry-After
// immediately.
func TestLineIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(Options{})
		in.Configure(Settings{MaxBodyBytes: 4 << 20})
		if err := in.line.memory.Acquire(context.Background(), budget); err != nil {
			t.Fatal(err)
		}
		in.line.waiting.Store(mostWaiting)
		w, began := httptest.NewRecorder(), time.Now()
		in.ServeHTTP(w, request(1<<20))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || time.Since(began) > 0 {
			t.Errorf("it gets %d, Retry-After %q, after %s", w.Code, w.Header().Get("Retry-After"), time.Since(began))
		}
	})
}
