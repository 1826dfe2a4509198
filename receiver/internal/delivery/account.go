package delivery

import (
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
)

// account is what the provider's responses say about the account.
type account struct {
	refusal string    // why it is refused, "" while it is not
	since   time.Time // when it was last refused
	proved  time.Time // when a response to something else than a message last ended a refusal
}

// Observe takes in every request to the provider and its outcome, whoever made it. From
// them delivery learns whether the account is refused, and whether sending works.
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
		s.attempts.works.Store(now.UnixMilli())
	}
	if s.proves(x, now) {
		s.accountWorks()
	}
}

// proves reports whether a response ends the refusal of the account. The request must be
// younger than the refusal. Without credit (104), questions are still served: they end a
// refusal only once per accountRetry, as every end may cost some refused messages.
func (s *sender) proves(x textinghouse.Exchange, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.account
	switch {
	case a.refusal == "", now.Add(-x.Duration).Before(a.since):
		return false
	case x.Command == textinghouse.CommandSend:
		return true
	case now.Sub(a.proved) < accountRetry:
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
	s.leave(func(in *inbox) { in.refused, in.works = err, false })
	s.metrics.refused.Set(1)
	if first {
		s.logger.Error("the provider refuses the whole account: nothing is sent until this is mended; messages are kept", "err", err, "retry", again)
	}
}

// accountWorks lets everything go that waits for the account.
func (s *sender) accountWorks() {
	s.mu.Lock()
	was := s.account.refusal
	s.account.refusal = ""
	s.mu.Unlock()
	if was == "" {
		return
	}
	s.leave(func(in *inbox) { in.refused, in.works = nil, true })
	s.metrics.refused.Set(0)
	s.logger.Info("sending resumes after the account was refused", "was", was)
}
