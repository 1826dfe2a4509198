package outbox

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/smspager/smspager/receiver/e164"
)

var (
	// ErrNotFound is returned for an ID that no message or page has.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned for an Entry whose page or mark was changed since it was read, whose
	// new page is not the only current one of its group or code, or whose message exists already.
	// Nothing was stored; read again what the entry was made from.
	ErrConflict = errors.New("changed since it was read")
	// ErrNotStored is wrapped by an error of Add if nothing was stored for certain. After any other
	// error, the entry may be on disk.
	ErrNotStored = errors.New("nothing was stored")
	// ErrInUse is returned by opening a store that another process has open.
	ErrInUse = errors.New("in use by another smspager")
	// ErrDamaged is wrapped by the error of a read that met a damaged part of the store. A retry does not
	// help; what is in other parts can be read.
	ErrDamaged = errors.New("a part of the outbox is damaged")
	// ErrUnusable is returned by opening a store that cannot be used in its present form, now or
	// later.
	ErrUnusable = errors.New("the outbox cannot be used")
)

// Key is a hash: of what an entry is about, or of the state that the entry reports. The zero Key equals
// no Key, not even itself.
type Key [32]byte

// Entry is what one transaction stores: for a notification, a reply, or a step of an escalation.
type Entry struct {
	Key        Key    // what the entry is about: a group of alerts, or a reply
	State      Key    // what the entry says about that; an entry with the Key's latest State may be a duplicate
	Source     string // the sender, without spaces; "": unknown
	Intended   bool   // the sender repeats it on purpose, so it is not a late copy
	SeenAt     time.Time
	Window     time.Duration // an entry with the same State less than this before SeenAt makes it a duplicate
	Messages   []Message     // new messages, with their first Events
	Page       *Page         // the page's new form, with the Events to append; nil: none
	OtherPages []*Page       // further pages, in the same way
	Marks      []Mark        // the marks' new form
	Term       int64         // as in a Change; an entry of an older term is an ErrConflict
	Notes      []Change      // changes of stored messages, made as [Change.Apply] does; one that cannot be made is skipped
}

// IDs returns the IDs of the new messages.
func (e *Entry) IDs() []string {
	ids := make([]string, len(e.Messages))
	for i, m := range e.Messages {
		ids[i] = m.ID
	}
	return ids
}

// AllPages returns Page and OtherPages.
func (e *Entry) AllPages() []*Page {
	if e.Page == nil {
		return e.OtherPages
	}
	return append([]*Page{e.Page}, e.OtherPages...)
}

// OfPage sets the PageID of the messages to the entry's page, or to none.
func (e *Entry) OfPage() {
	id := ""
	if e.Page != nil {
		id = e.Page.ID
	}
	for i := range e.Messages {
		e.Messages[i].PageID = id
	}
}

// Added is the result of storing an Entry.
type Added struct {
	Duplicate bool     // nothing was stored, because the entry is a duplicate
	IDs       []string // IDs of the messages, or of the original's messages for a duplicate
	// LateAfter is when the latest state was first seen, if the duplicate may be a late copy of the state
	// before it, see [Sighting.Late]. Otherwise it is zero.
	LateAfter time.Time
}

// Query selects messages. Zero fields select all.
type Query struct {
	State          State
	To             e164.Number
	Receiver       string
	ExceptReceiver string // a receiver whose messages are left out
	Page           string // the ID of the messages' page
	Before         string // only messages with a smaller ID, that is, older ones
	Limit          int    // maximum number; must be positive
}

// Store keeps notifications, messages and events. It is safe for concurrent use. After a nil error,
// the data is on disk and survives a crash.
type Store interface {
	// Add stores all of an entry or nothing; a duplicate is not stored. Of two simultaneous Adds of
	// one Key, one stores. ErrConflict means that the entry's page or a mark has changed since it was
	// read. A message that the provider has accepted already supersedes the unsent older ones of its
	// recipient, group and receiver. If the context ends, Add returns, and may have stored the entry or
	// not.
	Add(context.Context, Entry) (Added, error)

	// Open yields every message that is not in a final state, oldest first. If a part of the store is
	// damaged, it yields the messages before that part and, newest first, those behind it, and then an
	// error that wraps ErrDamaged. What lies between two damaged parts may be missing.
	Open(context.Context) iter.Seq2[Message, error]

	// Get returns a message with its Events, or ErrNotFound.
	Get(ctx context.Context, id string) (Message, error)

	// FindAPIID returns the ID of the message that the provider knows by apiID (in upper or lower
	// case), or ErrNotFound.
	FindAPIID(ctx context.Context, apiID string) (id string, err error)

	// List returns messages with their Events, newest first.
	List(context.Context, Query) ([]Message, error)

	// Segments returns how many segments of messages made at or after a time the provider accepted.
	// Those to the test number are free and do not count.
	Segments(ctx context.Context, since time.Time) (int, error)

	// Page returns a page with its Events, or ErrNotFound.
	Page(ctx context.Context, id string) (Page, error)

	// Pages returns pages without Events, newest first; with DueBy, in the order in which they became
	// due.
	Pages(context.Context, PageQuery) ([]Page, error)

	// CountPages counts the pages that are not over, by state.
	CountPages(context.Context) (map[PageState]int, error)

	// Marks returns the marks of a kind, in the order of their names.
	Marks(ctx context.Context, kind string) ([]Mark, error)

	// MarksAfter returns the marks written after a time.
	MarksAfter(ctx context.Context, at time.Time) ([]Mark, error)

	// Prune deletes at most limit messages, and as many pages with their events, that have been in a
	// final state since before the given time, and as many marks of kind MarkReply. It returns the
	// largest of the numbers; if that is limit, there may be more to delete. How long sightings are
	// kept beyond their windows is up to the store.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)

	// Close stops the store and waits for the work under way.
	Close() error
}

// Shared is a Store that several processes use at the same time.
type Shared interface {
	Store

	// Lead waits until this process is the leader, the one that sends. The lease ends when the
	// process stops leading or ctx ends; release gives it up and must be called once.
	Lead(ctx context.Context) (lease Lease, release func(), err error)

	// Now returns the time of the database's clock.
	Now(ctx context.Context) (time.Time, error)

	// Listen reports what any process did, from the moment it calls ready until ctx ends or the
	// connection is lost. It may miss some hints and repeat others.
	Listen(ctx context.Context, ready func(), hinted func(Hint)) error
}

// Checked is a Store that can check whether it is intact.
type Checked interface {
	Store
	// Check quickly returns an error if the store is known to be deleted, replaced or damaged.
	Check() error
	// Examine reads everything, and records for Check whether it is damaged.
	Examine(context.Context) error
}

// Lease is the right to send the messages of a shared store. Its context ends with it.
type Lease interface {
	context.Context
	// Valid reports whether the right was proved so recently that no other process can have it. A
	// process that was stopped, or whose machine slept, learns from Valid that it may have lost the
	// right before its context could end.
	Valid() bool
	// Term counts the replicas that have led. It is positive.
	Term() int64
}

// Hint names a message that was added, or that reached a final state.
type Hint struct {
	ID          string
	Ended       bool
	Undelivered bool // the message ended, and is not known to have arrived
}
