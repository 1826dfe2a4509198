package intake

import (
	"errors"
	"log/slog"
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

// TestLine: bodies wait for memory.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const large = 3 << 20
		l := newLine()
		var leaves []func()
		for range budget / (perByte * large) {
			leave, err := l.enter(t.Context(), large)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		began := time.Now()
		if _, err := l.enter(t.Context(), large); !errors.Is(err, errLine) || time.Since(began) != lineTime {
			t.Errorf("without memory it gives %v after %s", err, time.Since(began))
		}
		entered := make(chan error)
		go func() {
			_, err := l.enter(t.Context(), large)
			entered <- err
		}()
		time.Sleep(time.Second)
		leaves[0]()
		if err := <-entered; err != nil {
			t.Errorf("with memory it gives %v", err)
		}
	})
}

// TestSmallBodiesDoNotWait: without memory, a small body is read and refused for what it holds; and no
// byte of any body is lost.
func TestSmallBodiesDoNotWait(t *testing.T) {
	in := New(Options{Logger: slog.New(slog.DiscardHandler)})
	in.Configure(Settings{MaxBodyBytes: 4 << 20})
	for _, size := range []int{0, 1, smallBody - 1, smallBody, smallBody + 1, 5 << 20} {
		for _, known := range []bool{true, false} {
			body := `{"version":"x"}` + strings.Repeat(" ", max(0, size-15))
			r := httptest.NewRequest(http.MethodPost, "/alertmanager", strings.NewReader(body))
			if !known {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			in.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "version") {
				t.Errorf("a body of %d bytes, known %t: %d %s", size, known, w.Code, w.Body)
			}
		}
	}
	if err := in.line.memory.Acquire(t.Context(), budget); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if in.ServeHTTP(w, request(smallBody-1)); w.Code != http.StatusBadRequest {
		t.Errorf("a small body gets %d", w.Code)
	}
}

// TestLineIsFull: a request for which there is no place in the line gets 503 with Retry-After
// immediately.
func TestLineIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(Options{Logger: slog.New(slog.DiscardHandler)})
		in.Configure(Settings{MaxBodyBytes: 4 << 20})
		if err := in.line.memory.Acquire(t.Context(), budget); err != nil {
			t.Fatal(err)
		}
		in.line.waiting.Store(maxWaiting)
		w, began := httptest.NewRecorder(), time.Now()
		in.ServeHTTP(w, request(1<<20))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || time.Since(began) > 0 {
			t.Errorf("the response is %d, Retry-After %q, after %s", w.Code, w.Header().Get("Retry-After"), time.Since(began))
		}
	})
}
