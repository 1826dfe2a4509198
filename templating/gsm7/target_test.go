package gsm7_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/smspager/smspager/templating/gsm7"
)

func TestAlphabets(t *testing.T) {
	const upper gsm7.Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ É"
	for _, tc := range []struct {
		to       gsm7.Alphabet
		in, want string
	}{
		{"", "node_1 {a|b} [c] ~^\\ €5 ΔΩ", "node_1 {a|b} [c] ~^\\ €5 ΔΩ"}, // both tables
		{"", "`x` · ≥ 75 °C\r\nñ\fç", "'x' . >= 75 degC\nñ\nc"},
		{upper, "É OK\nDISK 80% full 🔥", "É OK DISK   FIRE"},
		{upper, "~", ""},
		{upper + "?", "~", "?"},
		{upper + "·", "·", ""}, // in neither table
		{"\x00", "\x00", ""},
	} {
		if got := gsm7.Transliterate(tc.in, tc.to); got != tc.want {
			t.Errorf("Transliterate(%q, %q) = %q, want %q", tc.in, tc.to, got, tc.want)
		}
	}
}

// FuzzAlphabet: the result has only characters of the alphabet, and characters of the alphabet
// stay.
func FuzzAlphabet(f *testing.F) {
	f.Add("a_b ≥ 🔥\r\nc", "")
	f.Add("a_b ≥ 🔥é", "ABCabc é·€")
	f.Fuzz(func(t *testing.T, s, characters string) {
		to := gsm7.Alphabet(characters)
		got := gsm7.Transliterate(s, to)
		if strings.ContainsFunc(got, func(r rune) bool { return !to.Has(r) }) {
			t.Fatalf("Transliterate(%q, %q) = %q", s, to, got)
		}
		if again := gsm7.Transliterate(got, to); again != got {
			t.Fatalf("Transliterate(%q, %q) = %q, and again %q", s, to, got, again)
		}
	})
}

// The zero Alphabet holds all of GSM 03.38.
func ExampleAlphabet() {
	fmt.Println(gsm7.Transliterate("node_1 ≥ 5 €", ""))
	fmt.Println(gsm7.Transliterate("node_1 ≥ 5 €", "0123456789 abcdefghijklmnopqrstuvwxyz-EUR>="))
	// Output:
	// node_1 >= 5 €
	// node-1 >= 5 EUR
}
