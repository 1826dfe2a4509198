package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// lanes keep what is sent past the outbox and what is sent from it in order: of one
// recipient, group and receiver only one message is on its way to the provider at a
// time, and none after a newer one.
type lanes struct {
	mu   sync.Mutex
	used map[[3]string]*track
}

// track is a lane while somebody has something to send in it.
type track struct {
	key    [3]string
	users  int
	turn   chan struct{} // holds one while nobody sends
	newest string        // the newest that was sent past the outbox; of who has the turn
}

// enter takes part in a message's lane until leave.
func (l *lanes) enter(m outbox.Message) *track {
	key := [3]string{string(m.To), m.Receiver, m.GroupKey}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.used[key]
	if t == nil {
		t = &track{key: key, turn: make(chan struct{}, 1)}
		t.turn <- struct{}{}
		l.used[key] = t
	}
	t.users++
	return t
}

func (l *lanes) leave(t *track) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch t.users--; {
	case t.users > 0:
	case t.newest == "":
		delete(l.used, t.key)
	default: // what was sent past the outbox is not known to the schedule yet
		const rest = time.Minute
		time.AfterFunc(rest, func() { l.forget(t) })
	}
}

func (l *lanes) forget(t *track) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.users == 0 && l.used[t.key] == t {
		delete(l.used, t.key)
	}
}

// begin waits for the turn to send.
func (t *track) begin(ctx context.Context) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *track) end() { t.turn <- struct{}{} }
