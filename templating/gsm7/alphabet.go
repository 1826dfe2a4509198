package gsm7

import "unicode/utf8"

// alphabet is the GSM 7-bit default alphabet in the order of its septets (3GPP TS 23.038, 6.2.1).
// 0x1b is the escape to the extension table, not a character.
const alphabet = "@£$¥èéùìòÇ\nØø\rÅå" +
	"Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ" +
	" !\"#¤%&'()*+,-./" +
	"0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNO" +
	"PQRSTUVWXYZÄÖÑÜ§" +
	"¿abcdefghijklmno" +
	"pqrstuvwxyzäöñüà"

const escape = 0x1b

// extension is the extension table (6.2.1.1): the meaning of a septet after an escape.
var extension = map[byte]rune{
	0x0a: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2f: '\\',
	0x3c: '[', 0x3d: '~', 0x3e: ']', 0x40: '|', 0x65: '€',
}

// code is a character's septet. Codes of the extension table have the high bit set.
type code = uint8

const (
	extended code = 0x80
	absent   code = extended | escape // an escape after an escape is not a character
)

// tabled is greater than every character of the tables except the euro sign.
const tabled = 'Ω' + 1

// codes holds the codes of characters below tabled.
var codes = func() (table [tabled]code) {
	for r := range table {
		table[r] = absent
	}
	for septet, r := range characters {
		if r != escape {
			table[r] = code(septet)
		}
	}
	for septet, r := range extension {
		if r < tabled {
			table[r] = extended | septet
		}
	}
	return table
}()

// characters holds the alphabet, indexed by septet.
var characters = []rune(alphabet)

func codeOf(r rune) code {
	switch {
	case uint32(r) < tabled:
		return codes[r]
	case r == '€':
		return extended | 0x65
	}
	return absent
}

// septetsOf returns 1 for a character of the default alphabet, 2 for one of the extension table,
// and 0 for any other.
func septetsOf(r rune) int {
	switch c := codeOf(r); {
	case c == absent:
		return 0
	case c < extended:
		return 1
	}
	return 2
}

// notASCII is the width of a byte that is not an ASCII character of either table.
const notASCII = 128

// widthsOfASCII holds the septets of ASCII characters, indexed by byte, or notASCII.
var widthsOfASCII = func() (widths [256]uint8) {
	for b := range widths {
		widths[b] = notASCII
		if w := septetsOf(rune(b)); b < utf8.RuneSelf && w > 0 {
			widths[b] = uint8(w)
		}
	}
	return widths
}()
