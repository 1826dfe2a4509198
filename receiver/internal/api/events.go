package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/loop"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// feedGap is how often the store is read while somebody listens, because other replicas change it too.
	feedGap = time.Second
	// pingGap is how often a listener is sent a ping.
	pingGap = 15 * time.Second
	// feedBuffer is how many events may wait for a slow listener before it is disconnected.
	feedBuffer = 256
	// maxListeners is the maximum number of listeners.
	maxListeners = 100
	// feedMessages is how many of the newest messages are observed.
	feedMessages = 100
)

// event is an event of GET /api/v1/events.
type event struct{ kind, data string }

// feed reads the store while somebody listens, and sends the changes to all listeners.
type feed struct {
	store  Store
	rounds prometheus.Counter
	wake   loop.Bell

	mu        sync.Mutex
	listeners map[chan event]struct{}
	stop      context.CancelFunc // stops reading; nil: nobody listens
	closed    bool
	pages     map[string]int    // versions of the current pages by ID; nil: not read yet
	messages  map[string]string // states of the newest messages by ID
}

func newFeed(store Store, reg prometheus.Registerer) *feed {
	return &feed{store: store, rounds: loop.Rounds(reg, "events"), wake: loop.NewBell(), listeners: make(map[chan event]struct{})}
}

var errTooMany = errors.New("too many listeners; close one")

// listen returns a channel of the events from now on. It is closed if its listener is too slow, and by
// drop.
func (f *feed) listen() (chan event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.listeners) >= maxListeners {
		return nil, errTooMany
	}
	listener := make(chan event, feedBuffer)
	f.listeners[listener] = struct{}{}
	if f.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		f.stop, f.pages, f.messages = stop, nil, nil
		go loop.Repeat(ctx, f.rounds, f.wake, func() time.Duration {
			f.read(ctx)
			return feedGap
		})
	}
	return listener, nil
}

// leave removes a listener.
func (f *feed) leave(listener chan event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, listener)
	if len(f.listeners) == 0 && f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

// close disconnects all listeners, and accepts no more.
func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.drop()
}

// drop disconnects all listeners; they may connect again.
func (f *feed) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for listener := range f.listeners {
		close(listener)
		delete(f.listeners, listener)
	}
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

// send sends an event to all listeners. f.mu is held.
func (f *feed) send(kind string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		return
	}
	for listener := range f.listeners {
		select {
		case listener <- event{kind, string(text)}:
		default:
			close(listener)
			delete(f.listeners, listener)
		}
	}
}

// read sends the changes since the last read. If the store cannot be read, the next read finds them.
func (f *feed) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pages, pagesErr := f.store.Pages(ctx, outbox.PageQuery{Current: true, Limit: maxLimit})
	messages, messagesErr := f.store.List(ctx, outbox.Query{Limit: feedMessages})
	var ended []outbox.Page
	f.mu.Lock()
	before := f.pages
	f.mu.Unlock()
	now := make(map[string]int)
	for _, p := range pages {
		now[p.ID] = p.Version
	}
	for id := range before {
		if _, current := now[id]; !current && pagesErr == nil {
			if p, err := f.store.Page(ctx, id); err == nil {
				ended = append(ended, p)
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if pagesErr == nil {
		for _, p := range append(pages, ended...) {
			if version, known := before[p.ID]; before != nil && (!known || version != p.Version) {
				f.send("page", showPage(p))
			}
		}
		f.pages = now
	}
	if messagesErr == nil {
		f.compare(messages)
	}
}

// compare sends the changes of the newest messages. f.mu is held.
func (f *feed) compare(messages []outbox.Message) {
	states := make(map[string]string, len(messages))
	for _, m := range messages {
		states[m.ID] = string(m.State)
		if was, known := f.messages[m.ID]; f.messages != nil && (!known || was != string(m.State)) {
			f.send("message", map[string]string{"id": m.ID, "page": m.PageID, "state": string(m.State)})
		}
	}
	f.messages = states
}

func (a *API) serveEvents(w http.ResponseWriter, r *http.Request) {
	listener, err := a.feed.listen()
	if err != nil {
		response.Write(w, http.StatusServiceUnavailable, err)
		return
	}
	defer a.feed.leave(listener)
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the server's deadline is for requests that end
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	ping := time.NewTicker(pingGap)
	defer ping.Stop()
	whole := seesNumbers(access.From(r.Context()))
	write := func(e event) bool {
		if !whole {
			e.data = e164.Redact(e.data)
		}
		_ = out.SetWriteDeadline(time.Now().Add(pingGap))
		_, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.kind, e.data)
		return err == nil && out.Flush() == nil
	}
	for more := write(event{"ping", "{}"}); more; {
		select {
		case <-r.Context().Done():
			return
		case <-ping.C:
			more = write(event{"ping", "{}"})
		case e, ok := <-listener:
			more = ok && write(e)
		}
	}
}
