package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// provider accepts every message, and reports it as delivered if receipts is set. It does little,
// so that the programs get the processor.
type provider struct {
	*httptest.Server
	latency  time.Duration
	receipts string // URL that receipts are posted to; "": none
	got      atomic.Int64
	reported atomic.Int64
	queue    chan []byte
}

func newProvider(latency time.Duration) *provider {
	p := &provider{latency: latency, queue: make(chan []byte, 1<<20)}
	p.Server = httptest.NewServer(p)
	return p
}

// ServeHTTP responds as TextingHouse does to smspager, and as Kannel does to sachet.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(p.latency)
	if r.Method == http.MethodGet {
		p.got.Add(1)
		_, _ = io.WriteString(w, "0: Accepted for delivery")
		return
	}
	body, _ := io.ReadAll(r.Body)
	form := "&" + string(body)
	switch {
	case strings.Contains(form, "&api_id="):
		_, _ = io.WriteString(w, "3")
		return
	case strings.Contains(form, "&climsgid=") && !strings.Contains(form, "&cmd=sendsms"):
		_, _ = io.WriteString(w, "ERR: 202 | Unknown climsgid")
		return
	case !strings.Contains(form, "&cmd=sendsms"):
		_, _ = io.WriteString(w, "1000")
		return
	}
	n := p.got.Add(1)
	fmt.Fprintf(w, "ID:bench-%08d", n)
	if p.receipts != "" {
		_, id, _ := strings.Cut(form, "&climsgid=")
		id, _, _ = strings.Cut(id, "&")
		p.queue <- fmt.Appendf(nil, `{"apimsgid":"bench-%08d","climsgid":%q,"status":"3"}`, n, id)
	}
}

// report posts receipts until the queue is closed.
func (p *provider) report() {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for body := range p.queue {
		resp, err := client.Post(p.receipts, "application/json", bytes.NewReader(body))
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		p.reported.Add(1)
	}
}
