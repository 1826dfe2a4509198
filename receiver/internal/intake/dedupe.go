package intake

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// repeatWindow is the duplicate window of a notification that may be a wanted
// repetition: its reason is the repeat interval, or it gives none.
const repeatWindow = time.Minute

// remembered is how many notifications the memory in front of the store holds.
const remembered = 4096

// keyOf tells whether two notifications are the same one. The external URL is
// left out, as the replicas of a highly available Alertmanager differ in it; so
// is the reason, as each replica has its own.
func keyOf(receiver string, n *templating.Notification) outbox.Key {
	h := sha256.New()
	write(h, receiver)
	write(h, n.GroupKey)
	number(h, n.TruncatedAlerts)
	alerts := slices.Clone(n.Alerts)
	slices.SortFunc(alerts, func(a, b template.Alert) int {
		return cmp.Or(cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Status, b.Status), a.StartsAt.Compare(b.StartsAt))
	})
	for _, a := range alerts {
		write(h, a.Fingerprint)
		write(h, a.Status)
		number(h, uint64(a.StartsAt.UnixNano()))
	}
	var key outbox.Key
	h.Sum(key[:0])
	return key
}

// write adds a string with its length, so that no two lists look alike.
func write(h hash.Hash, s string) {
	number(h, uint64(len(s)))
	h.Write([]byte(s))
}

func number(h hash.Hash, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	h.Write(b[:])
}

// window is how long after its first sighting a notification is a duplicate.
func window(n *templating.Notification, dedupe time.Duration) time.Duration {
	if n.NotificationReason == "" || n.NotificationReason == reasonRepeat {
		return min(repeatWindow, dedupe)
	}
	return dedupe
}

// memory remembers recent notifications, in front of the store. Whoever enters
// a key has it alone until it leaves: a second one waits for the outcome.
type memory struct {
	mu      sync.Mutex
	entries *lru.Cache[outbox.Key, *entry]
}

// entry is what is known of one notification.
type entry struct {
	mu   sync.Mutex // held by whoever works on the notification
	seen time.Time  // the first sighting of what was accepted, zero before it
	ids  []string
}

func newMemory() *memory {
	entries, err := lru.New[outbox.Key, *entry](remembered)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &memory{entries: entries}
}

// enter gives a key's entry to the caller alone. It must call entry.mu.Unlock.
func (m *memory) enter(key outbox.Key) *entry {
	m.mu.Lock()
	e, ok := m.entries.Get(key)
	if !ok {
		e = &entry{}
		m.entries.Add(key, e)
	}
	m.mu.Unlock()
	e.mu.Lock()
	return e
}

// repeats reports whether what was stored is recent.
func (e *entry) repeats(now time.Time, window time.Duration) bool {
	return !e.seen.IsZero() && now.Sub(e.seen).Abs() < window
}
