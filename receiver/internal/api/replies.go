package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
)

// Reply is the API's form of a reply that responds to no message. Other replies are events of their
// message.
type Reply struct {
	ID   string      `json:"id"`
	At   status.Time `json:"at"`
	From string      `json:"from"`
	Text string      `json:"text"`
}

func (a *API) serveReplies(w http.ResponseWriter, r *http.Request) {
	limit := defaultLimit
	for name, given := range r.URL.Query() {
		err := fmt.Errorf("unknown parameter %q; known: limit", name)
		if name == "limit" {
			limit, err = parseLimit(given[0])
		}
		if err != nil {
			response.Write(w, http.StatusBadRequest, err)
			return
		}
	}
	marks, err := a.store.Marks(r.Context(), outbox.MarkReply)
	if err != nil {
		a.unavailable(w, err)
		return
	}
	slices.SortFunc(marks, func(a, b outbox.Mark) int { return strings.Compare(b.Name, a.Name) }) // newest first
	all := []Reply{}
	for _, m := range marks[:min(len(marks), limit)] {
		var kept outbox.Reply
		if err := json.Unmarshal(m.Doc, &kept); err != nil {
			a.unavailable(w, fmt.Errorf("reply %s: %w", m.Name, err))
			return
		}
		all = append(all, Reply{ID: m.Name, At: status.Time(m.At), From: string(kept.From), Text: kept.Text})
	}
	respond(w, r, http.StatusOK, map[string][]Reply{"replies": all})
}
