package outbox

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

var (
	// ErrNotFound is returned for an id that no message or page has.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned for an Entry whose page or mark was changed since it
	// was read, whose new page is not the only current one of its group or code, or
	// whose message is there already. Nothing was stored; what it was made from should be read again.
	ErrConflict = errors.New("changed meanwhile")
	// ErrNotStored is wrapped by an error of Add that has certainly stored nothing.
	// After any other error, the entry may be on disk.
	ErrNotStored = errors.New("nothing was stored")
	// ErrInUse is returned when a store is opened that another process has.
	ErrInUse = errors.New("in use by another smspager")
	// ErrUnusable is returned when a store is opened that cannot be used as it is, now or
	// later.
	ErrUnusable = errors.New("the outbox cannot be used")
)

// Key tells entries apart; the zero Key is like no other, not even itself.
type Key [32]byte

// Entry is what is stored at once: for a notification, a reply, or a step of an
// escalation.
type Entry struct {
	Key      Key    // of what it is about: a group of alerts, or a reply
	State    Key    // what it says of that; an entry with the Key's latest State may be a duplicate
	Source   string // who sent it, without spaces; "": nobody knows
	Intended bool   // the sender repeats it on purpose: it is no late copy
	SeenAt   time.Time
	Window   time.Duration // the same State seen less than this before SeenAt makes it a duplicate
	Messages []Message     // new ones, with their first Events
	Page     *Page         // as it is to be, with the Events to add; nil: none
	Also     []*Page       // further pages as they are to be, with the Events to add
	Marks    []Mark        // as they are to be
	Term     int64         // as in a Change; an entry of an older term is an ErrConflict
	Notes    []Change      // of messages that are there, made as [Change.Apply] does; one that cannot be made is passed over
}

// IDs are the new messages'.
func (e *Entry) IDs() []string {
	ids := make([]string, len(e.Messages))
	for i, m := range e.Messages {
		ids[i] = m.ID
	}
	return ids
}

// AllPages are Page and Also.
func (e *Entry) AllPages() []*Page {
	if e.Page == nil {
		return e.Also
	}
	return append([]*Page{e.Page}, e.Also...)
}

// OfPage makes the messages those of the entry's page, or of none.
func (e *Entry) OfPage() {
	id := ""
	if e.Page != nil {
		id = e.Page.ID
	}
	for i := range e.Messages {
		e.Messages[i].PageID = id
	}
}

// Added says what became of an Entry.
type Added struct {
	Duplicate bool     // nothing was stored: it is a repeat
	IDs       []string // the messages', or the original's messages' for a repeat
}

// Query selects messages. Zero fields select all.
type Query struct {
	State    State
	To       e164.Number
	Receiver string
	Without  string // a receiver whose messages are left out
	Page     string // the page that they are of
	Before   string // only messages with a smaller ID, that is older ones
	Limit    int    // at most so many; must be positive
}

// Store keeps notifications, messages and events. It is safe for concurrent
// use. What a nil error acknowledges is on disk and survives a crash.
type Store interface {
	// Add stores an entry, all or nothing, unless it is a repeat. Two Adds of one
	// Key at the same time store once. ErrConflict tells that its page or a mark is
	// not what it was made from. A message that the provider has had already outdates
	// the older ones of its recipient, group and receiver that it has not. If the context ends,
	// Add returns, and may have stored the entry or not.
	Add(context.Context, Entry) (Added, error)

	// Open yields every message that is not in a final state, oldest first.
	Open(context.Context) iter.Seq2[Message, error]

	// Get returns a message with its Events, or ErrNotFound.
	Get(ctx context.Context, id string) (Message, error)

	// FindAPIID returns the id of the message that the provider knows by
	// apiID, without regard to case, or ErrNotFound.
	FindAPIID(ctx context.Context, apiID string) (id string, err error)

	// List returns messages with their Events, newest first.
	List(context.Context, Query) ([]Message, error)

	// Segments is how many segments the provider took of messages that were made
	// at or after a time; those to the test number, which are free, do not count.
	Segments(ctx context.Context, since time.Time) (int, error)

	// Page returns a page with its Events, or ErrNotFound.
	Page(ctx context.Context, id string) (Page, error)

	// Pages returns pages without Events, newest first, or, of those that are due,
	// the one that has been due for longest first.
	Pages(context.Context, PageQuery) ([]Page, error)

	// CountPages counts the pages that are not over, by state.
	CountPages(context.Context) (map[PageState]int, error)

	// Marks returns the marks of a kind, in the order of their names.
	Marks(ctx context.Context, kind string) ([]Mark, error)

	// MarksAfter returns the marks that were written after a time.
	MarksAfter(ctx context.Context, at time.Time) ([]Mark, error)

	// Prune deletes at most limit messages, and as many pages, with their events,
	// that are in a final state since before the given time, and as many marks of
	// kind MarkReply; it returns how many messages it deleted.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)

	// Close ends the store's work and waits for what is under way.
	Close() error
}

// Shared is a Store that several processes use at the same time.
type Shared interface {
	Store

	// Lead waits until this process is the one that sends. The lease ends when it
	// no longer is, or ctx ends; release gives it up and must be called once.
	Lead(ctx context.Context) (lease Lease, release func(), err error)

	// Now is the database's clock.
	Now(ctx context.Context) (time.Time, error)

	// Listen tells of what any process did, from the moment it calls ready until
	// ctx ends or the connection is lost. It may miss some, and tell some twice.
	Listen(ctx context.Context, ready func(), told func(Hint)) error
}

// Checked is a Store that knows whether it is whole.
type Checked interface {
	Store
	// Check returns an error if the store was deleted, replaced or damaged, as far as that is
	// known. It is quick.
	Check() error
	// Examine reads everything, and notes for Check whether it is damaged.
	Examine(context.Context) error
}

// Lease is the right to send what is in a shared store. Its context ends with it.
type Lease interface {
	context.Context
	// Valid reports whether the right was proved so lately that no other process can
	// have it. A process that was stopped, or whose machine slept, sees by this that it
	// may have lost the right before its context could end.
	Valid() bool
	// Term counts the replicas that have led. It is positive.
	Term() int64
}

// Hint is a message that was added, or that reached a final state.
type Hint struct {
	ID          string
	Ended       bool
	Undelivered bool // it ended, and is not known to have arrived
}
