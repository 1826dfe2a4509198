package delivery

import (
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// directGrace is how long other replicas have, once the database is back, to store what
	// they sent without it.
	directGrace = 3 * storeRetry
	// maxGrace is how long a database that fails again and again holds messages up at most.
	maxGrace = 30 * time.Second
	// young is the age below which no newer message of the group is expected: a young message never waits.
	young = time.Second
)

// grace is the time after the database was in trouble, or after this process stopped leading, in which
// other replicas store what they sent meanwhile. It lasts until the open messages have been read again,
// and for directGrace more. Until it is over, messages that were made before the trouble wait: a newer
// one may supersede them.
type grace struct {
	mu     sync.Mutex
	first  time.Time // first trouble of a series without a pause of directGrace
	last   time.Time // last trouble, or when it was over
	unread bool      // the open messages have not been read since the last trouble
	since  time.Time // first trouble since they were read
}

// begin records that the database is in trouble.
func (g *grace) begin(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.unread {
		g.since = now
		if !within(now.Sub(g.last), directGrace) {
			g.first = now
		}
	}
	g.last, g.unread = now, true
}

// read records that the open messages have been read.
func (g *grace) read(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.unread {
		return
	}
	if !within(now.Sub(g.since), maxGrace) { // a long outage is over
		g.first = now
	}
	g.last, g.unread = now, false
}

// holds reports whether a message must wait.
func (g *grace) holds(id string, now time.Time) bool {
	made := outbox.MadeAt(id)
	g.mu.Lock()
	defer g.mu.Unlock()
	return (g.unread || within(now.Sub(g.last), directGrace)) && within(now.Sub(g.first), maxGrace) && !made.After(g.last) && now.Sub(made) >= young
}

// within reports whether a duration is less than a limit. One that a clock made negative is not.
func within(d, limit time.Duration) bool { return d >= 0 && d < limit }
