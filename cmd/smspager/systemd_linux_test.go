package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestSystemd: systemd is notified of the start, of a reload, for the watchdog while everything works, and
// of the end.
func TestSystemd(t *testing.T) {
	dir, err := os.MkdirTemp("", "sd") // short, because the path of a socket must be
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", socket.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "2000000")
	hears := func(want string) {
		t.Helper()
		_ = socket.SetReadDeadline(time.Now().Add(time.Minute))
		for b := make([]byte, 1024); ; {
			n, _, err := socket.ReadFromUnix(b)
			if err != nil {
				t.Fatalf("systemd does not receive %q: %v", want, err)
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return
			}
		}
	}
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	p := serveProcess(t, configFile(t, sim, onCallTeam))
	hears("READY=1")
	hears("WATCHDOG=1")
	hears("WATCHDOG=1")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hears("RELOADING=1\nMONOTONIC_USEC=")
	hears("READY=1")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hears("STOPPING=1")
	p.wait()
}
