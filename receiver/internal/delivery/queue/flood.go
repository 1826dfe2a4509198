package queue

import "time"

// FloodWindow is how long the provider refuses the same text to the same number after
// it took it (error 350; seed, 4.3). A little is added for clocks that differ and for
// the way there.
const FloodWindow = 10*time.Second + 250*time.Millisecond

// floods keep one text to one number from being sent twice within the window.
type floods struct {
	of     map[uint64]*flood
	ending []ending // windows that end by themselves, in order
}

type flood struct {
	holder  *item     // is being sent, or may have been taken
	free    time.Time // end of the window of what was taken
	waiting []*item
}

type ending struct {
	flood uint64
	at    time.Time
}

// enter gives an item its text and number alone. Without that it returns when they are
// free, zero if the item is among those that wait for another.
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

// leave frees an item's text and number from a time on, and returns those that waited
// for that.
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

// remove takes out an item that waits for another.
func (f *floods) remove(it *item) {
	if fl := f.of[it.flood]; fl != nil {
		for i, other := range fl.waiting {
			if other == it {
				fl.waiting = append(fl.waiting[:i], fl.waiting[i+1:]...)
				break
			}
		}
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
