package queue

import (
	"container/heap"
	"time"
)

// dues holds the items that wait for a time, and those that are due. Of the due ones, the most
// severe comes first.
type dues struct {
	items itemHeap
	ready readyHeap
}

// promote moves the items that are due to ready.
func (d *dues) promote(now time.Time) {
	for len(d.items) > 0 && !d.items[0].due.After(now) {
		it := heap.Pop(&d.items).(*item)
		it.ready = true
		heap.Push(&d.ready, it)
	}
}

// first returns the most severe of the due items, otherwise the item that is due next, nil if
// there are none.
func (d *dues) first() *item {
	switch {
	case len(d.ready) > 0:
		return d.ready[0]
	case len(d.items) > 0:
		return d.items[0]
	}
	return nil
}

// wait makes an item wait until a time, or until it is too old if that is earlier.
func (d *dues) wait(it *item, at time.Time) {
	if !it.asks() && !it.wasHeld && it.expires.time().Before(at) {
		at = it.expires.time().Add(time.Millisecond)
	}
	d.push(it, waiting, at)
}

func (d *dues) push(it *item, p phase, at time.Time) {
	it.phase, it.due = p, at
	heap.Push(&d.items, it)
}

// remove removes an item, if it waits here.
func (d *dues) remove(it *item) {
	switch {
	case it.at < 0:
	case it.ready:
		heap.Remove(&d.ready, int(it.at))
		it.ready = false
	default:
		heap.Remove(&d.items, int(it.at))
	}
}

// hasten makes a waiting item due at an earlier time.
func (d *dues) hasten(it *item, at time.Time) {
	it.due = at
	if it.ready {
		heap.Fix(&d.ready, int(it.at))
	} else {
		heap.Fix(&d.items, int(it.at))
	}
}

// hastenAll makes waiting items due at a time, unless they are due earlier: those for which which returns true.
func (d *dues) hastenAll(at time.Time, which func(*item) bool) {
	for _, it := range d.items {
		if it.due.After(at) && which(it) {
			it.due = at
		}
	}
	heap.Init(&d.items)
}

// itemHeap orders items by due time, then by age.
type itemHeap []*item

func (h itemHeap) Len() int { return len(h) }
func (h itemHeap) Less(a, b int) bool {
	if !h[a].due.Equal(h[b].due) {
		return h[a].due.Before(h[b].due)
	}
	return h[a].id < h[b].id
}
func (h itemHeap) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].at, h[b].at = int32(a), int32(b)
}
func (h *itemHeap) Push(x any) {
	it := x.(*item)
	it.at = int32(len(*h))
	*h = append(*h, it)
}
func (h *itemHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.at = -1
	return it
}

// readyHeap orders items by severity. An item about which the provider has been asked comes before
// those that wait for the question; otherwise the order is that of itemHeap.
type readyHeap []*item

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(a, b int) bool {
	if h[a].rank != h[b].rank {
		return h[a].rank < h[b].rank
	}
	if h[a].isCleared() != h[b].isCleared() {
		return h[a].isCleared()
	}
	return itemHeap(h).Less(a, b)
}
func (h readyHeap) Swap(a, b int) { itemHeap(h).Swap(a, b) }
func (h *readyHeap) Push(x any)   { (*itemHeap)(h).Push(x) }
func (h *readyHeap) Pop() any     { return (*itemHeap)(h).Pop() }
