package intake

import "errors"

// Stop makes Intake refuse all later notifications. It returns when the current ones have been handled.
func (in *Intake) Stop() {
	in.stopMu.Lock()
	in.stopping = true
	in.stopMu.Unlock()
	in.handling.Wait()
}

// begin records that a notification is being handled until end is called. It returns false after Stop.
func (in *Intake) begin() (end func(), ok bool) {
	in.stopMu.Lock()
	defer in.stopMu.Unlock()
	if in.stopping {
		return nil, false
	}
	in.handling.Add(1)
	return in.handling.Done, true
}

// ErrStopping is the error for a notification after Stop.
var ErrStopping = errors.New("shutting down; try again")
