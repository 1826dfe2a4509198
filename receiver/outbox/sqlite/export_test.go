package sqlite

import (
	"time"

	"github.com/smspager/smspager/receiver/outbox"
)

// HotQueries are the queries whose cost must not grow with the table.
var HotQueries = map[string]string{
	"open":              selectOpen,
	"open newest":       selectOpenNewest,
	"prune":             pruneMessages,
	"forget":            pruneSightings,
	"message":           selectMessage,
	"all":               listOf(outbox.Query{Before: "x", Limit: 50}),
	"state":             listOf(outbox.Query{State: outbox.Failed, Before: "x", Limit: 50}),
	"recipient":         listOf(outbox.Query{To: "999", Before: "x", Limit: 50}),
	"receiver":          listOf(outbox.Query{Receiver: "oncall", Limit: 50}),
	"message's page":    listOf(outbox.Query{Page: "x", Limit: 50}),
	"segments":          segmentsOf("messages"),
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
	"page of a code":    textOf(outbox.PageQuery{Code: "4821", Limit: 1}),
	"current pages":     textOf(outbox.PageQuery{Current: true, Before: "x", Limit: 50}),
	"pages of a state":  textOf(outbox.PageQuery{State: outbox.PageOpen, Limit: 50}),
	"due pages":         textOf(outbox.PageQuery{DueBy: time.Now(), Limit: 50}),
}

func textOf(q outbox.PageQuery) string {
	text, _ := pagesQuery(q)
	return text
}

// listOf returns the query for messages in a final state; there are few others.
func listOf(q outbox.Query) string {
	text, _ := listFrom("messages", q)
	return text
}
