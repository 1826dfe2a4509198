package sqlite

// HotQueries are the queries whose cost must not grow with the table.
var HotQueries = map[string]string{
	"open":      selectOpen,
	"outdate":   outdateOlder,
	"find":      selectByAPIID,
	"change":    changeMessage,
	"original":  selectOriginal,
	"prune":     pruneMessages,
	"forget":    pruneNotifications,
	"events":    pruneEvents,
	"all":       "SELECT " + columns + " FROM messages ORDER BY id DESC LIMIT 50",
	"state":     "SELECT " + columns + " FROM messages WHERE state = 'failed' AND id < 'x' ORDER BY id DESC LIMIT 50",
	"recipient": "SELECT " + columns + " FROM messages WHERE recipient = '999' AND id < 'x' ORDER BY id DESC LIMIT 50",
	"receiver":  "SELECT " + columns + " FROM messages WHERE receiver = 'oncall' ORDER BY id DESC LIMIT 50",
}
