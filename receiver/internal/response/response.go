// Package response writes the responses of smspager's HTTP handlers: JSON, errors as
// {"error":"…"}.
package response

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Write sends a response with a status code and v as JSON; an error is sent as {"error":"…"}.
func Write(w http.ResponseWriter, code int, v any) {
	if err, ok := v.(error); ok {
		v = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // it fails only if the client has gone
}

// MethodNotAllowed returns a handler for the other methods of a path. PUT is equivalent to POST.
func MethodNotAllowed(allowed ...string) http.HandlerFunc {
	allowed = slices.Sorted(slices.Values(allowed))
	header := strings.Join(allowed, ", ")
	if slices.Contains(allowed, http.MethodPost) {
		header += ", " + http.MethodPut
	}
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Allow", header)
		Write(w, http.StatusMethodNotAllowed, fmt.Errorf("the method must be %s, is %.20q", strings.Join(allowed, " or "), req.Method))
	}
}
