package oncall

import (
	"context"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// actedOn reports whether a reply was carried out without being stored: the store may not know it.
func (rs *replies) actedOn(key outbox.Key) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return !rs.actedPast[key].IsZero()
}

// actPast carries out what a reply asks for although the store fails: an acknowledgement must not
// wait for a disk. The entry is stored later; until then the same callback is a repeat.
func (rs *replies) actPast(ctx context.Context, e *outbox.Entry, now time.Time) (repeated bool, err error) {
	rs.mu.Lock()
	for key, at := range rs.actedPast {
		if now.Sub(at) > replyWindow {
			delete(rs.actedPast, key)
		}
	}
	_, repeated = rs.actedPast[e.Key]
	rs.actedPast[e.Key] = now
	rs.mu.Unlock()
	if repeated {
		return true, nil
	}
	if err := rs.sender.SendNow(ctx, e); err != nil {
		rs.mu.Lock()
		delete(rs.actedPast, e.Key)
		rs.mu.Unlock()
		return false, err
	}
	rs.logger.Error("a reply was carried out although the outbox cannot be written; it is stored later")
	return false, nil
}
