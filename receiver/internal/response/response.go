// Package response writes the responses of smspager's HTTP handlers: JSON, errors as
// {"error":"…"}.
package response

import (
	"encoding/json"
	"net/http"
)

// Write writes v as JSON, an error as {"error":"…"}. It sets the status code.
func Write(w http.ResponseWriter, code int, v any) {
	if err, ok := v.(error); ok {
		v = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // nobody reads a response whose client has gone
}
