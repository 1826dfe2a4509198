package delivery

import "time"

// SetClocks replaces the clocks that the sender reads.
func (d *Delivery) SetClocks(read func() (steady, wall time.Duration)) {
	d.sender.clocks = func() reading {
		steady, wall := read()
		return reading{steady, wall}
	}
}
