// Package freeport finds ports for programs that tests and measurements start.
package freeport

import (
	"net"
	"strconv"
)

// Get returns a port of 127.0.0.1 that nobody listens on.
func Get() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Address returns 127.0.0.1 with such a port.
func Address() (string, error) {
	port, err := Get()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
