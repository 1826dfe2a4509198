package textinghouse

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
)

// maxCallbackBytes is the maximum size of a callback's body; real ones have a few hundred bytes.
const maxCallbackBytes = 64 << 10

// HandlerOptions are the options of [NewHandler]. Token is required.
type HandlerOptions struct {
	Token    string         // the secret in the path; "": every callback is refused
	Networks []netip.Prefix // networks that may call back; empty: any
	// Receipt and Reply handle a callback and return the outcome that the response shows.
	// An error is logged and gets 503, so that the provider may repeat the callback. Nil:
	// callbacks of this kind are ignored.
	Receipt func(context.Context, Receipt) (outcome string, err error)
	Reply   func(context.Context, Reply) (outcome string, err error)
	// Observe is called once for each callback with its kind ("dlr" or "mo") and its
	// outcome: "refused", "invalid", "failed", or what Receipt or Reply returned.
	Observe func(kind, outcome string)
	Logger  *slog.Logger // nil: nothing is logged
}

// NewHandler returns the handler of the provider's callbacks (seed, 4.5 and 4.6):
//
//	POST /textinghouse/{token}/dlr    receipts
//	POST /textinghouse/{token}/mo     replies
//
// A wrong token or network gets the 404 of a path that does not exist; a body that cannot be
// read gets 400. The response is {"status":"<outcome>"} or {"error":"…"}.
func NewHandler(o HandlerOptions) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, string) {}
	}
	mux := http.NewServeMux()
	for _, end := range []string{"", "/{$}"} {
		mux.Handle("/textinghouse/{token}/dlr"+end, callback[Receipt]{o, "dlr", ParseReceipt, o.Receipt})
		mux.Handle("/textinghouse/{token}/mo"+end, callback[Reply]{o, "mo", ParseReply, o.Reply})
	}
	return mux
}

// callback handles one kind of callback.
type callback[T any] struct {
	HandlerOptions
	kind   string
	parse  func([]byte) (T, error)
	handle func(context.Context, T) (outcome string, err error)
}

// ServeHTTP implements [http.Handler].
func (c callback[T]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, outcome, err := c.serve(w, r)
	c.Observe(c.kind, outcome)
	var body struct {
		Status string `json:"status,omitempty"`
		Error  string `json:"error,omitempty"`
	}
	if err != nil {
		body.Error = err.Error()
	} else {
		body.Status = outcome
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the provider does not read it
}

func (c callback[T]) serve(w http.ResponseWriter, r *http.Request) (code int, outcome string, err error) {
	if !c.admits(r) {
		c.Logger.Warn("callback refused: wrong token or network", "kind", c.kind, "remote", r.RemoteAddr)
		return http.StatusNotFound, "refused", errors.New("not found")
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "invalid", errors.New("use POST")
	}
	body, err := readBody(r.Body, r.ContentLength, maxCallbackBytes)
	if err != nil || len(body) > maxCallbackBytes {
		return http.StatusBadRequest, "invalid", fmt.Errorf("the body cannot be read, or is larger than %d bytes", maxCallbackBytes)
	}
	parsed, err := c.parse(body)
	if err != nil {
		c.Logger.Warn("callback refused: unreadable body", "kind", c.kind, "remote", r.RemoteAddr, "err", err)
		return http.StatusBadRequest, "invalid", err
	}
	if c.handle == nil {
		return http.StatusOK, "ignored", nil
	}
	if outcome, err = c.handle(r.Context(), parsed); err != nil {
		c.Logger.Error("callback not stored; the provider may repeat it", "kind", c.kind, "err", err)
		return http.StatusServiceUnavailable, "failed", errors.New("not stored; try again")
	}
	return http.StatusOK, outcome, nil
}

// admits reports whether a request has the token and comes from a network that may call.
// It compares digests, because comparing the tokens would reveal their lengths.
func (c callback[T]) admits(r *http.Request) bool {
	given, want := sha256.Sum256([]byte(r.PathValue("token"))), sha256.Sum256([]byte(c.Token))
	if c.Token == "" || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return false
	}
	if len(c.Networks) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(c.Networks, func(network netip.Prefix) bool { return network.Contains(from.Addr().Unmap()) })
}
