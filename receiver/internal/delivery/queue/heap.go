package queue

import (
	"container/heap"
	"time"
)

// dues holds the items that wait for a time.
type dues struct{ items itemHeap }

// wait has an item wait until a time, or until it is too old, whichever is first.
func (d *dues) wait(it *item, at time.Time) {
	if !it.asks() && !it.waited && it.expires.Before(at) {
		at = it.expires.Add(time.Millisecond)
	}
	d.push(it, waiting, at)
}

func (d *dues) push(it *item, p phase, at time.Time) {
	it.phase, it.due = p, at
	heap.Push(&d.items, it)
}

// remove takes an item out, if it waits.
func (d *dues) remove(it *item) {
	if it.at >= 0 {
		heap.Remove(&d.items, int(it.at))
	}
}

// hasten has an item that waits wait until an earlier time only.
func (d *dues) hasten(it *item, at time.Time) {
	it.due = at
	heap.Fix(&d.items, int(it.at))
}

// itemHeap orders items by when they are due, then by age.
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

// ages is a heap of message ids, which sort by age.
type ages []string

func (a ages) Len() int           { return len(a) }
func (a ages) Less(i, j int) bool { return a[i] < a[j] }
func (a ages) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *ages) Push(x any)        { *a = append(*a, x.(string)) }
func (a *ages) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
