package people

import (
	"context"
	"crypto/rand"
	"math/big"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/mark"
	"github.com/smspager/smspager/receiver/outbox"
)

// contactMarks hold the state of each number. They are named by number: a contact whose number
// changes starts anew.
const contactMarks mark.Kind[contact] = "contact"

const (
	// verifyFor is how long the code of a verification is valid.
	verifyFor = 24 * time.Hour
	// verifiesAnHour is how many verifications a contact can be sent within an hour.
	verifiesAnHour = 3
	// verificationDigits is the number of digits in the code of a verification.
	verificationDigits = 6
)

// contact is the state of a number.
type contact struct {
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	StoppedAt  time.Time `json:"stopped_at,omitzero"` // when its owner asked for no more texts
	Code       string    `json:"code,omitempty"`      // of a verification without a reply
	CodeAt     time.Time `json:"code_at,omitzero"`
	// AskedAt holds the times of its verifications within the last hour.
	AskedAt []time.Time `json:"asked_at,omitempty"`
}

// contacts holds the marks of all numbers in memory, because each notification needs them.
type contacts struct {
	mu    sync.RWMutex
	marks map[e164.Number]mark.Mark[contact]
}

func (c *contacts) read(ctx context.Context, store mark.Reader) error {
	all, err := contactMarks.All(ctx, store)
	if err != nil {
		return err
	}
	marks := make(map[e164.Number]mark.Mark[contact])
	for _, m := range all {
		marks[e164.Number(m.Name)] = m
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks = marks
	return nil
}

func (c *contacts) get(number e164.Number) contact {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.marks[number].Value
}

// changed returns the mark that stores a change to the state of a number.
func (c *contacts) changed(number e164.Number, at time.Time, change func(*contact)) outbox.Mark {
	c.mu.RLock()
	m := c.marks[number]
	c.mu.RUnlock()
	m.Name = string(number)
	change(&m.Value)
	return contactMarks.Set(m, at)
}

// Refresh reads the state of all numbers from the store. If that fails, it logs the error and keeps
// what it read before.
func (d *Directory) Refresh(ctx context.Context) error {
	err := d.contacts.read(ctx, d.spool)
	if err != nil && ctx.Err() == nil {
		d.logger.Error("cannot read what is known of contacts", "err", err)
	}
	return err
}

// Stopped reports whether the owner of a number has asked for no more texts.
func (d *Directory) Stopped(number e164.Number) bool {
	return !d.contacts.get(number).StoppedAt.IsZero()
}

// Stop returns the mark that stores that the owner of a number wants no more texts. The rest of the
// number's state is the one that Refresh last read.
func (d *Directory) Stop(number e164.Number, at time.Time) outbox.Mark {
	return d.contacts.changed(number, at, func(c *contact) { c.StoppedAt = at })
}

// Start returns the mark that stores that the owner of a number wants texts again.
func (d *Directory) Start(number e164.Number, at time.Time) outbox.Mark {
	return d.contacts.changed(number, at, func(c *contact) { c.StoppedAt = time.Time{} })
}

// Verified returns the mark that stores that a number has replied with the code of its
// verification. It returns false if the code is wrong or was sent more than a day ago.
func (d *Directory) Verified(number e164.Number, code string, at time.Time) (outbox.Mark, bool) {
	known := d.contacts.get(number)
	if known.Code != code || at.Sub(known.CodeAt) > verifyFor {
		return outbox.Mark{}, false
	}
	return d.contacts.changed(number, at, func(c *contact) { c.VerifiedAt, c.Code, c.CodeAt = at, "", time.Time{} }), true
}

// Contact is a configured contact and the state of its phone.
type Contact struct {
	Name     string
	Verified time.Time // when the phone replied to a verification; zero if it has not
	Stopped  time.Time // when the contact asked for no more texts; zero if it wants them
}

// State returns "stopped", "verified" or "unverified".
func (c Contact) State() string {
	switch {
	case !c.Stopped.IsZero():
		return "stopped"
	case !c.Verified.IsZero():
		return "verified"
	}
	return "unverified"
}

// Contacts returns the state of each configured contact.
func (d *Directory) Contacts() []Contact { return d.contacts.of(d.settings.Load().cfg) }

// ReadContacts returns the state of each contact of a configuration, as an outbox stores it.
func ReadContacts(ctx context.Context, cfg *config.Config, store mark.Reader) ([]Contact, error) {
	var known contacts
	if err := known.read(ctx, store); err != nil {
		return nil, err
	}
	return known.of(cfg), nil
}

func (c *contacts) of(cfg *config.Config) []Contact {
	var all []Contact
	for _, configured := range cfg.Contacts {
		known := c.get(configured.Number)
		all = append(all, Contact{Name: configured.Name, Verified: known.VerifiedAt, Stopped: known.StoppedAt})
	}
	return all
}

// RandomDigits returns a random number of n digits that does not begin with 0.
func RandomDigits(n int) (string, error) {
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
