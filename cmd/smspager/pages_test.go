package main

import (
	"strings"
	"testing"
)

// TestPageShowsWaitingMessages: a page's history shows a message that the provider does not have, and why it waits.
func TestPageShowsWaitingMessages(t *testing.T) {
	for history, want := range map[string]string{
		"queued":               "text waits       +33639980001   not sent yet",
		"queued attempt":       "text waits       +33639980001   the provider has not responded yet",
		"queued attempt retry": "text waits       +33639980001   the detail of retry",
		"queued held":          "text held        +33639980001   the detail of held",
	} {
		m := messageJSON{To: "+33639980001"}
		for name := range strings.FieldsSeq(history) {
			m.Events = append(m.Events, eventJSON{Type: name, Detail: "the detail of " + name})
		}
		var b strings.Builder
		drawPage(&b, pageJSON{Messages: []messageJSON{m}})
		if !strings.Contains(b.String(), want) {
			t.Errorf("after %s: %s", history, b.String())
		}
	}
}
