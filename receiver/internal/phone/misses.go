package phone

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// mostMisses is how many wrong tokens an address prefix may try within missWindow.
	mostMisses = 20
	missWindow = 10 * time.Minute
	// prefixes is how many address prefixes are remembered.
	prefixes = 10_000
)

// misses counts the wrong tokens of each address prefix.
type misses struct {
	mu   sync.Mutex
	seen *lru.Cache[netip.Prefix, counted]
}

type counted struct {
	n     int
	since time.Time
}

func newMisses() *misses {
	seen, _ := lru.New[netip.Prefix, counted](prefixes) // an error only for a size below 1
	return &misses{seen: seen}
}

// allows reports whether a prefix may try another token.
func (m *misses) allows(from netip.Prefix, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, known := m.seen.Get(from)
	return !known || c.n < mostMisses || now.Sub(c.since) >= missWindow
}

// count notes a wrong token.
func (m *misses) count(from netip.Prefix, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, known := m.seen.Get(from)
	if !known || now.Sub(c.since) >= missWindow {
		c = counted{since: now}
	}
	c.n++
	m.seen.Add(from, c)
}

// prefix returns the address prefix that a request comes from: what one customer of a network has. A
// trusted proxy names its client.
func (h *Handler) prefix(r *http.Request) netip.Prefix {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip, _ := netip.ParseAddr(host)
	ip = ip.Unmap().WithZone("")
	proxies := h.settings.Load().cfg.Console.TrustedProxies
	if slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		client := strings.TrimSpace(all[len(all)-1])
		if withPort, err := netip.ParseAddrPort(client); err == nil { // as some proxies write it
			client = withPort.Addr().String()
		}
		if addr, err := netip.ParseAddr(strings.Trim(client, "[]")); err == nil {
			ip = addr.Unmap().WithZone("")
		}
	}
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	p, _ := ip.Prefix(bits) // an error only for an address that could not be read
	return p
}
