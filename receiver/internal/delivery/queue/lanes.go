package queue

import (
	"slices"
	"time"
)

// LateFor is the longest delay until a message that another replica added reaches the queue.
const LateFor = 30 * time.Second

// lane identifies the messages of one recipient, receiver and group, which are sent one after
// another: it is a hash of these.
type lane uint64

// lanes holds the items of each lane, oldest first. Only the first of a lane may run.
type lanes struct {
	dues     *dues
	limits   *limits
	first    map[lane]*item       // it knows those behind it
	lastSent map[lane]sentMessage // the newest message that was sent, kept while an older one may arrive
	loading  bool                 // messages of earlier runs still arrive
	shared   bool                 // other replicas add messages, which may arrive late
}

// sentMessage is a message that the provider has.
type sentMessage struct {
	id string
	at moment
}

// add inserts an item into its lane by age, but always behind the first, which may be running. It
// reports whether the item is the first.
func (l *lanes) add(it *item) (first bool) {
	front := l.first[it.lane]
	if front == nil {
		l.first[it.lane] = it
		return true
	}
	behind := append(front.own().behind, it)
	for i := len(behind) - 1; i > 0 && behind[i-1].id > it.id; i-- {
		behind[i-1], behind[i] = behind[i], behind[i-1]
	}
	front.rare.behind = behind
	return false
}

// remove removes an item from its lane. If it was the first, remove returns the next, nil without
// one.
func (l *lanes) remove(it *item) (next *item) {
	front := l.first[it.lane]
	behind := front.has().behind
	switch {
	case front != it:
		i := slices.Index(behind, it)
		front.rare.behind = slices.Delete(behind, i, i+1)
	case len(behind) == 0:
		delete(l.first, it.lane)
	default:
		next = behind[0]
		next.own().behind = slices.Delete(behind, 0, 1)
		l.first[it.lane] = next
	}
	return next
}

// late reports whether an item that is older than the last sent message may wait in the lane, or
// still arrive.
func (l *lanes) late(of lane) bool { return l.first[of] != nil || l.loading || l.shared }

// newest returns the newest item of a lane, nil if the lane is empty or a newer one was sent already.
func (l *lanes) newest(of lane) *item {
	newest := l.first[of]
	if newest == nil {
		return nil
	}
	behind := newest.has().behind
	if n := len(behind); n > 0 && behind[n-1].id > newest.id { // the first may be newer: it may run
		newest = behind[n-1]
	}
	if l.lastSent[of].id > newest.id {
		return nil
	}
	return newest
}

// forget drops the records of sent messages that can no longer supersede anything.
func (l *lanes) forget(now time.Time) {
	for of, p := range l.lastSent {
		if l.first[of] == nil && !l.loading && (!l.shared || now.Sub(p.at.time()) > LateFor) {
			delete(l.lastSent, of)
		}
	}
}

// sent records that the provider has a message of a lane: it supersedes older ones.
func (l *lanes) sent(of lane, id string, now time.Time) {
	if !l.late(of) {
		delete(l.lastSent, of)
		return
	}
	if id > l.lastSent[of].id {
		l.lastSent[of] = sentMessage{id, momentOf(now)}
	}
	l.freshen(of, now)
}

// freshen makes the newest message of a lane supersede the others.
func (l *lanes) freshen(of lane, now time.Time) {
	front := l.first[of]
	if front == nil {
		return
	}
	newest := l.newest(of)
	l.supersedeUnlessNewest(front, newest, now)
	for _, it := range front.has().behind {
		l.supersedeUnlessNewest(it, newest, now)
	}
}

// supersedeUnlessNewest makes the newest message of a lane supersede an item, unless the item is the newest.
func (l *lanes) supersedeUnlessNewest(it, newest *item, now time.Time) {
	if it != newest {
		l.supersede(it, newest, now)
	}
}

// supersede makes a newer message replace an item; by is nil if the newer one was sent already.
// If the provider may have the item, the provider is asked first, immediately if the item's request
// must have ended.
func (l *lanes) supersede(it, by *item, now time.Time) {
	if it.phase == running || it.isSuperseded() || it.digests {
		return
	}
	if by != nil {
		it.own().successor = by.id
	} else {
		it.own().successor = l.lastSent[it.lane].id
	}
	if it.maybeInFlight() {
		return
	}
	if by != nil && !it.inDoubt() {
		by.own().missed += it.has().missed + 1
	}
	if it.at >= 0 { // what it waits for no longer matters
		l.limits.release(it)
		it.phase = waiting
		l.dues.hasten(it, now)
	}
}
