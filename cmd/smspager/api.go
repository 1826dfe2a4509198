package main

import "time"

// The parts of the API's responses that this program reads. docs/http.md describes all of them.
type (
	messageJSON struct {
		To        string      `json:"to"`
		Text      string      `json:"text"`
		State     string      `json:"state"`
		CreatedAt time.Time   `json:"created_at"`
		Events    []eventJSON `json:"events"`
	}
	// eventJSON is a line in the history of a message or a page.
	eventJSON struct {
		At     time.Time `json:"at"`
		Type   string    `json:"type"`
		Who    string    `json:"who"` // only for a page
		Detail string    `json:"detail"`
	}
	pageJSON struct {
		ID             string        `json:"id"`
		Version        int           `json:"version"`
		Confirmation   string        `json:"confirmation,omitempty"`
		Receiver       string        `json:"receiver"`
		Code           string        `json:"code"`
		State          string        `json:"state"`
		Headline       string        `json:"headline"`
		OpenedAt       time.Time     `json:"opened_at"`
		AcknowledgedAt *time.Time    `json:"acknowledged_at"`
		AcknowledgedBy string        `json:"acknowledged_by"`
		Events         []eventJSON   `json:"events"`
		Messages       []messageJSON `json:"messages"`
	}
	pagesJSON struct {
		Pages []pageJSON `json:"pages"`
	}
	contactJSON struct {
		Name       string     `json:"name"`
		State      string     `json:"state"`
		VerifiedAt *time.Time `json:"verified_at"`
		StoppedAt  *time.Time `json:"stopped_at"`
	}
)
