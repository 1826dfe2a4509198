package queue

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// model is what a queue must hold. Its lanes are group keys.
type model struct {
	waiting map[string]string // lanes by ID
	first   map[string]string // IDs by lane
	running map[string]Run    // by lane
}

// advance chooses the first message of a lane if there is none: the oldest.
func (m *model) advance(lane string) {
	var ids []string
	for id, in := range m.waiting {
		if in == lane {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		delete(m.first, lane)
	} else if m.waiting[m.first[lane]] == "" {
		m.first[lane] = slices.Min(ids)
	}
}

func (m *model) add(id, lane string) {
	if m.waiting[id] == "" {
		m.waiting[id] = lane
		m.advance(lane)
	}
}

func (m *model) keep(keep func(id string) bool) {
	maps.DeleteFunc(m.waiting, func(id, lane string) bool { return m.running[lane].ID != id && !keep(id) })
	for _, lane := range slices.Collect(maps.Keys(m.first)) {
		m.advance(lane)
	}
}

// TestNothingIsLost adds messages in any order, settles Runs in any order and with any result, and
// compares the queue with a model. Of each lane only the first message runs, then the oldest of the
// others, and in the end each message has ended.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		q, now := NewQueue(start, seed%2 == 0), start
		m := &model{make(map[string]string), make(map[string]string), make(map[string]Run)}
		for step := 0; len(m.waiting) > 0 || step < 1000; step++ {
			switch n := r.IntN(10); {
			case n < 4 && step < 1000:
				msg := message(r.IntN(9000), alice, []string{"a", "b", "c", outbox.DigestGroup}[r.IntN(4)])
				q.Add(msg, Origin(r.IntN(3)), now)
				m.add(msg.ID, msg.GroupKey)
			case n < 6:
				run, _ := q.Next(now)
				if run.Do == Nothing {
					break
				}
				lane := m.waiting[run.ID]
				if other, ok := m.running[lane]; ok || run.ID != m.first[lane] {
					t.Fatalf("seed %d: %s of lane %q runs beside %q, want %q alone", seed, run.ID, lane, other.ID, m.first[lane])
				}
				m.running[lane] = run
			case n < 9 && len(m.running) > 0:
				result := []Result{{}, {AcceptedAt: now}, {Again: now.Add(time.Second)}, {Again: now, Doubt: Doubt{Ask: true, Cleared: true}}}[r.IntN(4)]
				lane := slices.Sorted(maps.Keys(m.running))[r.IntN(len(m.running))]
				result.Run = m.running[lane]
				if delete(m.running, lane); result.Again.IsZero() {
					delete(m.waiting, result.Run.ID)
					m.advance(lane)
				}
				q.Settle(result, now)
			case step%100 == 0:
				last := strconv.Itoa(r.IntN(10))
				keep := func(id string) bool { return id[len(id)-1:] != last }
				q.Keep(keep, now)
				m.keep(keep)
			default:
				now = now.Add(time.Second)
			}
			if q.Len() != len(m.waiting) || step > 100_000 {
				t.Fatalf("seed %d, step %d: the queue holds %d messages, want %d", seed, step, q.Len(), len(m.waiting))
			}
		}
	}
}
