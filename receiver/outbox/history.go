package outbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// line is an [Event] in the form that a store keeps.
type line struct {
	At     int64     `json:"at"` // Unix ms
	Type   EventType `json:"type"`
	Detail string    `json:"detail"`
}

// MarshalHistory returns events in the form that a store keeps: JSON, with times in milliseconds.
func MarshalHistory(events []Event) string {
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

// UnmarshalHistory reads what MarshalHistory returned.
func UnmarshalHistory(text string) ([]Event, error) {
	var lines []line
	if err := json.Unmarshal([]byte(text), &lines); err != nil {
		return nil, fmt.Errorf("read a history: %w", err)
	}
	events := make([]Event, len(lines))
	for i, l := range lines {
		events[i] = Event{At: time.UnixMilli(l.At).UTC(), Type: l.Type, Detail: l.Detail}
	}
	return events, nil
}
