// Package response writes the responses of smspager's HTTP handlers: JSON, errors as
// {"error":"…"}.
package response

import (
	"encoding/json"
	"net/http"
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
