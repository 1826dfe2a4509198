package queue

import "time"

// LateFor is the longest delay until a message that another replica added reaches the queue.
const LateFor = 30 * time.Second

// lane identifies the messages of one recipient, receiver and group, which are sent one after
// another: it is a hash of these.
type lane uint64

// lanes holds the items of each lane, oldest first. Only the first of a lane may run.
type lanes struct {
	dues    *dues
	limits  *limits
	first   map[lane]*item  // the others follow by item.next
	passed  map[lane]passed // the newest message that was sent, kept while an older one may arrive
	loading bool            // messages of earlier runs still arrive
	shared  bool            // other replicas add messages, which may arrive late
}

// passed is a message that the provider has.
type passed struct {
	id string
	at moment
}

// add inserts an item into its lane by age, but always behind the first, which may be running. It
// reports whether the item is the first.
func (l *lanes) add(it *item) (first bool) {
	before := l.first[it.lane]
	if before == nil {
		l.first[it.lane] = it
		return true
	}
	for before.next != nil && before.next.id < it.id {
		before = before.next
	}
	before.next, it.next = it, before.next
	return false
}

// remove removes an item from its lane. If it was the first, remove returns the next, nil without
// one.
func (l *lanes) remove(it *item) (next *item) {
	before := l.first[it.lane]
	switch {
	case before == nil:
	case before != it:
		for before.next != it {
			before = before.next
		}
		before.next = it.next
	case it.next == nil:
		delete(l.first, it.lane)
	default:
		next = it.next
		l.first[it.lane] = next
	}
	it.next = nil
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
	for it := newest.next; it != nil; it = it.next {
		if it.id > newest.id { // the first may be the newest, because it may have been running
			newest = it
		}
	}
	if l.passed[of].id > newest.id {
		return nil
	}
	return newest
}

// forget drops the records of sent messages that can no longer supersede anything.
func (l *lanes) forget(now time.Time) {
	for of, p := range l.passed {
		if l.first[of] == nil && !l.loading && (!l.shared || now.Sub(p.at.time()) > LateFor) {
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
		l.passed[of] = passed{id, momentOf(now)}
	}
	l.freshen(of, now)
}

// freshen makes the newest message of a lane supersede the others.
func (l *lanes) freshen(of lane, now time.Time) {
	newest := l.newest(of)
	for it := l.first[of]; it != nil; it = it.next {
		l.unlessNewest(it, newest, now)
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
	if it.phase == running || it.isSuperseded() || it.digests {
		return
	}
	if by != nil {
		it.own().successor = by.id
	} else {
		it.own().successor = l.passed[it.lane].id
	}
	if it.maySend() {
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
