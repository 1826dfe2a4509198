package oncall

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// contactMark is the kind of marks that keep what is known of a number; its
// name is the number, so that a new number of a contact starts anew.
const contactMark = "contact"

// verifyFor is how long a verification code can be answered.
const verifyFor = 24 * time.Hour

// contactState is what is known of a number.
type contactState struct {
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	StoppedAt  time.Time `json:"stopped_at,omitzero"` // since when its owner wants no more texts
	Code       string    `json:"code,omitempty"`      // of a verification under way
	CodeAt     time.Time `json:"code_at,omitzero"`
}

// contacts is what the marks of kind contact say, kept in memory, as each
// notification asks for it.
type contacts struct {
	mu    sync.RWMutex
	marks map[e164.Number]outbox.Mark
	state map[e164.Number]contactState
}

// load reads the marks.
func (c *contacts) load(ctx context.Context, store Marks) error {
	ms, err := store.Marks(ctx, contactMark)
	if err != nil {
		return err
	}
	marks, states := make(map[e164.Number]outbox.Mark), make(map[e164.Number]contactState)
	for _, m := range ms {
		var s contactState
		if err := json.Unmarshal(m.Doc, &s); err != nil {
			return fmt.Errorf("mark of contact %s: %w", e164.Number(m.Name).Short(), err)
		}
		marks[e164.Number(m.Name)], states[e164.Number(m.Name)] = m, s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks, c.state = marks, states
	return nil
}

// loadContacts reads the marks of contacts.
func (o *OnCall) loadContacts(ctx context.Context) error {
	err := o.contacts.load(ctx, o.store)
	if err != nil && ctx.Err() == nil {
		o.logger.Error("cannot read what is known of contacts", "err", err)
	}
	return err
}

func (c *contacts) get(number e164.Number) contactState {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state[number]
}

func (c *contacts) stopped(number e164.Number) bool { return !c.get(number).StoppedAt.IsZero() }

// changed is the mark that changes what is known of a number.
func (c *contacts) changed(number e164.Number, at time.Time, change func(*contactState)) outbox.Mark {
	c.mu.RLock()
	s, version := c.state[number], c.marks[number].Version
	c.mu.RUnlock()
	change(&s)
	doc, err := json.Marshal(s)
	if err != nil {
		panic(err) // of strings and times
	}
	return outbox.Mark{Kind: contactMark, Name: string(number), Version: version, At: at, Doc: doc}
}

// ContactState is what is known of a contact.
type ContactState struct {
	Name     string
	Verified time.Time // when the phone answered a verification, zero before
	Stopped  time.Time // since when the contact wants no more texts, zero if it does
}

// State is "stopped", "verified" or "unverified".
func (c ContactState) State() string {
	switch {
	case !c.Stopped.IsZero():
		return "stopped"
	case !c.Verified.IsZero():
		return "verified"
	}
	return "unverified"
}

// Contacts tells what is known of each contact of the configuration.
func (o *OnCall) Contacts() []ContactState { return o.contacts.of(o.settings.Load().cfg) }

// ContactStates tells the same of a configuration and an outbox that is only read.
func ContactStates(ctx context.Context, cfg *config.Config, store Marks) ([]ContactState, error) {
	var known contacts
	if err := known.load(ctx, store); err != nil {
		return nil, err
	}
	return known.of(cfg), nil
}

func (c *contacts) of(cfg *config.Config) []ContactState {
	var all []ContactState
	for _, contact := range cfg.Contacts {
		s := c.get(contact.Number)
		all = append(all, ContactState{Name: contact.Name, Verified: s.VerifiedAt, Stopped: s.StoppedAt})
	}
	return all
}

// ErrUnknownContact is returned for a name that no contact has.
var ErrUnknownContact = errors.New("no contact has this name")

// Verify sends a contact a code. The reply that holds it proves that texts arrive,
// and that answers do.
func (o *OnCall) Verify(ctx context.Context, name string) error {
	return retrying(ctx, func() error {
		s := o.settings.Load()
		c := s.directory.byName[name]
		if c == nil {
			return ErrUnknownContact
		}
		if err := o.loadContacts(ctx); err != nil { // as they are stored now
			return err
		}
		now := time.Now()
		code, err := randomDigits(verifyCode)
		if err != nil {
			return err
		}
		m := o.notice(outbox.Person{Name: c.Name, Number: c.Number}, verifyGroup+name, now,
			fmt.Sprintf("smspager: answer %s to prove that this is %s's phone and that its answers arrive.", code, c.Name))
		mark := o.contacts.changed(c.Number, now, func(s *contactState) { s.Code, s.CodeAt = code, now })
		return o.add(ctx, outbox.Entry{Messages: []outbox.Message{m}, Marks: []outbox.Mark{mark}})
	})
}

// randomDigits is a number of so many digits, the first of which is not 0.
func randomDigits(n int) (string, error) {
	low := big.NewInt(1)
	for range n - 1 {
		low.Mul(low, big.NewInt(10))
	}
	r, err := rand.Int(rand.Reader, new(big.Int).Mul(low, big.NewInt(9)))
	if err != nil {
		return "", err
	}
	return r.Add(r, low).String(), nil
}
