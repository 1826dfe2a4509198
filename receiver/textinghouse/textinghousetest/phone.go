package textinghousetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
)

// Phone is the phone of a number: it reads the messages sent to it, in order, and replies. A Phone
// is not safe for concurrent use.
type Phone struct {
	sim    *Simulator
	number string
	seen   int // number of the simulator's messages that were read
	last   *message
}

// Phone returns the phone of a number ("+33612345678"). With "" it reads the messages to all
// numbers. It begins with the first message.
func (s *Simulator) Phone(number string) *Phone {
	return &Phone{sim: s, number: strings.TrimPrefix(number, "+")}
}

// Next waits for the next SMS to this number.
func (p *Phone) Next(ctx context.Context) (SMS, error) {
	for {
		p.sim.mu.Lock()
		arrived := p.sim.arrived
		for p.seen < len(p.sim.messages) {
			m := p.sim.messages[p.seen]
			p.seen++
			if p.number == "" || m.To == p.number {
				p.last = m
				sms := m.snapshot()
				p.sim.mu.Unlock()
				return sms, nil
			}
		}
		p.sim.mu.Unlock()
		select {
		case <-arrived:
		case <-p.sim.closed:
			return SMS{}, errors.New("the simulator was closed")
		case <-ctx.Done():
			return SMS{}, fmt.Errorf("no further SMS to %s (%w); it got: %s", p.number, ctx.Err(), p.got())
		}
	}
}

// got lists the messages that this number received, for an error.
func (p *Phone) got() string {
	var texts []string
	for _, m := range p.sim.Messages() {
		if m.To == p.number {
			texts = append(texts, fmt.Sprintf("%q", m.Text))
		}
	}
	if len(texts) == 0 {
		return "nothing"
	}
	return strings.Join(texts, ", ")
}

// Reply replies to the SMS that Next returned last. It is an error if that SMS has a sender
// name.
func (p *Phone) Reply(text string) error {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	return p.sim.reply(p.last, text)
}

// Reply replies to the latest SMS to a number ("+33612345678").
func (s *Simulator) Reply(number, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := strings.TrimPrefix(number, "+")
	for _, m := range slices.Backward(s.messages) {
		if m.To == to {
			return s.reply(m, text)
		}
	}
	return fmt.Errorf("no SMS was sent to %s", number)
}

// reply replies to a message. s.mu is held.
func (s *Simulator) reply(m *message, text string) error {
	switch {
	case m == nil:
		return errors.New("no SMS to reply to")
	case m.From != "":
		return fmt.Errorf("phones cannot reply to the sender name %s", m.From)
	case m.account.ReplyURL == "":
		return errors.New("the account has no URL for replies")
	default:
		s.callbacks.reply(m, text, time.Now())
		return nil
	}
}

// WaitStatus waits until a message has a status.
func (s *Simulator) WaitStatus(ctx context.Context, apiID string, status textinghouse.Status) error {
	for {
		s.mu.Lock()
		arrived, m := s.arrived, s.byAPIID[apiID]
		if m != nil && m.Status() == status {
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("message %s did not get status %d: %w", apiID, int(status), ctx.Err())
		}
	}
}

// WaitCallbacks waits until n callbacks have ended, successfully or not.
func (s *Simulator) WaitCallbacks(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		arrived := s.arrived
		s.mu.Unlock()
		if got := len(s.Callbacks()); got >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("%d callbacks instead of %d: %w", len(s.Callbacks()), n, ctx.Err())
		}
	}
}
