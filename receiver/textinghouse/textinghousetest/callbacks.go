package textinghousetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
)

const (
	// callbackWorkers is how many callbacks run simultaneously. The callbacks of one message keep
	// their order.
	callbackWorkers = 8
	callbackTimeout = 10 * time.Second
	callbackTries   = 4
)

// Callback is a POST to one of an account's URLs, and its outcome.
type Callback struct {
	URL   string
	Body  string
	Code  int   // of the last response; 0: none
	Tries int   // how many times it was posted
	Err   error // why there was no response
}

// callbacks posts receipts and replies.
type callbacks struct {
	sim    *Simulator
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	queues [callbackWorkers]*queue

	mu   sync.Mutex
	sent []Callback
	held *post // by the fault CallbackReorder
}

type post struct {
	key, url string
	body     []byte
	delay    time.Duration
}

// queue holds any number of posts.
type queue struct {
	mu    sync.Mutex
	posts []post
	wake  chan struct{}
}

func newCallbacks(s *Simulator) *callbacks {
	ctx, cancel := context.WithCancel(context.Background())
	c := &callbacks{
		sim: s, ctx: ctx, cancel: cancel,
		client: &http.Client{Timeout: callbackTimeout, Transport: s.options.Transport},
	}
	if c.client.Transport == nil {
		c.client.Transport = &http.Transport{MaxIdleConnsPerHost: callbackWorkers}
	}
	for i := range c.queues {
		q := &queue{wake: make(chan struct{}, 1)}
		c.queues[i] = q
		c.done.Go(func() { c.run(q) })
	}
	return c
}

// wait stops all posts and waits for them.
func (c *callbacks) wait() {
	c.cancel()
	c.done.Wait()
	c.client.CloseIdleConnections()
}

// Callbacks returns the callbacks so far, in the order of their responses.
func (s *Simulator) Callbacks() []Callback {
	s.callbacks.mu.Lock()
	defer s.callbacks.mu.Unlock()
	return append([]Callback(nil), s.callbacks.sent...)
}

// receipt queues the callback of a status, with its faults. s.mu of the simulator is held.
func (c *callbacks) receipt(m *message, status textinghouse.Status) {
	fields := map[string]string{"apimsgid": m.APIID, "status": strconv.Itoa(int(status))}
	if m.ClientID != "" {
		fields["climsgid"] = m.ClientID
	}
	c.enqueue(m, m.account.ReceiptURL, fields)
}

// reply queues the callback of a reply. s.mu of the simulator is held.
func (c *callbacks) reply(m *message, text string, at time.Time) {
	fields := map[string]string{"apimsgid": m.APIID, "from": m.To, "txt": text, "date": at.UTC().Format(time.RFC3339)}
	if m.ClientID != "" {
		fields["climsgid"] = m.ClientID
	}
	c.enqueue(m, m.account.ReplyURL, fields)
}

func (c *callbacks) enqueue(m *message, url string, fields map[string]string) {
	p := post{key: m.APIID, url: url}
	times, reordered := 1, false
	if f := c.sim.takeFaultLocked("", true); f != nil {
		switch f.Kind {
		case CallbackLost:
			return
		case CallbackRepeat:
			times = f.N
		case CallbackDelay:
			p.delay = f.Delay
		case CallbackReorder:
			reordered = true
		case CallbackStatus:
			if fields["status"] != "" {
				fields["status"] = strconv.Itoa(f.N)
			}
		}
	}
	var err error
	if p.body, err = json.Marshal(fields); err != nil {
		panic(err) // strings can always be encoded
	}
	if reordered {
		c.mu.Lock()
		c.held = &p
		c.mu.Unlock()
		return
	}
	for range times {
		c.push(p)
	}
	c.mu.Lock()
	held := c.held
	c.held = nil
	c.mu.Unlock()
	if held != nil {
		held.key = p.key // so that it comes after this one, in its queue
		c.push(*held)
	}
}

func (c *callbacks) push(p post) {
	h := fnv.New32a()
	h.Write([]byte(p.key))
	q := c.queues[h.Sum32()%callbackWorkers]
	q.mu.Lock()
	q.posts = append(q.posts, p)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (c *callbacks) run(q *queue) {
	for {
		q.mu.Lock()
		var p *post
		if len(q.posts) > 0 {
			p = &q.posts[0]
			q.posts = q.posts[1:]
		}
		q.mu.Unlock()
		if p == nil {
			select {
			case <-c.ctx.Done():
				return
			case <-q.wake:
			}
			continue
		}
		if p.delay > 0 { // later ones overtake it
			c.done.Go(func() {
				if c.sleep(p.delay) {
					c.post(*p)
				}
			})
			continue
		}
		c.post(*p)
	}
}

// post posts a callback, at most callbackTries times, until the response is 2xx.
func (c *callbacks) post(p post) {
	result := Callback{URL: p.url, Body: string(p.body)}
	for gap := 250 * time.Millisecond; result.Tries < callbackTries; gap *= 4 {
		result.Tries++
		result.Code, result.Err = c.once(p)
		if result.Code/100 == 2 || !c.sleep(gap) {
			break
		}
	}
	if result.Code/100 != 2 {
		c.sim.logger.Warn("callback failed", "code", result.Code, "tries", result.Tries, "err", result.Err)
	}
	c.mu.Lock()
	c.sent = append(c.sent, result)
	c.mu.Unlock()
	c.sim.mu.Lock()
	c.sim.notify()
	c.sim.mu.Unlock()
}

func (c *callbacks) once(p post) (code int, err error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, p.url, bytes.NewReader(p.body))
	if err != nil {
		return 0, fmt.Errorf("callback: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// sleep waits. It returns false if the simulator was closed meanwhile.
func (c *callbacks) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
