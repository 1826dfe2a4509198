package postgres

import (
	"errors"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/outbox/internal/table"
)

// HotQueries holds the queries whose cost must not grow with the tables.
var HotQueries = map[string]string{
	"open":              selectOpen,
	"open newest":       selectOpenNewest,
	"mark superseded":   markSuperseded,
	"find":              selectByAPIID,
	"lock sightings":    lockSightings,
	"lock pages":        lockPages,
	"lock marks":        lockMarks,
	"lock messages":     lockMessages,
	"update sightings":  updateSightings,
	"update messages":   updateMessages,
	"prune":             pruneMessages,
	"forget":            pruneNotifications,
	"all":               "SELECT " + table.MessageColumns + " FROM messages ORDER BY id DESC LIMIT 50",
	"state":             "SELECT " + table.MessageColumns + " FROM messages WHERE state = 'failed' AND state NOT IN ('queued', 'sending', 'accepted', 'delivered') AND id < 'x' ORDER BY id DESC LIMIT 50",
	"open state":        "SELECT " + table.MessageColumns + " FROM messages WHERE state = 'queued' AND state IN ('queued', 'sending', 'accepted') AND id < 'x' ORDER BY id DESC LIMIT 50",
	"recipient":         "SELECT " + table.MessageColumns + " FROM messages WHERE recipient = '999' AND id < 'x' ORDER BY id DESC LIMIT 50",
	"receiver":          "SELECT " + table.MessageColumns + " FROM messages WHERE receiver = 'oncall' ORDER BY id DESC LIMIT 50",
	"message's page":    "SELECT " + table.MessageColumns + " FROM messages WHERE page_id <> '' AND page_id = 'x' ORDER BY id DESC LIMIT 50",
	"segments":          selectSegments,
	"page events":       selectPageEvents,
	"marks":             selectMarks,
	"update page":       updatePage,
	"count pages":       countPages,
	"delete mark":       deleteMark,
	"prune marks":       pruneMarks,
	"prune pages":       prunePages,
	"page of a group":   textOf(outbox.PageQuery{Current: true, Receiver: "r", GroupKey: "g", Limit: 1}),
	"latest of a group": textOf(outbox.PageQuery{Receiver: "r", GroupKey: "g", Limit: 1}),
	"pages of an alert": textOf(outbox.PageQuery{Current: true, Alerts: []string{"a", "b"}, Limit: 50}),
	"add page events":   insertPageEvents,
	"page of a code":    textOf(outbox.PageQuery{Code: "4821", Limit: 1}),
	"current pages":     textOf(outbox.PageQuery{Current: true, Before: "x", Limit: 50}),
	"pages of a state":  textOf(outbox.PageQuery{State: outbox.PageOpen, Limit: 50}),
	"lease":             lockLease,
	"due pages":         textOf(outbox.PageQuery{DueBy: time.Now(), Limit: 50}),
}

func textOf(q outbox.PageQuery) string {
	text, _ := pagesQuery(q)
	return text
}

// FewRows holds the names of those HotQueries that find only a few rows, which may be sorted.
var FewRows = map[string]bool{
	"marks": true, "page events": true, "page of a group": true,
	"lock sightings": true, "lock pages": true, "lock messages": true,
}

// AddTogether stores entries in one transaction.
func (s *Store) AddTogether(entries ...outbox.Entry) ([]outbox.Added, error) {
	items := make([]*item, len(entries))
	for i, e := range entries {
		items[i] = &item{entry: e}
	}
	err := s.transaction(items)
	var all []outbox.Added
	for _, it := range items {
		all = append(all, it.added)
		err = errors.Join(err, it.err)
	}
	return all, err
}
