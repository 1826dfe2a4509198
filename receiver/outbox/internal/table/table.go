// Package table holds what the tables of all databases have in common: their columns, and the form
// of the values in these.
//
// A time is Unix milliseconds, 0 for the zero time. Words are joined by spaces. A message's history
// is JSON.
package table

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// Columns of messages, pages and marks, in the order in which Message, Page and Mark read them.
const (
	MessageColumns = `id, recipient, receiver, group_key, headline, severity, urgent, page_id, text, encoding, segments,
  state, status, api_id, outdated_by, attempts, created_at, updated_at, not_before, expires_at, attempted_at, accepted_at, events`
	PageColumns = `id, receiver, group_key, code, state, version, headline, severity,
  opened_at, updated_at, due_at, acknowledged_at, acknowledged_by, alerts, doc`
	MarkColumns = `kind, name, version, at, doc`
)

// Row is a row of a query's result.
type Row interface{ Scan(...any) error }

// Rows is a query's result.
type Rows interface {
	Row
	Next() bool
	Err() error
}

// Read reads all rows. If it fails, it returns the rows that it could read, too.
func Read[T any](rows Rows, read func(Row) (T, error)) (all []T, err error) {
	for rows.Next() {
		one, failed := read(rows)
		switch {
		case failed == nil:
			all = append(all, one)
		case rows.Err() == nil: // it is not the query that failed: a value has the wrong type
			err = fmt.Errorf("%w: %w", outbox.ErrDamaged, failed)
		}
	}
	return all, cmp.Or(rows.Err(), err)
}

// Message reads the MessageColumns.
func Message(row Row) (m outbox.Message, err error) {
	var to, state, history string
	var created, updated, notBefore, expires, attempted, accepted int64
	err = row.Scan(&m.ID, &to, &m.Receiver, &m.GroupKey, &m.Headline, &m.Severity, &m.Urgent, &m.PageID, &m.Text, &m.Encoding, &m.Segments,
		&state, &m.Status, &m.APIID, &m.SupersededBy, &m.Attempts, &created, &updated, &notBefore, &expires, &attempted, &accepted, &history)
	m.To, m.State = e164.Number(to), outbox.State(state)
	m.CreatedAt, m.UpdatedAt, m.NotBefore, m.ExpiresAt = Time(created), Time(updated), Time(notBefore), Time(expires)
	m.AttemptedAt, m.AcceptedAt = Time(attempted), Time(accepted)
	m.Events = events(history, m.CreatedAt)
	return m, err
}

// Page reads the PageColumns.
func Page(row Row) (p outbox.Page, err error) {
	var state, alerts, doc string
	var opened, updated, due, acknowledged int64
	err = row.Scan(&p.ID, &p.Receiver, &p.GroupKey, &p.Code, &state, &p.Version, &p.Headline, &p.Severity,
		&opened, &updated, &due, &acknowledged, &p.AcknowledgedBy, &alerts, &doc)
	p.State, p.AlertKeys, p.Doc = outbox.PageState(state), strings.Fields(alerts), json.RawMessage(doc)
	p.OpenedAt, p.UpdatedAt, p.DueAt, p.AcknowledgedAt = Time(opened), Time(updated), Time(due), Time(acknowledged)
	return p, err
}

// PageEvent reads the columns at, type, who and detail of a page's event.
func PageEvent(row Row) (e outbox.PageEvent, err error) {
	var at int64
	var kind string
	err = row.Scan(&at, &kind, &e.Who, &e.Detail)
	e.At, e.Type = Time(at), outbox.PageEventType(kind)
	return e, err
}

// Mark reads the MarkColumns.
func Mark(row Row) (m outbox.Mark, err error) {
	var at int64
	var doc string
	err = row.Scan(&m.Kind, &m.Name, &m.Version, &at, &doc)
	m.At, m.Doc = Time(at), json.RawMessage(doc)
	return m, err
}

// Millis returns a time in the form that tables hold.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time reads what Millis returned.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Words joins words that have no spaces.
func Words(all []string) string { return strings.Join(all, " ") }

// Spaced joins words, with a space before and after each; "" without any.
func Spaced(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return " " + Words(all) + " "
}

// line is an [outbox.Event] in a history.
type line struct {
	At     int64            `json:"at"`
	Type   outbox.EventType `json:"type"`
	Detail string           `json:"detail"`
}

// History returns a message's events in the form that tables hold.
func History(events []outbox.Event) string {
	lines := make([]line, len(events))
	for i, e := range events {
		lines[i] = line{e.At.UnixMilli(), e.Type, e.Detail}
	}
	text, err := json.Marshal(lines)
	if err != nil {
		panic(err) // numbers and strings can always be encoded
	}
	return string(text)
}

// events reads what History returned. A history that cannot be read becomes one event, whose detail
// quotes it: it is only for people, and the message must be sent all the same.
func events(history string, created time.Time) []outbox.Event {
	var lines []line
	if err := json.Unmarshal([]byte(history), &lines); err != nil {
		return []outbox.Event{outbox.Unreadable(created, history)}
	}
	events := make([]outbox.Event, len(lines))
	for i, l := range lines {
		events[i] = outbox.Event{At: time.UnixMilli(l.At).UTC(), Type: l.Type, Detail: l.Detail}
	}
	return events
}

const (
	// OpenLimit is how many messages Open reads at a time, so that no transaction stays open for long.
	OpenLimit = 1000
	// end is greater than every ID.
	end = "~"
)

// Open returns an [outbox.Store]'s Open. read reads at most OpenLimit open messages with IDs between
// two others, oldest or newest first; if it fails, it returns the messages that it could read, too.
func Open(read func(after, before string, newestFirst bool) ([]outbox.Message, error)) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		after, before := "", end
		var damage error // met when the oldest were read: the rest is read from the other end
		for {
			ms, err := read(after, before, damage != nil)
			for _, m := range ms {
				if !yield(m, nil) {
					return
				}
				if damage == nil {
					after = m.ID
				} else {
					before = m.ID
				}
			}
			switch {
			case err != nil && (damage != nil || !errors.Is(err, outbox.ErrDamaged)):
				yield(outbox.Message{}, fmt.Errorf("read open messages: %w", err))
				return
			case err != nil:
				damage = err
			case len(ms) == OpenLimit: // there may be more
			case damage != nil:
				yield(outbox.Message{}, fmt.Errorf("read open messages: %w", damage))
				return
			default:
				return
			}
		}
	}
}
