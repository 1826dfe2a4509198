package queue

import (
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

// LateFor is the longest delay until a message that another replica added comes in.
const LateFor = 30 * time.Second

// lane is what messages queue up in: those of one recipient, receiver and group are
// sent one after another.
type lane struct {
	to      e164.Number
	group   uint64 // of receiver and group key
	digests bool   // its messages never supersede one another
}

// lanes hold the items of each lane, oldest first. Only the first of a lane may run.
type lanes struct {
	dues    *dues
	limits  *limits
	items   map[lane][]*item
	passed  map[lane]passed // the newest that was sent, as long as an older one may come in
	loading bool            // messages of earlier runs still come in
	shared  bool            // other replicas add messages, which may come in late
}

// passed is a message that the provider has.
type passed struct {
	id string
	at time.Time
}

// add puts an item into its lane by age, behind one that may run already. It reports
// whether the item is the first.
func (l *lanes) add(it *item) (first bool) {
	items := append(l.items[it.lane], it)
	for i := len(items) - 1; i > 1 && items[i-1].id > it.id; i-- {
		items[i-1], items[i] = items[i], items[i-1]
	}
	l.items[it.lane] = items
	return items[0] == it
}

// remove takes an item out of its lane, and returns the next if it was the first.
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

// late reports whether an item of a lane may come in that is older than what was sent.
func (l *lanes) late(of lane) bool { return len(l.items[of]) > 0 || l.loading || l.shared }

// newest is the last item of a lane, nil if a newer one was sent already.
func (l *lanes) newest(of lane) *item {
	items := l.items[of]
	if len(items) == 0 {
		return nil
	}
	newest := items[len(items)-1]
	if items[0].id > newest.id { // it runs already
		newest = items[0]
	}
	if l.passed[of].id > newest.id {
		return nil
	}
	return newest
}

// forget drops what can supersede nothing any more.
func (l *lanes) forget(now time.Time) {
	for of, p := range l.passed {
		if len(l.items[of]) == 0 && !l.loading && (!l.shared || now.Sub(p.at) > LateFor) {
			delete(l.passed, of)
		}
	}
}

// sent takes in that the provider has a message of a lane.
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

// freshen has the newest of a lane supersede the others.
func (l *lanes) freshen(of lane, now time.Time) {
	newest := l.newest(of)
	for _, older := range l.items[of] {
		l.unlessNewest(older, newest, now)
	}
}

// unlessNewest has the newest of a lane supersede an item of it.
func (l *lanes) unlessNewest(it, newest *item, now time.Time) {
	if it != newest {
		l.supersede(it, newest, now)
	}
}

// supersede has a newer message, nil if it was sent already, take the place of an
// item. One that the provider may have is asked about first, immediately if its request
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
