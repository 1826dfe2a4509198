package queue

import (
	"slices"
	"time"
)

// FloodWindow is how long the provider refuses the same text to the same number after it has
// accepted one (error 350; seed, 4.3), plus a little for differing clocks and transit time.
const FloodWindow = 10*time.Second + 250*time.Millisecond

// floods prevents sending one text to one number twice within the window.
type floods struct {
	of     map[uint64]*flood
	ending []ending // ends of windows, in order
}

type flood struct {
	holder  *item     // the item that is being sent, or may have been accepted; nil: none
	free    time.Time // end of the window of the last accepted message
	waiting []*item
}

type ending struct {
	flood uint64
	at    time.Time
}

// enter reserves an item's text and number for the item. If they are taken, it returns when
// they will be free, or zero after adding the item to those that wait for the holder.
func (f *floods) enter(it *item, now time.Time) (ok bool, free time.Time) {
	fl := f.of[it.flood]
	switch {
	case fl == nil:
		fl = &flood{}
		f.of[it.flood] = fl
	case fl.holder == it:
		return true, time.Time{}
	case fl.holder != nil:
		fl.waiting = append(fl.waiting, it)
		return false, time.Time{}
	case now.Before(fl.free):
		return false, fl.free
	}
	fl.holder = it
	return true, time.Time{}
}

// leave frees an item's text and number at the time free, and returns the items that waited for
// them, and the time from which they may try.
func (f *floods) leave(it *item, free, now time.Time) (waiting []*item, from time.Time) {
	fl := f.of[it.flood]
	if fl == nil || fl.holder != it {
		return nil, free
	}
	fl.holder = nil
	if free.After(fl.free) {
		fl.free = free
	}
	waiting, fl.waiting = fl.waiting, nil
	if fl.free.After(now) {
		f.ending = append(f.ending, ending{it.flood, fl.free})
	} else {
		delete(f.of, it.flood)
	}
	return waiting, fl.free
}

// remove removes an item that waits for the holder of its text and number.
func (f *floods) remove(it *item) {
	if fl := f.of[it.flood]; fl != nil {
		fl.waiting = slices.DeleteFunc(fl.waiting, func(other *item) bool { return other == it })
	}
}

// end forgets the windows that are over.
func (f *floods) end(now time.Time) {
	for len(f.ending) > 0 && !f.ending[0].at.After(now) {
		of := f.ending[0].flood
		if fl := f.of[of]; fl != nil && fl.holder == nil && !fl.free.After(now) {
			delete(f.of, of)
		}
		f.ending = f.ending[1:]
	}
}
