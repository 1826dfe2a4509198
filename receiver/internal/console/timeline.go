package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// lateAfter is the delivery time above which a message counts as late.
const lateAfter = time.Minute

// entry is a line of a page's timeline.
type entry struct {
	At      when
	Day     string // its day, if the line before has another one
	Title   string
	Detail  string
	Quote   string // of a text
	By      bool   // a person did it
	Late    bool
	Trouble bool
	Next    bool // it is still to come
}

// Class returns the CSS class of the line.
func (e entry) Class() string {
	switch {
	case e.Next:
		return "next"
	case e.By:
		return "did"
	}
	return ""
}

// eventWords describes a page's event in words, and reports whether a person caused it.
func eventWords(e outbox.PageEvent) (title, detail string, by bool) {
	detail = e.Detail
	switch e.Type {
	case outbox.PageEventOpened:
		return "Page opened", cmp.Or(detail, "first notification"), false
	case outbox.PageEventNotified:
		return "Alertmanager notified again", detail, false
	case outbox.PageEventPaged:
		return e.Who + " paged", detail, false
	case outbox.PageEventEscalated:
		return "Escalated", detail, false
	case outbox.PageEventPassed:
		return e.Who + " wants the next person paged", detail, true
	case outbox.PageEventUnreached:
		return "Nobody reached", detail, false
	case outbox.PageEventRepeated:
		return "Everybody paged again", detail, false
	case outbox.PageEventAcknowledged:
		return e.Who + " acknowledged it", detail, true
	case outbox.PageEventSilencing:
		return e.Who + " wants it silenced", detail, true
	case outbox.PageEventSilenced:
		return "Silenced by " + e.Who, detail, true
	case outbox.PageEventNotSilenced:
		return "Not silenced", detail, false
	case outbox.PageEventUndone:
		return e.Who + " undid that: it is open again", detail, true
	case outbox.PageEventReopened:
		return "Open again", detail, false
	case outbox.PageEventSuppressed:
		return "Alertmanager holds back alerts", detail, false
	case outbox.PageEventFires:
		return "Alerts fire again", detail, false
	case outbox.PageEventGone:
		return "Alerts gone", detail, false
	case outbox.PageEventNote:
		return e.Who + " noted", detail, true
	case outbox.PageEventResolved:
		return "Resolved", detail, false
	case outbox.PageEventExpired:
		return "Expired", detail, false
	case outbox.PageEventRegrouped:
		return "Regrouped", detail, false
	case outbox.PageEventFlapping:
		return "Alerts flap", detail, false
	}
	return string(e.Type), strings.TrimSpace(e.Who + " " + detail), false
}

// timeline returns the events of a page and of its messages, oldest first.
func timeline(f *Frame, p outbox.Page, ms []outbox.Message, name func(outbox.Message) string) []entry {
	var all []entry
	quoted := make(map[string]bool) // messages that are shown with an event of the page
	for _, e := range p.Events {
		title, detail, by := eventWords(e)
		line := entry{At: f.when(e.At), Title: title, Detail: detail, By: by}
		switch e.Type {
		case outbox.PageEventUnreached, outbox.PageEventNotSilenced:
			line.Trouble = true
		case outbox.PageEventPaged:
			if m := sent(ms, e, quoted, name); m != nil {
				quoted[m.ID] = true
				line.Quote = firstLine(m.Text, lineShown)
			}
		}
		all = append(all, line)
	}
	for _, m := range ms {
		if !quoted[m.ID] {
			all = append(all, entry{At: f.when(m.CreatedAt), Title: "Text to " + name(m), Quote: firstLine(m.Text, lineShown)})
		}
		for _, e := range m.Events {
			if line, ok := messageLine(m, e, name(m)); ok {
				line.At = f.when(e.At)
				all = append(all, line)
			}
		}
	}
	for i := range all {
		all[i].Title, all[i].Detail, all[i].Quote = f.Shown(all[i].Title), f.Shown(all[i].Detail), f.Shown(all[i].Quote)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.At.at.Compare(b.At.at) })
	return all
}

// days sets the day of each line whose day differs from that of the line before, and of the first line if it is not
// today's.
func days(lines []entry) {
	for i := range lines {
		e := &lines[i]
		before := e.At.now
		if i > 0 {
			before = lines[i-1].At.at
		}
		if day := e.At.when(e.At.at).Today(); day != e.At.when(before).Today() {
			e.Day = day
		}
	}
}

// sent returns the message that paged somebody in an event.
func sent(ms []outbox.Message, e outbox.PageEvent, quoted map[string]bool, name func(outbox.Message) string) *outbox.Message {
	for i := range ms {
		if m := &ms[i]; !quoted[m.ID] && name(*m) == e.Who && m.CreatedAt.Sub(e.At).Abs() < 2*time.Second {
			return m
		}
	}
	return nil
}

// lineShown is how many characters of a text a timeline's line shows, and rowShown is how many a list's row
// shows.
const lineShown, rowShown = 120, 72

// firstLine returns the first line of a text, cut to most characters.
func firstLine(text string, most int) string {
	line, rest, _ := strings.Cut(text, "\n")
	if line = begin(line, most); rest != "" {
		return strings.TrimRight(line, "…. ") + "…"
	}
	return line
}

// messageLine returns an event of a message for the timeline, or false if the timeline does not show it.
func messageLine(m outbox.Message, e outbox.Event, to string) (entry, bool) {
	switch e.Type {
	case outbox.EventDelivered:
		took, late := delay(m, e.At)
		if late {
			return entry{Title: "delivered to " + to, Detail: took, Late: true}, true
		}
		return entry{Title: "Delivered to " + to, Detail: took}, true
	case outbox.EventFailed:
		return entry{Title: "Not delivered to " + to, Detail: e.Detail, Trouble: true}, true
	case outbox.EventUnknown:
		return entry{Title: "No receipt from " + to + "’s phone", Detail: e.Detail, Trouble: true}, true
	case outbox.EventExpired:
		return entry{Title: "Too old to be sent to " + to, Detail: e.Detail, Trouble: true}, true
	case outbox.EventSuperseded:
		return entry{Title: "Text to " + to + " replaced by a newer one", Detail: "it was not sent"}, true
	case outbox.EventHeld:
		return entry{Title: "Text to " + to + " waits", Detail: e.Detail}, true
	case outbox.EventRetry:
		return entry{Title: "Text to " + to + " is tried again", Detail: e.Detail}, true
	case outbox.EventReply:
		return entry{Title: "Reply from " + to, Detail: e.Detail, By: true}, true
	}
	return entry{}, false
}

// delay describes the time from when a message could be sent until at, and reports whether that is late.
func delay(m outbox.Message, at time.Time) (words string, late bool) {
	took := at.Sub(m.Earliest())
	return after(took), took > lateAfter
}
