package main

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy connects smspager to PostgreSQL, and breaks requests and responses.
type proxy struct {
	listener net.Listener
	server   string
	work     sync.WaitGroup

	mu    sync.Mutex
	pairs map[*pair]struct{}

	away       atomic.Bool   // connections are refused
	lostCommit atomic.Uint32 // percentage of commits whose response is lost
	hung       atomic.Uint32 // percentage of requests that wait until the fault ends
	cut        atomic.Uint32 // percentage of requests that end their connection
	healed     atomic.Pointer[chan struct{}]
}

// pair is a client's connection to the proxy, and the proxy's connection to the server for it.
type pair struct {
	client, server net.Conn
}

func (p *pair) close() {
	p.client.Close()
	p.server.Close()
}

func newProxy(server string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, server: server, pairs: make(map[*pair]struct{})}
	p.heal()
	p.work.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if p.away.Load() {
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	c := &pair{client: client, server: server}
	defer c.close()
	p.mu.Lock()
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
	}()
	var back sync.WaitGroup
	back.Go(func() {
		defer c.close()
		block := make([]byte, 64<<10)
		for {
			n, err := server.Read(block)
			if bytes.Contains(block[:n], committed) && chance(&p.lostCommit) {
				return
			}
			if _, writeErr := client.Write(block[:n]); err != nil || writeErr != nil {
				return
			}
		}
	})
	p.forward(c)
	c.close()
	back.Wait()
}

// committed is how PostgreSQL reports that a transaction is stored.
var committed = []byte("COMMIT\x00")

// forward forwards requests to the server, with the faults of requests.
func (p *proxy) forward(c *pair) {
	block := make([]byte, 64<<10)
	for {
		n, err := c.client.Read(block)
		if n > 0 {
			switch {
			case chance(&p.cut):
				return
			case chance(&p.hung):
				<-*p.healed.Load()
			}
			if _, err := c.server.Write(block[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func chance(percent *atomic.Uint32) bool {
	n := percent.Load()
	return n > 0 && rand.Uint32N(100) < n
}

// during sets the percentage of a fault for a time.
func (p *proxy) during(what *atomic.Uint32, percent uint32, d time.Duration) {
	what.Store(percent)
	time.Sleep(d)
	p.heal()
}

// heal ends all faults.
func (p *proxy) heal() {
	p.away.Store(false)
	p.lostCommit.Store(0)
	p.hung.Store(0)
	p.cut.Store(0)
	next := make(chan struct{})
	if before := p.healed.Swap(&next); before != nil {
		close(*before)
	}
}

// leave ends all connections, and refuses new ones until the proxy is healed.
func (p *proxy) leave() {
	p.away.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.close()
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.heal()
	p.leave()
	p.work.Wait()
}
