package main

import (
	"net"
	"net/http"
	"os"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver"
)

// checksUser returns a function that reports whether the web configuration has a user, so that
// exporter-toolkit has checked their password; nil if there is no such file. It reads the file each time, as
// exporter-toolkit does: who is taken out of it can no longer log in.
func checksUser(file string) func(user string) bool {
	if file == "" {
		return nil
	}
	return func(user string) bool {
		var c struct {
			Users map[string]yaml.Node `yaml:"basic_auth_users"`
		}
		data, err := os.ReadFile(file)
		if err != nil || yaml.Unmarshal(data, &c) != nil {
			return false
		}
		_, known := c.Users[user]
		return known
	}
}

// exempt has requests that need no login skip the check of exporter-toolkit, which checks them all: it puts
// its own handler into the server before the server accepts the first connection, and exempt puts one in
// front of it then.
type exempt struct {
	net.Listener
	server *http.Server
	inner  http.Handler             // without the check
	skips  func(*http.Request) bool // reports whether a request needs no login
	once   sync.Once
}

func (e *exempt) Accept() (net.Conn, error) {
	e.once.Do(func() {
		checked := e.server.Handler
		e.server.Handler = receiver.WithHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if e.skips(r) {
				e.inner.ServeHTTP(w, r)
				return
			}
			checked.ServeHTTP(w, r)
		}))
	})
	return e.Listener.Accept()
}
