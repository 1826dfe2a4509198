// Package gsm7 measures, splits, cuts and spells texts for SMS.
//
// A text whose every character is in the GSM 7-bit default alphabet or its
// extension table (3GPP TS 23.038, 6.2.1 and 6.2.1.1) is sent in septets, any
// other in UCS-2, which takes more than twice the space:
//
//	            one segment   each of several
//	gsm7        160 septets   153 septets
//	ucs2         70 units      67 units      (UTF-16 code units)
//
// A character of the extension table takes two septets: an escape and itself.
// Neither such a pair nor a surrogate pair is split between segments (3GPP TS
// 23.040, 9.2.3.24.1 for the former). A segment is what is billed.
package gsm7

import (
	"strings"
	"unicode/utf8"
)

// Encoding says how a text is sent.
type Encoding = string

const (
	GSM7 Encoding = "gsm7"
	UCS2 Encoding = "ucs2"
)

// Units in a segment: of a text that is one, and of one that is several, where
// the user data header takes its part (3GPP TS 23.040, 9.2.3.24).
const (
	singleSeptets, joinedSeptets = 160, 153
	singleUCS2, joinedUCS2       = 70, 67
)

// Size is what a text takes.
type Size struct {
	Encoding Encoding // GSM7 or UCS2
	Units    int      // septets, or UTF-16 code units
	Segments int      // billed parts, at least 1
}

// Measure returns the size of a text. Bytes that are not UTF-8 count as U+FFFD.
func Measure(s string) Size {
	septets, ok := countSeptets(s)
	switch {
	case ok && septets <= singleSeptets:
		return Size{GSM7, septets, 1}
	case ok:
		return Size{GSM7, septets, pack(s, joinedSeptets, septetsOf, nil)}
	}
	units := 0
	for _, r := range s {
		units += unitsOf(r)
	}
	if units <= singleUCS2 {
		return Size{UCS2, units, 1}
	}
	return Size{UCS2, units, pack(s, joinedUCS2, unitsOf, nil)}
}

// Segments returns the parts that a text is sent in. Joined they are the text.
func Segments(s string) []string {
	size := Measure(s)
	if size.Segments == 1 {
		return []string{s}
	}
	parts := make([]string, 0, size.Segments)
	begin := 0
	cut := func(at int) {
		parts = append(parts, s[begin:at])
		begin = at
	}
	if size.Encoding == GSM7 {
		pack(s, joinedSeptets, septetsOf, cut)
	} else {
		pack(s, joinedUCS2, unitsOf, cut)
	}
	return append(parts, s[begin:])
}

// pack counts the segments that a text fills, and calls cut, if there is one,
// where a segment but the first begins.
func pack(s string, capacity int, width func(rune) int, cut func(at int)) int {
	segments, used := 1, 0
	for i, r := range s {
		w := width(r)
		if used+w > capacity {
			segments++
			used = 0
			if cut != nil {
				cut(i)
			}
		}
		used += w
	}
	return segments
}

// countSeptets returns the septets of a text; ok is false where a character is
// in neither table.
func countSeptets(s string) (septets int, ok bool) {
	for i := 0; i < len(s); i++ {
		w := width[s[i]]
		if w == 0 {
			return countSeptetsOfRunes(s[i:], septets)
		}
		septets += int(w)
	}
	return septets, true
}

// countSeptetsOfRunes goes on where the first character beyond ASCII stands.
func countSeptetsOfRunes(s string, septets int) (int, bool) {
	for _, r := range s {
		w := septetsOf(r)
		if w == 0 {
			return 0, false
		}
		septets += w
	}
	return septets, true
}

// septetsOf is 1 for a character of the default alphabet, 2 for one of the
// extension table, 0 for any other.
func septetsOf(r rune) int {
	switch {
	case r < utf8.RuneSelf:
		return int(width[byte(r)])
	case r == '€':
		return 2
	case strings.ContainsRune(alphabetBeyondASCII, r):
		return 1
	}
	return 0
}

// unitsOf is the number of UTF-16 code units.
func unitsOf(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// The default alphabet (3GPP TS 23.038, 6.2.1) is, besides line feed and
// carriage return, of these characters, and its extension table (6.2.1.1), of
// the euro sign, form feed and those in extensionASCII.
const (
	alphabetASCII       = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	alphabetBeyondASCII = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà"
	extensionASCII      = "\f^{}\\[~]|"
)

// width is the septets of an ASCII character, 0 for those in neither table and
// for bytes beyond ASCII.
var width = func() (w [256]uint8) {
	for _, r := range alphabetASCII + "\n\r" {
		w[r] = 1
	}
	for _, r := range extensionASCII {
		w[r] = 2
	}
	return w
}()
