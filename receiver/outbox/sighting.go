package outbox

import (
	"slices"
	"time"
)

// twinWindow is how long after a new state a twin may still send a copy of the state before: each peer
// of an Alertmanager cluster waits 15 s for each peer ahead of it (--cluster.peer-timeout).
const twinWindow = 30 * time.Second

// Sighting is what a [Store] keeps of the latest Entry with a Key: the latest state of a group.
type Sighting struct {
	State   Key
	Before  Key       // the state before it, zero for none
	SeenAt  time.Time // when State was first seen
	Sources []string  // senders of State
	Earlier []string  // senders of Before
	IDs     []string  // IDs of the entry's messages
}

// Repeats reports whether an entry is a duplicate: it equals the latest state within its window, or it
// is a late copy of the state before that, from a twin that has sent neither.
func (s *Sighting) Repeats(e *Entry) bool {
	since := e.SeenAt.Sub(s.SeenAt).Abs()
	if e.State == s.State {
		return since < e.Window
	}
	return s.Late(e)
}

// Duplicate returns the result of storing an entry that is a duplicate, see Repeats.
func (s *Sighting) Duplicate(e *Entry) Added {
	added := Added{Duplicate: true, IDs: s.IDs}
	if e.State != s.State {
		added.LateAfter = s.SeenAt
	}
	return added
}

// Late reports whether an entry may be a late copy of the state before the latest, from a twin that has
// sent neither.
func (s *Sighting) Late(e *Entry) bool {
	return e.State == s.Before && s.Twin(e) && !slices.Contains(s.Earlier, e.Source)
}

// Twin reports whether an entry may show an earlier state: it differs from the latest, and its sender is
// a twin that has not sent the latest.
func (s *Sighting) Twin(e *Entry) bool {
	since := e.SeenAt.Sub(s.SeenAt).Abs()
	return e.Source != "" && !e.Intended && e.State != s.State && since < twinWindow && len(s.Sources) > 0 && !slices.Contains(s.Sources, e.Source)
}

// Next returns the sighting after an entry that is not a duplicate.
func (s *Sighting) Next(e *Entry) Sighting {
	next := Sighting{State: e.State, SeenAt: e.SeenAt, IDs: e.IDs()}
	if e.Source != "" {
		next.Sources = []string{e.Source}
	}
	if s.State == e.State {
		next.Before, next.Earlier = s.Before, s.Earlier
	} else {
		next.Before, next.Earlier = s.State, s.Sources
	}
	return next
}

// Join adds the sender of a duplicate, and reports whether that changes the sighting.
func (s *Sighting) Join(e *Entry) bool {
	if e.State != s.State || e.Source == "" || slices.Contains(s.Sources, e.Source) || len(s.Sources) >= maxSources {
		return false
	}
	s.Sources = append(slices.Clip(s.Sources), e.Source)
	return true
}

// maxSources bounds the sources of a state; a cluster has a few peers.
const maxSources = 16
