package queue

import (
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// LateFor is the longest delay until a message that another replica added reaches the queue.
const LateFor = 30 * time.Second

// lane identifies the messages of one recipient, receiver and group, which are sent one after
// another.
type lane struct {
	to      e164.Number
	group   uint64 // hash of receiver and group key
	digests bool   // its messages are digests, which never supersede one another
}

// lanes holds the items of each lane, oldest first. Only the first of a lane may run.
type lanes struct {
	dues    *dues
	limits  *limits
	items   map[lane][]*item
	passed  map[lane]passed // the newest message that was sent, kept while an older one may arrive
	loading bool            // messages of earlier runs still arrive
	shared  bool            // other replicas add messages, which may arrive late
}

// passed is a message that the provider has.
type passed struct {
	id string
	at time.Time
}

// add inserts an item into its lane by age, but always behind the first, which may be running. It
// reports whether the item is the first.
func (l *lanes) add(it *item) (first bool) {
	items := append(l.items[it.lane], it)
	for i := len(items) - 1; i > 1 && items[i-1].id > it.id; i-- {
		items[i-1], items[i] = items[i], items[i-1]
	}
	l.items[it.lane] = items
	return items[0] == it
}

// remove removes an item from its lane. If it was the first, remove returns the next, nil without
// one.
func (l *lanes) remove(it *item) (next *item) {
	items := l.items[it.lane]
	for i, other := range items {
		if other != it {
			continue
		}
		copy(items[i:], items[i+1:])
		items[len(items)-1] = nil
		items = items[:len(items)-1]
		if i == 0 && len(items) > 0 {
			next = items[0]
		}
		break
	}
	if len(items) == 0 {
		delete(l.items, it.lane)
	} else {
		l.items[it.lane] = items
	}
	return next
}

// late reports whether an item that is older than the last sent message may wait in the lane, or
// still arrive.
func (l *lanes) late(of lane) bool { return len(l.items[of]) > 0 || l.loading || l.shared }

// newest returns the newest item of a lane, nil if the lane is empty or a newer one was sent already.
func (l *lanes) newest(of lane) *item {
	items := l.items[of]
	if len(items) == 0 {
		return nil
	}
	newest := items[len(items)-1]
	if items[0].id > newest.id { // the first may run although it is newer
		newest = items[0]
	}
	if l.passed[of].id > newest.id {
		return nil
	}
	return newest
}

// forget drops the records of sent messages that can no longer supersede anything.
func (l *lanes) forget(now time.Time) {
	for of, p := range l.passed {
		if len(l.items[of]) == 0 && !l.loading && (!l.shared || now.Sub(p.at) > LateFor) {
			delete(l.passed, of)
		}
	}
}

// sent records that the provider has a message of a lane: it supersedes older ones.
func (l *lanes) sent(of lane, id string, now time.Time) {
	if !l.late(of) {
		delete(l.passed, of)
		return
	}
	if id > l.passed[of].id {
		l.passed[of] = passed{id, now}
	}
	l.freshen(of, now)
}

// freshen makes the newest message of a lane supersede the others.
func (l *lanes) freshen(of lane, now time.Time) {
	newest := l.newest(of)
	for _, older := range l.items[of] {
		l.unlessNewest(older, newest, now)
	}
}

// unlessNewest makes the newest message of a lane supersede an item, unless the item is the newest.
func (l *lanes) unlessNewest(it, newest *item, now time.Time) {
	if it != newest {
		l.supersede(it, newest, now)
	}
}

// supersede makes a newer message replace an item; by is nil if the newer one was sent already.
// If the provider may have the item, the provider is asked first, immediately if the item's request
// must have ended.
func (l *lanes) supersede(it, by *item, now time.Time) {
	if it.phase == running || it.successor != "" || it.lane.digests {
		return
	}
	if by != nil {
		it.successor = by.id
	} else {
		it.successor = l.passed[it.lane].id
	}
	if it.maySend() {
		return
	}
	if by != nil && !it.inDoubt() {
		by.missed += it.missed + 1
	}
	if it.at >= 0 { // what it waits for no longer matters
		l.limits.release(it)
		it.phase = waiting
		l.dues.hasten(it, now)
	}
}
