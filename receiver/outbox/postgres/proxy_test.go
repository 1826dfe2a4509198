package postgres_test

import (
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// proxy forwards between a store and the server.
type proxy struct {
	url     string
	ready   atomic.Int64                // round trips: how often the server sent ReadyForQuery
	respond atomic.Pointer[func() bool] // reports whether the next ReadyForQuery may pass; if not, the connection ends
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u.Host, u.RawQuery = l.Addr().String(), "sslmode=disable"
	p := &proxy{url: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client, server)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	messages := pgproto3.NewFrontend(server, nil)
	for {
		m, err := messages.Receive()
		if err != nil {
			return
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			if may := p.respond.Load(); may != nil && !(*may)() {
				return
			}
			p.ready.Add(1)
		}
		bytes, err := m.(interface{ Encode([]byte) ([]byte, error) }).Encode(nil)
		if err != nil {
			return
		}
		if _, err := client.Write(bytes); err != nil {
			return
		}
	}
}
