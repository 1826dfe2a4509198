package main

import (
	"net"
	"net/http"
	"os"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver"
)

// checksUser returns a function that reports whether the web configuration has a user, in which case
// exporter-toolkit has checked the password. It returns nil if there is no such file. The function reads the
// file each time, as exporter-toolkit does, so a user removed from it can no longer log in.
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

// exempt lets requests that need no login skip the check of exporter-toolkit, which applies to all.
// exporter-toolkit puts its handler into the server before the server accepts the first connection; then
// exempt puts its own in front.
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
