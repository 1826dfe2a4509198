package outbox

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// maxAhead is how far the latest ID may be ahead of the clock before Same makes a new ID instead.
const maxAhead = time.Second

// IDs makes message IDs: ULIDs, each greater than the one before, because lanes and lists are ordered
// by ID. It is safe for concurrent use.
type IDs struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64 // time of the last ID, ms
}

// NewIDs returns a source of IDs.
func NewIDs() *IDs { return &IDs{entropy: ulid.Monotonic(rand.Reader, 0)} }

// Above makes later IDs greater than id, such as the greatest one in the store, which a clock that was
// ahead may have made.
func (s *IDs) Above(id string) {
	if u, err := ulid.ParseStrict(id); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = max(s.last, u.Time()+1)
	}
}

// New makes an ID for a message created at a time, or at the last ID's time if that is later.
func (s *IDs) New(at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, ulid.Timestamp(at))
	id, err := ulid.New(s.last, s.entropy)
	if err != nil { // more IDs in one millisecond than the counter can hold
		s.last++
		id = ulid.MustNew(s.last, s.entropy)
	}
	return id.String()
}

// Same makes the ID of a message that was due at a time. Every process makes the same ID from the same
// time and parts. If the latest ID is ahead of the clock, Same makes a new ID instead, because the same
// one would be smaller than IDs of older messages.
func (s *IDs) Same(due, now time.Time, of ...string) string {
	s.mu.Lock()
	ahead := s.last > ulid.Timestamp(now.Add(maxAhead))
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

// FirstID returns an ID that is not greater than any made for this time or a later one.
func FirstID(at time.Time) string {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at)) // fails in the year 10889
	return id.String()
}

// MadeAt returns the time that an ID was made for, zero if id is not an ID.
func MadeAt(id string) time.Time {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return u.Timestamp()
}
