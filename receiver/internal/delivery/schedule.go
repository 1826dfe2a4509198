package delivery

import (
	"container/heap"
	"hash/maphash"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// job is a message that is to be sent. There may be very many.
type job struct {
	id        string
	lane      lane
	flood     uint64          // of recipient and text
	message   *outbox.Message // nil: to be read from the store, as a long queue holds no texts
	receiver  string
	outdated  string // the newer message that tells more; this one is not sent
	fold      []*job // with what it is to be told in a digest
	expires   time.Time
	notBefore time.Time // it waits until then, zero: not
	tried     *tried    // nil before the first attempt
	due       time.Time // when it is to run next, while it waits in the heap

	segments int32
	missed   int32 // older messages of its group that were not sent for it
	failures int32 // in a row; sets the backoff
	at       int32 // its place in the heap, -1 while it is not there

	limited bool // the recipient's limits hold it back
	low     bool // so does a budget that is spent
	pages   bool // it tells of a page, and it is not noted that it waits
	paid    bool // it is counted among what the recipient was sent
	held    bool // it waits for the limits, or for its recipient's morning
	waited  bool // it did
	folds   bool // it runs to be told in a digest
	doubt   bool // an earlier attempt may have been taken: the provider is asked first
	flooded bool // the provider had its text from somebody already: likewise
	runs    bool // it was given out by next
	parked  bool // it waits for the account, not for its own time
}

// tried is when a message was tried to be sent.
type tried struct {
	first time.Time // when the first attempt began whose request may still be on its way
	last  time.Time
}

// lane is what messages queue up in: those of one recipient, group and receiver
// go one after the other.
type lane struct {
	to      e164.Number
	group   uint64 // of receiver and group key
	digests bool   // none of which makes another needless
}

// schedule decides which message goes next. It knows no clock, no network and
// no store: its owner, one goroutine, tells it the time.
type schedule struct {
	seed       maphash.Seed
	interned   map[string]string // names and numbers, which many jobs have in common
	lanes      map[lane][]*job   // the first of each is the one that may run
	passed     map[lane]passed   // the newest that was sent of each lane, as long as an older one may turn up
	heap       jobHeap           // the first of each lane, unless it runs or waits for a flood to end
	floods     map[uint64]*flood
	people     map[e164.Number]*person
	limits     map[string][]Limit // of each receiver
	everyLimit []Limit            // of any receiver, each once
	holds      []hold             // to be noted
	budget     budget
	pause      time.Duration // between any two messages; 0: none
	paced      time.Time     // not before this
	ending     []ending      // floods that end by themselves, in order
	blocked    time.Time
	trial      *job // the one job that runs although the account is blocked
	loading    bool // messages of earlier runs are still being added
	shared     bool // other processes add messages, of which this one may hear late
}

// passed is a message that was sent.
type passed struct {
	id string
	at time.Time
}

// passedFor is how long what other processes added may take to turn up.
const passedFor = 2 * missedGap

// newSchedule makes one to which messages of earlier runs are to be added; see loaded.
func newSchedule(shared bool) *schedule {
	return &schedule{
		seed: maphash.MakeSeed(), interned: make(map[string]string), lanes: make(map[lane][]*job), passed: make(map[lane]passed), floods: make(map[uint64]*flood), people: make(map[e164.Number]*person),
		loading: true, shared: shared,
	}
}

// intern returns an equal string that other jobs use, too.
func intern[S ~string](s *schedule, text S) S {
	const most = 10_000
	if known, ok := s.interned[string(text)]; ok {
		return S(known)
	}
	if len(s.interned) == most {
		clear(s.interned)
	}
	s.interned[string(text)] = string(text)
	return text
}

// newJob makes the job for a message. keep says whether to hold its text in memory.
func (s *schedule) newJob(m outbox.Message, keep bool) *job {
	digest := m.GroupKey == outbox.DigestGroup
	j := &job{
		id:        m.ID,
		lane:      lane{intern(s, m.To), maphash.Comparable(s.seed, [2]string{m.Receiver, m.GroupKey}), digest},
		flood:     maphash.Comparable(s.seed, [2]string{string(m.To), m.Text}),
		expires:   m.ExpiresAt,
		notBefore: m.NotBefore,
		segments:  int32(m.Segments),
		receiver:  intern(s, m.Receiver),
		limited:   isLimited(&m),
		low:       isLimited(&m) && templating.SeverityRank(m.Severity) > 0,
		pages:     m.PageID != "",
		paid:      digest,
		at:        -1,
		doubt:     m.State == outbox.Sending,
		outdated:  m.OutdatedBy,
	}
	if !m.AttemptedAt.IsZero() {
		j.tried = &tried{m.AttemptedAt, m.AttemptedAt}
	}
	if keep {
		j.message = &m
	}
	return j
}

// add queues a job in its lane, in the order of ids. Those before it that were
// not sent yet need not be, as it tells their group's newer state.
func (s *schedule) add(j *job, now time.Time) {
	queue := append(s.lanes[j.lane], j)
	for i := len(queue) - 1; i > 1 && queue[i-1].id > j.id; i-- {
		queue[i-1], queue[i] = queue[i], queue[i-1]
	}
	s.lanes[j.lane] = queue
	if queue[0] == j {
		s.wait(j, now)
	}
	s.freshen(j.lane, now)
}

// sent takes in that the provider took a message of a lane: those that are older
// need not be sent any more.
func (s *schedule) sent(l lane, id string, now time.Time) {
	if len(s.lanes[l]) == 0 && !s.loading && !s.shared {
		return
	}
	if id > s.passed[l].id {
		s.passed[l] = passed{id, now}
	}
	s.freshen(l, now)
}

// loaded ends the time in which messages of earlier runs turn up.
func (s *schedule) loaded(now time.Time) {
	s.loading = false
	s.forgetPassed(now)
}

// forgetPassed drops what can make nothing needless any more.
func (s *schedule) forgetPassed(now time.Time) {
	for l, p := range s.passed {
		if len(s.lanes[l]) == 0 && !s.loading && (!s.shared || now.Sub(p.at) > passedFor) {
			delete(s.passed, l)
		}
	}
}

// freshen gives up what is older than the newest of its lane.
func (s *schedule) freshen(l lane, now time.Time) {
	newest := s.newest(l)
	for _, older := range s.lanes[l] {
		if older != newest {
			s.outdate(older, newest, now)
		}
	}
}

// newest is the last of a lane's queue, or nil where a newer one was sent already.
func (s *schedule) newest(l lane) *job {
	queue := s.lanes[l]
	if len(queue) == 0 {
		return nil
	}
	newest := queue[len(queue)-1]
	if first := queue[0]; first.id > newest.id { // it runs already
		newest = first
	}
	if s.passed[l].id > newest.id {
		return nil
	}
	return newest
}

// outdate gives up a job for one that tells more, which is nil where it was sent
// already. One that may have been sent is given up when the provider says that it
// was not.
func (s *schedule) outdate(j, by *job, now time.Time) {
	if j.runs || j.outdated != "" || j.lane.digests {
		return
	}
	if by != nil {
		j.outdated = by.id
	} else {
		j.outdated = s.passed[j.lane].id
	}
	if j.doubt {
		return
	}
	if by != nil {
		by.missed += j.missed + 1
	}
	if j.at >= 0 { // it waits for something that it no longer needs
		s.release(j)
		j.due = now
		heap.Fix(&s.heap, int(j.at))
	}
}

// next takes out a job that is to run now. Without one it returns nil and the
// time of the next, zero where none waits.
func (s *schedule) next(now time.Time) (*job, time.Time) {
	s.endFloods(now)
	for len(s.heap) > 0 {
		j := s.heap[0]
		if j.due.After(now) {
			return nil, j.due
		}
		heap.Pop(&s.heap)
		j.parked = false
		held, late := j.held, now.After(j.expires)
		s.release(j)
		if !j.doubt && (late && !j.waited || j.outdated != "") { // runs to be given up; it sends nothing
			j.runs = true
			return j, now
		}
		if s.isBlocked() && (s.trial != nil || now.Before(s.blocked)) {
			s.park(j, now)
			continue
		}
		if at := s.allowed(j, now); at.After(now) {
			// Once it is too old, it is told in a digest, whatever the limits say.
			if asleep := j.notBefore.After(now); asleep || !late {
				if !asleep && j.expires.Before(at) {
					at = j.expires.Add(time.Millisecond)
				}
				s.hold(j, at)
				continue
			}
		}
		if held || late && !j.doubt {
			if others := s.heldWith(j, now); late || len(others) > 0 {
				for _, other := range others {
					s.release(other)
					heap.Remove(&s.heap, int(other.at))
					other.runs = true
				}
				j.fold, j.folds, j.runs = others, true, true
				return j, now
			}
		}
		if s.pause > 0 && now.Before(s.paced) {
			s.wait(j, s.paced)
			continue
		}
		if !s.enterFlood(j, now) {
			continue
		}
		if s.isBlocked() {
			s.trial = j
		}
		s.pay(j, now)
		s.paced = now.Add(s.pause)
		j.runs = true
		return j, now
	}
	return nil, time.Time{}
}

// wait lets a job run at a time, or when it is too old, whatever comes first.
func (s *schedule) wait(j *job, at time.Time) {
	if !j.doubt && !j.waited && j.expires.Before(at) {
		at = j.expires.Add(time.Millisecond)
	}
	j.due = at
	heap.Push(&s.heap, j)
}

// again puts a job that ran back, to run again at a time.
func (s *schedule) again(j *job, at, now time.Time) {
	j.runs = false
	if s.trial == j {
		s.trial = nil
		s.blocked = now.Add(accountRetry)
	}
	if !j.doubt {
		s.leaveFlood(j, now, now)
	}
	s.wait(j, at)
	if newest := s.newest(j.lane); newest != j {
		s.outdate(j, newest, now)
	}
}

// foldAgain puts jobs that could not be told in a digest back, to be told at a time.
func (s *schedule) foldAgain(jobs []*job, at, now time.Time) {
	for _, j := range jobs {
		j.runs = false
		s.hold(j, at)
		if newest := s.newest(j.lane); newest != j {
			s.outdate(j, newest, now)
		}
	}
}

// done removes a job that ran; the next in its lane may run. taken is when the
// provider took it, zero if it did not.
func (s *schedule) done(j *job, taken, now time.Time) {
	if s.trial == j {
		s.trial = nil
	}
	free := now
	if !taken.IsZero() {
		free = taken.Add(floodWindow)
	}
	s.leaveFlood(j, free, now)
	queue := s.lanes[j.lane]
	queue[0] = nil
	if queue = queue[1:]; len(queue) == 0 {
		delete(s.lanes, j.lane)
	} else {
		s.lanes[j.lane] = queue
		s.wait(queue[0], now)
	}
	switch {
	case !taken.IsZero():
		if j.lane.to != testNumber {
			s.budget.spend(int(j.segments), now)
		}
		s.sent(j.lane, j.id, now)
	case len(queue) == 0 && !s.loading && !s.shared:
		delete(s.passed, j.lane)
	}
}

// isBlocked reports whether the account refuses everything.
func (s *schedule) isBlocked() bool { return !s.blocked.IsZero() }

// block stops sending until a time, when one message tries again.
func (s *schedule) block(until time.Time) { s.blocked = until }

// unblock resumes sending, all that waited for it included.
func (s *schedule) unblock(now time.Time) {
	if !s.isBlocked() {
		return
	}
	s.blocked, s.trial = time.Time{}, nil
	for _, j := range s.heap {
		if j.parked {
			j.parked, j.due = false, now
		}
	}
	heap.Init(&s.heap)
}

// park lets a job wait for the account. A blocked account is tried again at
// s.blocked, by one job; the others look again a minute later.
func (s *schedule) park(j *job, now time.Time) {
	j.parked = true
	at := s.blocked
	if !at.After(now) {
		at = now.Add(accountRetry)
	}
	s.wait(j, at)
}

// jobHeap orders jobs by due time, then by age.
type jobHeap []*job

func (h jobHeap) Len() int { return len(h) }
func (h jobHeap) Less(a, b int) bool {
	if !h[a].due.Equal(h[b].due) {
		return h[a].due.Before(h[b].due)
	}
	return h[a].id < h[b].id
}
func (h jobHeap) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].at, h[b].at = int32(a), int32(b)
}
func (h *jobHeap) Push(x any) {
	j := x.(*job)
	j.at = int32(len(*h))
	*h = append(*h, j)
}
func (h *jobHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	j.at = -1
	return j
}
