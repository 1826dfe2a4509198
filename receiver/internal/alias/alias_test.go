package alias_test

import (
	"testing"

	"github.com/smspager/smspager/receiver/internal/alias"
)

func TestPlain(t *testing.T) {
	for plain, names := range map[string][]string{
		"alice":        {"alice", "Alice", " ALICE ", "Àlice", "alice!", "(alice)"},
		"o neil":       {"O'Neil", "O Neil", "o_neil", "O’Neil", "O  NEIL", "o/neil"},
		"jean+luc":     {"Jean-Luc", "jean‑luc"},
		"jean luc":     {"Jean Luc", "Jean_Luc", "Jean - Luc"},
		"al@x.example": {"al@x.example", "AL@X.example"},
		"":             {"", "--", "!"},
	} {
		for _, name := range names {
			if got := alias.Plain(name); got != plain {
				t.Errorf("Plain(%q) is %q, want %q", name, got, plain)
			}
		}
	}
}
