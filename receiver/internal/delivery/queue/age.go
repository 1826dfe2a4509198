package queue

import (
	"slices"
	"strings"
)

// byAge holds items in the order of their IDs, which is that of their age. It suits a queue whose
// newest items come and whose oldest go.
type byAge []*item

func (a byAge) index(id string) (i int, found bool) {
	return slices.BinarySearchFunc(a, id, func(it *item, id string) int { return strings.Compare(it.id, id) })
}

// find returns the item with an ID, nil if there is none.
func (a byAge) find(id string) *item {
	if i, found := a.index(id); found {
		return a[i]
	}
	return nil
}

func (a *byAge) add(it *item) {
	i, _ := a.index(it.id)
	*a = slices.Insert(*a, i, it)
}

// remove removes an item. It moves those on the shorter side.
func (a *byAge) remove(it *item) {
	all := *a
	i, found := a.index(it.id)
	switch {
	case !found:
	case i < len(all)/2:
		copy(all[1:i+1], all)
		all[0] = nil
		*a = all[1:]
	default:
		*a = slices.Delete(all, i, i+1)
	}
}
