package delivery

import (
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// account holds what the provider's responses say about the account. Its times come from the process's
// clock: setting the database's clock does not change them.
type account struct {
	refusal    string    // why it is refused, "" while it is not
	since      time.Time // when it was last refused
	proved     time.Time // when a response to a request other than sendsms last ended a refusal
	configured time.Time // when the settings were last replaced: the account may be another one since
}

// Observe must be called for every request to the provider, whoever made it, with its outcome.
// These show delivery whether the account is refused, and whether sending works.
func (d *Delivery) Observe(x textinghouse.Exchange) { d.sender.observe(x, time.Now()) }

// Refusal returns why the provider refuses the whole account, "" while it does not.
func (d *Delivery) Refusal() string {
	d.sender.mu.Lock()
	defer d.sender.mu.Unlock()
	return d.sender.account.refusal
}

func (s *sender) observe(x textinghouse.Exchange, now time.Time) {
	var refusal *textinghouse.Error
	switch {
	case !textinghouse.AccountWorks(x.Err):
		if errors.As(x.Err, &refusal) {
			s.accountRefused(x, now)
		}
		return
	case errors.As(x.Err, &refusal) && refusal.Code == textinghouse.CodeProcessing:
	case x.Command == textinghouse.CommandSend, x.Command == textinghouse.CommandCredit && x.Err == nil:
		s.attempts.lastWorked.Store(s.spool.Now().UnixMilli())
	}
	if s.proves(x, now) {
		s.accountWorks()
	}
}

// proves reports whether a response ends the refusal of the account. Its request must have begun
// after the refusal. Without credit (104), the provider still serves questions, so these end a
// refusal only once per [queue.AccountRetry]: every end may cost some refused messages.
func (s *sender) proves(x textinghouse.Exchange, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.account
	switch {
	case a.refusal == "", now.Add(-x.Duration).Before(a.since):
		return false
	case x.Command == textinghouse.CommandSend:
		return true
	case now.Sub(a.proved) < queue.AccountRetry:
		return false
	}
	a.proved = now
	return true
}

// accountRefused records that a request was refused because of the account, unless the request began before a
// reload, which may have changed the account.
func (s *sender) accountRefused(x textinghouse.Exchange, now time.Time) {
	const again = "in a minute"
	var counts, first bool
	s.leave(func(in *inbox) { // its lock makes queue and account agree
		if counts = !now.Add(-x.Duration).Before(s.account.configured); counts {
			first = s.account.refusal == ""
			s.account.refusal, s.account.since = x.Err.Error(), now
			in.account = s.queue.Block
		}
	})
	if !counts {
		return
	}
	s.metrics.refused.Set(1)
	if first {
		s.logger.Error("the provider refuses the whole account: nothing is sent until this is fixed; messages are kept", "err", x.Err, "retry", again)
	}
}

// accountReplaced records that the settings were replaced.
func (s *sender) accountReplaced() {
	s.mu.Lock()
	s.account.configured = time.Now()
	s.mu.Unlock()
	s.changed.Ring()
}

// accountWorks ends the refusal of the account, and releases what waits for that.
func (s *sender) accountWorks() {
	was := ""
	s.leave(func(in *inbox) {
		if was, s.account.refusal = s.account.refusal, ""; was != "" {
			in.account = s.queue.Unblock
		}
	})
	if was == "" {
		return
	}
	s.metrics.refused.Set(0)
	s.logger.Info("sending resumes after the account was refused", "was", was)
}
