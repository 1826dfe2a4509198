package delivery

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/smspager/smspager/receiver/textinghouse"
)

// maxCallbackBytes bounds a callback's body; real ones have some hundred bytes.
const maxCallbackBytes = 64 << 10

// Callbacks says who may call back. Without a token nobody may.
type Callbacks struct {
	Token    string
	Networks []netip.Prefix // empty: any
}

// ServeReceipt answers POST /textinghouse/{token}/dlr.
func (d *Delivery) ServeReceipt(w http.ResponseWriter, r *http.Request) {
	serveCallback(d, w, r, "dlr", textinghouse.ParseReceipt, func(ctx context.Context, receipt textinghouse.Receipt) (string, error) {
		outcome, err := d.Receive(ctx, receipt)
		return string(outcome), err
	})
}

// ServeReply answers POST /textinghouse/{token}/mo.
func (d *Delivery) ServeReply(w http.ResponseWriter, r *http.Request) {
	serveCallback(d, w, r, "mo", textinghouse.ParseReply, d.reply)
}

// serveCallback admits, reads and handles one callback. Who has no business
// here gets the same 404 as for a path that does not exist.
func serveCallback[T any](d *Delivery, w http.ResponseWriter, r *http.Request, kind string, parse func([]byte) (T, error), handle func(context.Context, T) (outcome string, err error)) {
	answer := func(code int, outcome string, err error) {
		d.metrics.callbacks.WithLabelValues(kind, outcome).Inc()
		body := map[string]string{"status": outcome}
		if err != nil {
			body = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body) // the provider does not read it
	}
	if !d.settings.Load().Callbacks.admit(r) {
		d.logger.Warn("a callback with a wrong token or from a wrong network was refused", "kind", kind, "remote", r.RemoteAddr)
		answer(http.StatusNotFound, "refused", errors.New("not found"))
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(http.StatusMethodNotAllowed, "invalid", errors.New("callbacks are POSTed"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallbackBytes))
	if err != nil {
		answer(http.StatusBadRequest, "invalid", fmt.Errorf("the body could not be read or is larger than %d bytes", maxCallbackBytes))
		return
	}
	callback, err := parse(body)
	if err != nil {
		d.logger.Warn("a callback could not be read", "kind", kind, "remote", r.RemoteAddr, "err", err)
		answer(http.StatusBadRequest, "invalid", err)
		return
	}
	outcome, err := handle(r.Context(), callback)
	if err != nil {
		d.logger.Error("a callback could not be stored; the provider may repeat it", "kind", kind, "err", err)
		answer(http.StatusServiceUnavailable, "failed", errors.New("could not be stored; try again"))
		return
	}
	answer(http.StatusOK, outcome, nil)
}

// admit reports whether a request has the token and comes from a network that
// may call. Digests are compared, as comparing the tokens would tell their lengths.
func (c Callbacks) admit(r *http.Request) bool {
	given, want := sha256.Sum256([]byte(r.PathValue("token"))), sha256.Sum256([]byte(c.Token))
	if c.Token == "" || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return false
	}
	if len(c.Networks) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, network := range c.Networks {
		if network.Contains(from.Addr().Unmap()) {
			return true
		}
	}
	return false
}
