package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// hidden is printed instead of a secret.
const hidden = "<secret>"

// Secret is a password or a token. Printing it does not reveal it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Matches reports whether given is the secret. The time it takes reveals neither the secret's
// content nor its length. The empty secret matches nothing.
func (s Secret) Matches(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s))
	return s != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.shown()) }

// MarshalText implements encoding.TextMarshaler, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.shown()) }

func (s Secret) shown() string {
	if s == "" {
		return ""
	}
	return hidden
}
