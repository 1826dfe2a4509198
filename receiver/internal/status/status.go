// Package status holds the state of a running smspager. Its parts report their states; the API
// shows them as JSON and the console as HTML.
package status

import (
	"slices"
	"time"
)

// Status is the state of the whole chain.
type Status struct {
	Version       string        `json:"version"`
	StartedAt     Time          `json:"started_at"`
	Problems      []string      `json:"problems"` // sentences about what needs a person's attention; empty if nothing does
	Endpoints     []Endpoint    `json:"endpoints"`
	Account       Account       `json:"account"`
	Probe         Probe         `json:"probe"`
	Queue         Queue         `json:"queue"`
	Spool         Spool         `json:"spool"`
	Leader        Leader        `json:"leader"`
	Calendars     []Calendar    `json:"calendars"`
	Configuration Configuration `json:"configuration"`
}

// Reachable reports whether an endpoint of the provider works.
func (s *Status) Reachable() bool {
	return slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool { return e.Up })
}

// Endpoint is an endpoint of the provider.
type Endpoint struct {
	Host string `json:"host"`
	Up   bool   `json:"up"` // the last request did not fail
}

// Account is the account at the provider.
type Account struct {
	Refused  string   `json:"refused"`   // why the provider refuses it; "": it does not
	Credit   *float64 `json:"credit"`    // in the provider's unit; null: not read yet
	ReadAt   *Time    `json:"read_at"`   // when the credit was read
	DaysLeft *float64 `json:"days_left"` // at the pace of the last week; null: unknown
}

// Probe describes the messages that are sent to the provider's test number at regular intervals.
type Probe struct {
	Interval    string   `json:"interval"` // "0s": no probes are sent
	DeliveredAt *Time    `json:"delivered_at"`
	Took        *float64 `json:"took_seconds"` // from the outbox to its receipt
	Late        bool     `json:"late"`         // none was delivered for three intervals
}

// Queue describes the messages that the provider does not have yet.
type Queue struct {
	Waiting  int   `json:"waiting"`
	OldestAt *Time `json:"oldest_at"`
}

// Spool describes the changes that have not been stored yet.
type Spool struct {
	Backlog int    `json:"backlog"`
	Since   *Time  `json:"since"`
	Trouble string `json:"trouble"` // why the store cannot be written; "" if it can
}

// Leader describes whether this replica sends.
type Leader struct {
	Leading bool `json:"leading"` // this process sends
	Shared  bool `json:"shared"`  // other processes use the store too
}

// Calendar is the calendar of a rota.
type Calendar struct {
	Rota   string `json:"rota"`
	Source string `json:"source"` // "file", "url" or "turns"
	ReadAt *Time  `json:"read_at"`
	Error  string `json:"error"` // why the last attempt to read it failed; "" if it did not
}

// Configuration is the configuration in force.
type Configuration struct {
	LoadedAt Time   `json:"loaded_at"`
	FailedAt *Time  `json:"failed_at"` // when a later configuration was refused; null: none was
	Error    string `json:"error"`
}

// Heartbeat is an alert that always fires.
type Heartbeat struct {
	Name     string `json:"name"`
	Receiver string `json:"receiver"`
	State    string `json:"state"` // "alive", "dead", or "waiting" before its first beat
	LastAt   *Time  `json:"last_at"`
	DeadAt   *Time  `json:"dead_at"`
	Timeout  string `json:"timeout"`
}

// Credit is a reading of the account's credit.
type Credit struct {
	At   time.Time
	Left float64 // in the provider's unit
}

// Time is a time in JSON as RFC 3339, in UTC with milliseconds.
type Time time.Time

// MarshalText implements [encoding.TextMarshaler].
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Time) UnmarshalText(b []byte) error { return (*time.Time)(t).UnmarshalText(b) }

// OrNil returns nil for the zero time, which is null in JSON.
func OrNil(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return (*Time)(&t)
}
