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
	s.mu.Lock()
	if now.Add(-x.Duration).Before(s.account.configured) {
		s.mu.Unlock()
		return
	}
	first := s.account.refusal == ""
	s.account.refusal, s.account.since = x.Err.Error(), now
	s.inbox.account = s.queue.Block // under the same lock, so that queue and account agree
	s.mu.Unlock()
	s.wake.Ring()
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
	s.mu.Lock()
	was := s.account.refusal
	if was == "" {
		s.mu.Unlock()
		return
	}
	s.account.refusal = ""
	s.inbox.account = s.queue.Unblock
	s.mu.Unlock()
	s.wake.Ring()
	s.metrics.refused.Set(0)
	s.logger.Info("sending resumes after the account was refused", "was", was)
}
