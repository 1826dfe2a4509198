package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// repeatWindow is the duplicate window of a notification that Alertmanager may repeat on purpose:
// its reason is the repeat interval, or is missing.
const repeatWindow = time.Minute

// remembered is the maximum number of groups in memory.
const remembered = 4096

// groupOf returns the key of a notification's group. It includes the organization, because
// organizations of one Grafana may have the same group keys.
func groupOf(receiver string, n *templating.Notification) outbox.Key {
	return sha256.Sum256(appendText(appendText(appendText(nil, receiver), n.GroupKey), n.Org))
}

// stateOf returns a hash of the state of a group, which is the same for equal notifications. It
// leaves out the external URL and the reason, because they differ between the replicas of an
// Alertmanager.
func stateOf(n *templating.Notification) outbox.Key {
	alerts := slices.Clone(n.Alerts)
	slices.SortFunc(alerts, func(a, b template.Alert) int {
		return cmp.Or(cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Status, b.Status), a.StartsAt.Compare(b.StartsAt))
	})
	state := binary.BigEndian.AppendUint64(nil, n.TruncatedAlerts)
	for _, a := range alerts {
		state = appendText(appendText(state, a.Fingerprint), a.Status)
		state = binary.BigEndian.AppendUint64(state, uint64(a.StartsAt.UnixNano()))
	}
	return sha256.Sum256(state)
}

// sourceOf returns a hash of the sender of a notification, or "" if the payload does not show it.
func sourceOf(n *templating.Notification) string {
	if n.ExternalURL == "" {
		return ""
	}
	key := sha256.Sum256(appendText(nil, n.ExternalURL))
	return hex.EncodeToString(key[:8])
}

// appendText appends a string with its length, so that different lists of strings have different hashes.
func appendText(to []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(to, uint64(len(s))), s...)
}

// clocks is how far Prometheus's clock may differ from the one that stored times come from.
const clocks = 5 * time.Second

// endedAfter reports whether a notification is resolved, and lists an alert that ended after a time when
// the group fired. It allows for clocks that differ.
func endedAfter(n *templating.Notification, fired time.Time) bool {
	return n.Status == string(model.AlertResolved) &&
		slices.ContainsFunc(n.Alerts, func(a template.Alert) bool { return a.EndsAt.After(fired.Add(-clocks)) })
}

// window returns how long an equal notification counts as a duplicate.
func window(n *templating.Notification, dedupe time.Duration) time.Duration {
	if n.NotificationReason == "" || n.Repeats() {
		return min(repeatWindow, dedupe)
	}
	return dedupe
}

// late reports whether Alertmanager shows that a notification is a twin's late copy of an earlier state of
// its group. It sets seen.Intended if a notification looks like a late copy and is news.
func (in *Intake) late(ctx context.Context, g *group, seen *outbox.Entry, n *templating.Notification) bool {
	if g.latest == nil || !g.latest.Twin(seen) {
		return false
	}
	firing := n.Status == string(model.AlertFiring)
	switch late := g.latest.Late(seen); {
	case late && endedAfter(n, g.latest.SeenAt):
		seen.Intended = true
	case firing && (late || g.status == string(model.AlertResolved)):
		fires, known := in.onCall.Fires(ctx, n)
		seen.Intended = fires
		return known && !fires
	}
	return false
}

// news reports whether a notification that the store takes for a late copy is news: Alertmanager lists an alert
// of it as active, or one ended after latest, when the latest state was seen. It then sets seen.Intended.
// latest is zero if the store takes the notification for a repetition. Memory has missed such a state, after
// a restart or at another replica.
func (in *Intake) news(ctx context.Context, seen *outbox.Entry, n *templating.Notification, latest time.Time) bool {
	switch {
	case latest.IsZero():
		return false
	case n.Status != string(model.AlertFiring):
		seen.Intended = endedAfter(n, latest)
	default:
		seen.Intended, _ = in.onCall.Fires(ctx, n)
	}
	return seen.Intended
}

// over reports whether a notification that repeats the latest state of its group is news, because an alert of
// it ended meanwhile: Alertmanager no longer listed it. It then sets seen.Window to 0, so that the store takes
// it for no duplicate. repeats is false for a late copy.
func (in *Intake) over(ctx context.Context, seen *outbox.Entry, n *templating.Notification, repeats bool) bool {
	if !repeats || in.onCall.Has(ctx, n.Receiver, n) {
		return false
	}
	seen.Window = 0
	return true
}

// memory caches the latest state of groups, to spare the store. It admits one notification of a
// group at a time: the next one waits for the outcome.
type memory struct {
	mu     sync.Mutex
	groups *lru.Cache[outbox.Key, *group]
}

// group holds the latest state of a group.
type group struct {
	mu     sync.Mutex       // held while a notification of the group is handled
	latest *outbox.Sighting // nil: unknown
	status string           // the latest status; "": unknown
	flips  []time.Time      // recent changes of the status
}

// flaps records the status of a notification that is not a duplicate. If the group flaps, it returns
// a sentence for the text. (The texts of pages have their own.)
func (g *group) flaps(status string, now time.Time) string {
	g.flips = slices.DeleteFunc(g.flips, func(at time.Time) bool { return now.Sub(at) >= page.FlapWindow })
	if g.status != "" && g.status != status {
		g.flips = append(g.flips, now)
	}
	if g.status = status; len(g.flips) < page.FlapChanges {
		return ""
	}
	return "Flapping: " + page.Changes(len(g.flips), now.Sub(g.flips[0]))
}

func newMemory() *memory {
	groups, _ := lru.New[outbox.Key, *group](remembered) // fails only for a size below 1
	return &memory{groups: groups}
}

// enter returns a group with its mutex locked. The caller must unlock it.
func (m *memory) enter(key outbox.Key) *group {
	m.mu.Lock()
	g, ok := m.groups.Get(key)
	if !ok {
		g = &group{}
		m.groups.Add(key, g)
	}
	m.mu.Unlock()
	g.mu.Lock()
	return g
}

// repeats reports whether an entry is a duplicate according to memory.
func (g *group) repeats(e *outbox.Entry) bool {
	if g.latest == nil || !g.latest.Repeats(e) {
		return false
	}
	g.latest.Join(e)
	return true
}

// accepted records an entry that has been stored.
func (g *group) accepted(e *outbox.Entry) {
	var before outbox.Sighting
	if g.latest != nil {
		before = *g.latest
	}
	next := before.Next(e)
	g.latest = &next
}
