// Package freeport finds ports for programs that tests and measurements start.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Get returns one of count ports from first on. Systems give higher ones to connections and to listeners that ask
// for any port: one of these could take the port before the program that it is for.
const (
	first = 20_000
	count = 12_000
)

// given holds the ports this process has handed out: the program that got one may not listen on it yet.
var given sync.Map

// Get returns a port of 127.0.0.1 that nobody listens on, and that Get has not returned before.
func Get() (int, error) {
	for tries := 1; ; tries++ {
		port := first + rand.IntN(count)
		l, err := net.Listen("tcp", address(port))
		switch {
		case err == nil:
			err = l.Close()
		case tries < count: // it is in use
			continue
		}
		if err != nil {
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
	return address(port), err
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
