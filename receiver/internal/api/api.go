// Package api serves the JSON API under /api/v1: messages, pages, replies and contacts.
// docs/http.md describes it.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

// Store is what the API reads, such as an outbox.Store.
type Store interface {
	outbox.Finder
	Marks(ctx context.Context, kind string) ([]outbox.Mark, error)
}

// Options are the options of New.
type Options struct {
	Store    Store
	Contacts Contacts
	Actor    Actor
	Caller   Caller
	State    State
	Logger   *slog.Logger
	// Registerer registers the metrics; nil: nothing is measured.
	Registerer prometheus.Registerer
}

// API serves the paths under /api/v1/.
type API struct {
	store    Store
	contacts Contacts
	actor    Actor
	callers  Caller
	state    State
	feed     *feed
	logger   *slog.Logger
	mux      *http.ServeMux
}

// New returns an API.
func New(o Options) *API {
	a := &API{
		store: o.Store, contacts: o.Contacts, actor: o.Actor, callers: o.Caller, state: o.State, feed: newFeed(o.Store, o.Registerer),
		logger: o.Logger, mux: http.NewServeMux(),
	}
	methods := make(map[string][]string)
	for route, serve := range a.routes() {
		method, path, _ := strings.Cut(route, " ")
		methods[path] = append(methods[path], method)
		a.mux.HandleFunc(method+" "+path, serve)
		if method == http.MethodPost {
			a.mux.HandleFunc(http.MethodPut+" "+path, serve)
		}
	}
	for path, allowed := range methods {
		a.mux.HandleFunc(path, response.MethodNotAllowed(allowed...))
	}
	a.mux.HandleFunc("/", NotFound)
	return a
}

// routes returns the handlers by method and path. PUT is equivalent to POST.
func (a *API) routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"GET /api/v1/messages":                a.serveMessages,
		"GET /api/v1/messages/{id}":           a.serveMessage,
		"GET /api/v1/pages":                   a.servePages,
		"POST /api/v1/pages":                  a.serveCall,
		"GET /api/v1/pages/{id}":              a.servePage,
		"GET /api/v1/replies":                 a.serveReplies,
		"GET /api/v1/contacts":                a.serveContacts,
		"POST /api/v1/contacts/{name}/verify": a.serveVerify,
		"GET /api/v1/status":                  a.serveStatus,
		"GET /api/v1/heartbeats":              a.serveHeartbeats,
		"GET /api/v1/duty":                    a.serveDuty,
		"POST /api/v1/preview":                a.servePreview,
		"GET /api/v1/events":                  a.serveEvents,
	}
	for name, verb := range command.Verbs {
		routes["POST /api/v1/pages/{id}/"+name] = a.serveAct(verb)
	}
	return routes
}

// Routes returns the methods and paths that the API serves, sorted and without PUT.
func (a *API) Routes() []string { return slices.Sorted(maps.Keys(a.routes())) }

// Wake makes the feed look for changes now.
func (a *API) Wake() { a.feed.wake.Ring() }

// Reconnect ends the event streams. Their clients connect again, and are identified by the new
// configuration.
func (a *API) Reconnect() { a.feed.drop() }

// Close ends the event streams.
func (a *API) Close() { a.feed.close() }

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// NotFound responds 404 to a path that does not exist.
func NotFound(w http.ResponseWriter, _ *http.Request) {
	response.Write(w, http.StatusNotFound, errors.New("no such path; see docs/http.md"))
}

// seesNumbers reports whether a caller may see whole phone numbers. If nobody can log in, everybody may.
func seesNumbers(caller access.Caller) bool {
	return caller.Open || caller.Role.Includes(config.Admin)
}

// respond sends a response. It shortens phone numbers, also those in texts, if the caller may not see them.
func respond(w http.ResponseWriter, r *http.Request, code int, v any) {
	if data, err := json.Marshal(v); err == nil && !seesNumbers(access.From(r.Context())) {
		v = json.RawMessage(e164.Redact(string(data)))
	}
	response.Write(w, code, v)
}

func (a *API) unavailable(w http.ResponseWriter, err error) {
	a.logger.Error("cannot read the outbox", "err", err)
	response.Write(w, http.StatusServiceUnavailable, errors.New("the outbox cannot be read; try again (see the log)"))
}

func parseLimit(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fmt.Errorf("limit must be a number from 1 to %d", maxLimit)
	}
	return n, nil
}
