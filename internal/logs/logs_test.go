package logs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/internal/logs"
)

// TestStalledReader: a pipe that nobody reads does not block writes, and lines that do not fit are
// counted.
func TestStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, pipe := io.Pipe() // it has no buffer
		w := logs.NewWriter(pipe, 100)
		for i := range 50 {
			if n, err := fmt.Fprintf(w, "line %03d\n", i); n != 9 || err != nil {
				t.Fatal(n, err)
			}
		}
		if n := w.Dropped(); n != 50-11 {
			t.Errorf("%d lines were dropped", n)
		}
		read := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(r)
			read <- all
		}()
		synctest.Wait()
		fmt.Fprintln(w, "later")
		w.Close(time.Minute)
		pipe.Close()
		if all := string(<-read); strings.Count(all, "\n") != 12 || !strings.HasSuffix(all, "line 010\nlater\n") {
			t.Errorf("the reader got %q", all)
		}
	})
}

// TestCloseGivesUp: a pipe that nobody reads does not keep the program from ending.
func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, pipe := io.Pipe()
		w := logs.NewWriter(pipe, 100)
		fmt.Fprintln(w, "line")
		began := time.Now()
		w.Close(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close takes %s, want 1s", took)
		}
		r.Close()
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestReaderGone(t *testing.T) {
	w := logs.NewWriter(broken{}, 100)
	fmt.Fprintln(w, "line")
	w.Close(time.Minute)
	if n := w.Dropped(); n != 1 {
		t.Errorf("%d lines were dropped, want 1", n)
	}
}

// TestLimit: a flood gives one line per second and kind, with the number of records left out.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := logs.Limit(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})))
		for i := range 3000 { // in three seconds
			logger.Warn(fmt.Sprintf("refused from 10.0.0.%d", i%250), "n", i)
			logger.With("kind", "mo").Warn("another", "n", i)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		lines, records := 0, 0
		for line := range strings.Lines(out.String()) {
			lines++
			records++
			if _, left, ok := strings.Cut(strings.TrimSpace(line), "left_out="); ok {
				n, err := strconv.Atoi(left)
				if err != nil {
					t.Error(err)
				}
				records += n
			}
		}
		if lines != 8 || records != 6000 { // of each kind one immediately, then one per second
			t.Errorf("%d lines report %d records:\n%s", lines, records, out.String())
		}
	})
}
