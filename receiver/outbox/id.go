package outbox

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// maxAhead is how far ids may be ahead of this process's clock for Same to be in their order.
const maxAhead = time.Second

// IDs makes message ids: ULIDs, each greater than those before it, as lanes
// and lists are ordered by them. It is safe for concurrent use.
type IDs struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64 // ms of the last one
	// theirs is what the clock showed that orders when this process's was ours; zero: its own does.
	theirs, ours time.Time
}

// NewIDs makes a source of ids.
func NewIDs() *IDs { return &IDs{entropy: ulid.Monotonic(rand.Reader, 0)} }

// Above has the ids to come be greater than one, such as the greatest in the store: a clock
// that was ahead may have made it.
func (s *IDs) Above(id string) {
	if u, err := ulid.ParseStrict(id); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = max(s.last, u.Time()+1)
	}
}

// Order has the ids to come be made by another clock, such as the one of a shared database, which
// showed theirs when this process's showed ours. If that one is set later, they do not follow it.
func (s *IDs) Order(theirs, ours time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.theirs, s.ours = theirs, ours
}

// ordered is a time of this process by the clock that orders.
func (s *IDs) ordered(at time.Time) time.Time {
	if s.theirs.IsZero() {
		return at
	}
	return s.theirs.Add(at.Sub(s.ours))
}

// New makes an id for a message of a time, or of that of the last one where that
// was later.
func (s *IDs) New(at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, ulid.Timestamp(s.ordered(at)))
	id, err := ulid.New(s.last, s.entropy)
	if err != nil { // so many in one millisecond that the counter ran over
		s.last++
		id = ulid.MustNew(s.last, s.entropy)
	}
	return id.String()
}

// Same makes the id of a message that was due at a time. It is the same for the same time and parts,
// whatever process makes it. If other ids are ahead of the clock, it is a new one instead, as it would
// be smaller than older ones.
func (s *IDs) Same(due, now time.Time, of ...string) string {
	s.mu.Lock()
	ahead := s.ordered(now).Sub(now).Abs() > maxAhead || s.last > ulid.Timestamp(now.Add(maxAhead))
	s.mu.Unlock()
	if ahead {
		return s.New(now)
	}
	h := sha256.New()
	for _, part := range of {
		fmt.Fprintf(h, "%d %s", len(part), part)
	}
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(due)) // fails in the year 10889
	copy(id[6:], h.Sum(nil))
	return id.String()
}

// FirstID is not greater than any id that was made for a time or a later one.
func FirstID(at time.Time) string {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at)) // fails in the year 10889
	return id.String()
}

// MadeAt is the time that an id was made for, zero if it is no id.
func MadeAt(id string) time.Time {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return u.Timestamp()
}
