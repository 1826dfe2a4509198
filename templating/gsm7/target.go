package gsm7

import (
	"strings"
	"unicode/utf8"
)

// Alphabet holds the characters that a provider sends, in any order. Characters in neither GSM
// table do not count. The zero value stands for both tables (3GPP TS 23.038, 6.2.1 and 6.2.1.1)
// without CR and FF.
type Alphabet string

// Has reports whether a character is in the alphabet.
func (a Alphabet) Has(r rune) bool {
	if r == '\r' || r == '\f' || septetsOf(r) == 0 {
		return false
	}
	return a == "" || strings.ContainsRune(string(a), r)
}

// members is an alphabet prepared once for a text.
type members struct {
	alphabet Alphabet
	ascii    [utf8.RuneSelf / 64]uint64 // one bit for each character
}

func (a Alphabet) members() members {
	m := members{alphabet: a}
	if a == "" {
		for r := range rune(utf8.RuneSelf) {
			if a.Has(r) {
				m.ascii[r/64] |= 1 << (r % 64)
			}
		}
		return m
	}
	for i := range len(a) {
		if b := a[i]; b < utf8.RuneSelf && widthsOfASCII[b] < notASCII && b != '\r' && b != '\f' {
			m.ascii[b/64] |= 1 << (b % 64)
		}
	}
	return m
}

func (m *members) has(r rune) bool {
	if uint32(r) < utf8.RuneSelf {
		return m.ascii[r/64]&(1<<(r%64)) != 0
	}
	return m.alphabet.Has(r)
}
