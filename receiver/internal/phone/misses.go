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
	// maxMisses is how many wrong tokens a client prefix may try within missWindow.
	maxMisses  = 20
	missWindow = 10 * time.Minute
	// prefixes is how many client prefixes are remembered.
	prefixes = 10_000
)

// misses counts the wrong tokens of each client prefix.
type misses struct {
	mu   sync.Mutex
	seen *lru.Cache[netip.Prefix, counted]
}

type counted struct {
	n     int
	since time.Time
}

func newMisses() *misses {
	seen, _ := lru.New[netip.Prefix, counted](prefixes) // fails only if the size is below 1
	return &misses{seen: seen}
}

// allows reports whether a prefix may try another token.
func (m *misses) allows(from netip.Prefix, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, known := m.seen.Get(from)
	return !known || c.n < maxMisses || now.Sub(c.since) >= missWindow
}

// count counts a wrong token.
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

// prefix returns the address prefix of a request's client: a /24 of IPv4 or a /48 of IPv6, which one
// customer of a network may have. If the request comes through a trusted proxy, the client is the one
// that the proxy names.
func (h *Handler) prefix(r *http.Request) netip.Prefix {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip, _ := netip.ParseAddr(host)
	ip = ip.Unmap().WithZone("")
	proxies := h.settings.Load().cfg.Console.TrustedProxies
	if slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		client := strings.TrimSpace(all[len(all)-1])
		if withPort, err := netip.ParseAddrPort(client); err == nil { // some proxies add the port
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
	p, _ := ip.Prefix(bits) // fails only if the address could not be parsed
	return p
}
