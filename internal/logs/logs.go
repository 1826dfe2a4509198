// Package logs keeps a log from delaying the program, and from being flooded.
package logs

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Writer writes to another writer in the background, so that a blocked writer delays nobody. Lines
// that do not fit into the buffer, or cannot be written, are dropped.
type Writer struct {
	to   io.Writer
	most int
	done chan struct{}

	mu      sync.Mutex
	lines   [][]byte
	held    int // bytes, including those being written
	dropped int
	closed  bool
	wake    *sync.Cond
}

// NewWriter returns a Writer that holds up to most bytes. It must be closed.
func NewWriter(to io.Writer, most int) *Writer {
	w := &Writer{to: to, most: most, done: make(chan struct{})}
	w.wake = sync.NewCond(&w.mu)
	go w.run()
	return w
}

// Write adds a line to the buffer. It never blocks, and never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.held+len(line) > w.most {
		w.dropped++
		return len(line), nil
	}
	w.lines = append(w.lines, append([]byte(nil), line...))
	w.held += len(line)
	w.wake.Signal()
	return len(line), nil
}

// Dropped returns how many lines were dropped.
func (w *Writer) Dropped() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Close drops later lines, and waits until all others are written, at most for patience.
func (w *Writer) Close(patience time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.wake.Signal()
	w.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	for {
		w.mu.Lock()
		for len(w.lines) == 0 && !w.closed {
			w.wake.Wait()
		}
		lines := w.lines
		w.lines = nil
		w.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		for _, line := range lines {
			_, err := w.to.Write(line)
			w.mu.Lock()
			w.held -= len(line)
			if err != nil {
				w.dropped++
			}
			w.mu.Unlock()
		}
	}
}

// limited is a handler that passes on one record of each kind per second.
type limited struct {
	slog.Handler
	kinds *kinds
}

// kinds holds the recent records, by level and by message up to its first digit.
type kinds struct {
	mu sync.Mutex
	of map[string]*kind
}

// kind holds the last second of one kind of record.
type kind struct {
	last  time.Time
	left  int    // number of records left out since
	write func() // writes the last record that was left out
}

// Limit returns a logger that writes one record of each kind per second, with the number of records
// left out since the one before. It is for records that strangers can cause.
func Limit(to *slog.Logger) *slog.Logger {
	return slog.New(&limited{to.Handler(), &kinds{of: make(map[string]*kind)}})
}

// Handle implements [slog.Handler]. A record that comes too early waits, and is left out if another
// one of its kind comes.
func (l *limited) Handle(ctx context.Context, r slog.Record) error {
	l.kinds.mu.Lock()
	defer l.kinds.mu.Unlock()
	k := l.kinds.kind(r.Level.String() + r.Message)
	now := time.Now()
	wait := k.last.Add(time.Second).Sub(now)
	if wait <= 0 && k.left == 0 {
		k.last = now
		return l.Handler.Handle(ctx, r)
	}
	r = r.Clone()
	k.left++
	k.write = func() {
		if k.left > 1 {
			r.AddAttrs(slog.Int("left_out", k.left-1))
		}
		_ = l.Handler.Handle(context.WithoutCancel(ctx), r)
	}
	if k.left == 1 {
		time.AfterFunc(wait, func() {
			l.kinds.mu.Lock()
			defer l.kinds.mu.Unlock()
			k.write()
			k.last, k.left = time.Now(), 0
		})
	}
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limited{l.Handler.WithAttrs(attrs), l.kinds}
}

// WithGroup implements [slog.Handler].
func (l *limited) WithGroup(name string) slog.Handler {
	return &limited{l.Handler.WithGroup(name), l.kinds}
}

// kind returns the kind of a record. k.mu is held.
func (k *kinds) kind(key string) *kind {
	const most = 100
	if i := strings.IndexFunc(key, unicode.IsDigit); i >= 0 {
		key = key[:i]
	}
	one := k.of[key]
	if one == nil {
		if len(k.of) == most {
			clear(k.of)
		}
		one = &kind{}
		k.of[key] = one
	}
	return one
}
