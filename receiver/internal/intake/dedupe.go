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

// repeatWindow is the duplicate window of a notification that Alertmanager may repeat
// intentionally: its reason is the repeat interval, or it has no reason.
const repeatWindow = time.Minute

// remembered is how many notifications the memory holds.
const remembered = 4096

// keyOf returns the key of a notification: equal notifications have the same. It leaves out the
// external URL and the reason, because the replicas of an Alertmanager differ in them.
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

// write adds a string with its length, so that different lists give different keys.
func write(h hash.Hash, s string) {
	number(h, uint64(len(s)))
	h.Write([]byte(s))
}

func number(h hash.Hash, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	h.Write(b[:])
}

// window returns how long an equal notification is a duplicate.
func window(n *templating.Notification, dedupe time.Duration) time.Duration {
	if n.NotificationReason == "" || n.NotificationReason == reasonRepeat {
		return min(repeatWindow, dedupe)
	}
	return dedupe
}

// memory remembers recent notifications, so that the store is asked less. It admits one
// notification of a key at a time: the next one waits for the outcome.
type memory struct {
	mu      sync.Mutex
	entries *lru.Cache[outbox.Key, *entry]
}

// entry is a notification that memory remembers.
type entry struct {
	mu   sync.Mutex // held while the notification is handled
	seen time.Time  // when it was first accepted; zero: not yet
	ids  []string
}

func newMemory() *memory {
	entries, err := lru.New[outbox.Key, *entry](remembered)
	if err != nil {
		panic(err) // only if the size is not positive
	}
	return &memory{entries: entries}
}

// enter returns the entry of a key, locked. The caller must call entry.mu.Unlock.
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

// repeats reports whether the notification was accepted within the window.
func (e *entry) repeats(now time.Time, window time.Duration) bool {
	return !e.seen.IsZero() && now.Sub(e.seen).Abs() < window
}
