package delivery

import (
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// account holds what the provider's responses say about the account.
type account struct {
	refusal string    // why it is refused, "" while it is not
	since   time.Time // when it was last refused
	proved  time.Time // when a response to a request other than sendsms last ended a refusal
}

// Observe must be called for every request to the provider, whoever made it, with its outcome.
// These show delivery whether the account is refused, and whether sending works.
func (d *Delivery) Observe(x textinghouse.Exchange) { d.sender.observe(x, d.spool.Now()) }

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
			s.accountRefused(x.Err, now)
		}
		return
	case errors.As(x.Err, &refusal) && refusal.Code == textinghouse.CodeProcessing:
	case x.Command == textinghouse.CommandSend, x.Command == textinghouse.CommandCredit && x.Err == nil:
		s.attempts.lastWorked.Store(now.UnixMilli())
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

func (s *sender) accountRefused(err error, now time.Time) {
	const again = "in a minute"
	s.mu.Lock()
	first := s.account.refusal == ""
	s.account.refusal, s.account.since = err.Error(), now
	s.mu.Unlock()
	s.leave(func(in *inbox) { in.account = s.queue.Block })
	s.metrics.refused.Set(1)
	if first {
		s.logger.Error("the provider refuses the whole account: nothing is sent until this is fixed; messages are kept", "err", err, "retry", again)
	}
}

// accountWorks ends the refusal of the account, and releases what waits for that.
func (s *sender) accountWorks() {
	s.mu.Lock()
	was := s.account.refusal
	s.account.refusal = ""
	s.mu.Unlock()
	if was == "" {
		return
	}
	s.leave(func(in *inbox) { in.account = s.queue.Unblock })
	s.metrics.refused.Set(0)
	s.logger.Info("sending resumes after the account was refused", "was", was)
}
