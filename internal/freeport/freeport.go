// Package freeport finds ports for programs that tests and measurements start.
package freeport

import (
	"net"
	"strconv"
	"sync"
)

// given holds the ports this process has handed out: the program that got one may not listen on it yet.
var given sync.Map

// Get returns a port of 127.0.0.1 that nobody listens on, and that Get has not returned before.
func Get() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, err
		}
		if _, again := given.LoadOrStore(port, true); !again {
			return port, nil
		}
	}
}

// Address returns 127.0.0.1 with a port from Get.
func Address() (string, error) {
	port, err := Get()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
