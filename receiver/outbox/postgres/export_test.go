package postgres

import (
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// HotQueries are the queries whose cost must not grow with the tables.
var HotQueries = map[string]string{
	"open":              selectOpen,
	"outdate":           outdateOlder,
	"find":              selectByAPIID,
	"change":            changeMessage,
	"event":             insertEvent,
	"notification":      insertNotification,
	"original":          selectNotification,
	"prune":             pruneMessages,
	"forget":            pruneNotifications,
	"events":            pruneEvents,
	"all":               "SELECT " + columns + " FROM messages ORDER BY id DESC LIMIT 50",
	"state":             "SELECT " + columns + " FROM messages WHERE state = 'failed' AND id < 'x' ORDER BY id DESC LIMIT 50",
	"recipient":         "SELECT " + columns + " FROM messages WHERE recipient = '999' AND id < 'x' ORDER BY id DESC LIMIT 50",
	"receiver":          "SELECT " + columns + " FROM messages WHERE receiver = 'oncall' ORDER BY id DESC LIMIT 50",
	"message's page":    "SELECT " + columns + " FROM messages WHERE page_id <> '' AND page_id = 'x' ORDER BY id DESC LIMIT 50",
	"segments":          selectSegments,
	"page events":       selectPageEvents,
	"marks":             selectMarks,
	"update page":       updatePage,
	"update mark":       updateMark,
	"count pages":       countPages,
	"delete mark":       deleteMark,
	"prune marks":       pruneMarks,
	"prune pages":       prunePages,
	"prune page events": prunePageEvents,
	"page of a group":   textOf(outbox.PageQuery{Current: true, Receiver: "r", GroupKey: "g", Limit: 1}),
	"latest of a group": textOf(outbox.PageQuery{Receiver: "r", GroupKey: "g", Limit: 1}),
	"pages of an alert": textOf(outbox.PageQuery{Current: true, Alerts: []string{"a", "b"}, Limit: 50}),
	"sight again":       updateNotification,
	"page of a code":    textOf(outbox.PageQuery{Code: "4821", Limit: 1}),
	"current pages":     textOf(outbox.PageQuery{Current: true, Before: "x", Limit: 50}),
	"pages of a state":  textOf(outbox.PageQuery{State: outbox.PageOpen, Limit: 50}),
	"due pages":         textOf(outbox.PageQuery{DueBy: time.Now(), Limit: 50}),
}

func textOf(q outbox.PageQuery) string {
	text, _ := pagesQuery(q)
	return text
}

// FewRows are those of them that find a handful, which may be sorted.
var FewRows = map[string]bool{"marks": true, "page events": true, "page of a group": true}
